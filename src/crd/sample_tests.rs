//! The samples of `deploy/` are taken; what the API server must refuse is refused here as well; and no mutation of a sample panics.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::target_ref::built_in;
use super::{IntelligentPodAutoscaler, NodeFleet, ScalingGuardrail, ScalingProposal, SpecError, convert};

const SAMPLES: [&str; 4] = ["autoscaler", "guardrail", "fleet", "proposal"];

/// One object that must not be taken; the same cases go to a real API server in the integration tests.
#[derive(Deserialize)]
struct Case {
    sample: String,
    #[serde(default)]
    update: bool,
    set: BTreeMap<String, Value>,
}

fn read<T: DeserializeOwned>(path: &str) -> T {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn sample<T: DeserializeOwned>(name: &str) -> T {
    read(&format!("deploy/samples/{name}.yaml"))
}

/// What the conversion says of an object; nothing when it does not even have its kind's types.
fn taken(kind: &str, object: Value) -> Option<Result<(), SpecError>> {
    match kind {
        "autoscaler" => {
            let object: IntelligentPodAutoscaler = serde_json::from_value(object).ok()?;
            Some(convert::group(&object, &built_in).map(drop))
        }
        "guardrail" => {
            let object: ScalingGuardrail = serde_json::from_value(object).ok()?;
            Some(convert::guardrail(&object).map(drop))
        }
        "fleet" => {
            let object: NodeFleet = serde_json::from_value(object).ok()?;
            Some(convert::fleet(&object).map(drop))
        }
        "proposal" => {
            let object: ScalingProposal = serde_json::from_value(object).ok()?;
            Some(convert::queued(&object).map(drop))
        }
        other => panic!("no sample is called {other}"),
    }
}

#[test]
fn every_sample_is_taken_and_they_belong_together() {
    for name in SAMPLES {
        assert_eq!(taken(name, sample(name)), Some(Ok(())), "{name}");
    }
    let group = convert::group(&sample("autoscaler"), &built_in).unwrap();
    let guardrail = convert::guardrail(&sample("guardrail")).unwrap();
    assert!(group.targets.iter().all(|t| guardrail.targets.contains_key(&t.key)));
}

#[test]
fn fault_t16_what_the_server_must_refuse_the_code_refuses_as_well() {
    let cases: Vec<Case> = read("tests/crd_cases.yaml");
    let mut checked = 0;
    for case in cases.iter().filter(|case| !case.update) {
        let mut object: Value = sample(&case.sample);
        for (pointer, value) in &case.set {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            match object.pointer_mut(pointer) {
                Some(place) => *place = value.clone(),
                None => object.pointer_mut(parent).unwrap()[field] = value.clone(),
            }
        }
        assert_ne!(taken(&case.sample, object), Some(Ok(())), "{} with {:?} was taken", case.sample, case.set);
        checked += 1;
    }
    assert!(checked >= 45, "only {checked} cases were checked");
}

#[test]
fn fault_g09_a_bad_spec_that_is_reverted_is_taken_again() {
    let mut object: Value = sample("autoscaler");
    object["spec"]["targets"][0]["min"] = json!(50);
    assert_eq!(
        taken("autoscaler", object.clone()).unwrap().unwrap_err().to_string(),
        "spec.targets[0].min: 50 is above max 40; lower min or raise max"
    );
    object["spec"]["targets"][0]["min"] = json!(2);
    assert_eq!(taken("autoscaler", object), Some(Ok(())));
}

/// Every place below `spec`, as a JSON pointer: leaves, lists and objects alike.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, value)| places(value, &format!("{at}/{i}"), found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC{0,40}".prop_map(Value::from),
        proptest::sample::select(vec![
            "",
            "-1",
            "0",
            "1e400",
            "NaN",
            "9E99",
            "100 m",
            "99999999999999999999h",
            "24:00",
            "9999-12-31T23:59:59Z"
        ])
        .prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        proptest::sample::select(vec![json!(null), json!([]), json!({}), json!(0.5), json!([[], {}]), json!(["", ""])]),
    ]
}

proptest! {
    #[test]
    fn fault_g09_no_mutation_of_a_field_panics_and_each_refusal_names_a_field(
        name in proptest::sample::select(SAMPLES.to_vec()),
        place in any::<prop::sample::Index>(),
        value in any_value(),
    ) {
        let mut object: Value = sample(name);
        let mut found = Vec::new();
        places(&object["spec"], "/spec", &mut found);
        let pointer = place.get(&found);
        *object.pointer_mut(pointer).unwrap() = value;
        if let Some(Err(error)) = taken(name, object) {
            prop_assert!(error.path.starts_with("spec."), "{pointer}: {error}");
            prop_assert!(!error.message.contains('\n') && error.message.chars().count() < 300, "{pointer}: {error}");
        }
    }
}
