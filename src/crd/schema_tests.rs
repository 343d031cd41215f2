//! What holds of all four schemas: every field explains itself, everything is bounded, nothing names an address or a secret.

use serde_json::{Map, Value};

use super::{API_GROUP, API_VERSION, crds};

/// Every property of every kind, with its path.
fn fields() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for definition in crds() {
        let kind = definition.spec.names.kind;
        for version in definition.spec.versions {
            let schema = serde_json::to_value(version.schema.unwrap().open_api_v3_schema.unwrap()).unwrap();
            walk(&kind, &schema, &mut found);
        }
    }
    assert!(found.len() > 150, "only {} fields were found", found.len());
    found
}

fn walk(path: &str, schema: &Value, found: &mut Vec<(String, Value)>) {
    for (name, property) in schema["properties"].as_object().unwrap_or(&Map::new()) {
        let path = format!("{path}.{name}");
        found.push((path.clone(), property.clone()));
        walk(&path, property, found);
    }
    if schema["items"].is_object() {
        let path = format!("{path}[]");
        // An item of scalars has no description of its own, but bounds.
        if schema["items"]["properties"].is_null() {
            found.push((path.clone(), schema["items"].clone()));
        }
        walk(&path, &schema["items"], found);
    }
}

#[test]
fn every_field_says_what_it_is_and_inputs_say_their_default() {
    for (path, schema) in fields().iter().filter(|(path, _)| !path.ends_with("[]")) {
        let description = schema["description"].as_str().unwrap_or_default();
        assert!(description.chars().count() >= 30, "{path} is described in fewer than 30 characters: {description:?}");
        if path.contains(".spec.") {
            assert!(
                description.contains("Required.") || description.contains("Default: "),
                "{path} says neither its default nor that it is required: {description:?}"
            );
        }
    }
}

#[test]
fn what_the_text_calls_required_is_required_by_the_schema_and_nothing_else_is() {
    fn check(path: &str, schema: &Value) {
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, property) in schema["properties"].as_object().unwrap_or(&Map::new()) {
            let says = property["description"].as_str().unwrap_or_default().contains("Required.");
            if path.contains(".spec") {
                assert_eq!(says, required.contains(&name.as_str()), "{path}.{name}");
            }
            check(&format!("{path}.{name}"), property);
        }
        if schema["items"].is_object() {
            check(&format!("{path}[]"), &schema["items"]);
        }
    }
    for definition in crds() {
        let schema = definition.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        check(&definition.spec.names.kind, &serde_json::to_value(schema).unwrap());
    }
}

#[test]
fn every_text_and_list_is_bounded_or_the_server_refuses_the_rules_for_their_cost() {
    for (path, schema) in fields() {
        match schema["type"].as_str() {
            Some("string") => assert!(!schema["maxLength"].is_null() || !schema["enum"].is_null(), "{path} has no maxLength"),
            Some("array") => assert!(!schema["maxItems"].is_null(), "{path} has no maxItems"),
            Some("integer") => assert!(!schema["minimum"].is_null(), "{path} has no minimum"),
            Some("number") => panic!("{path} is a float; write an integer or a quantity"),
            Some("boolean" | "object") => {}
            other => panic!("{path} has the type {other:?}"),
        }
        assert!(schema["nullable"].is_null(), "{path} may be null; leave it out instead");
        assert!(schema["additionalProperties"].is_null(), "{path} is a map without bounds");
    }
}

#[test]
fn no_field_holds_an_address_or_a_secret() {
    for (path, _) in fields() {
        let name = path.rsplit('.').next().unwrap_or_default().trim_end_matches("[]").to_lowercase();
        // A label's and a taint's key are Kubernetes' words, in proposals that IPA alone writes.
        let kubernetes_key = path.ends_with(".requirements[].key") || path.ends_with(".taints[].key");
        for word in ["url", "uri", "endpoint", "address", "host", "secret", "token", "key", "password", "credential"] {
            let named = name == word || name.ends_with(word) || name.starts_with(word);
            assert!(!named || kubernetes_key, "{path} reads like a {word}");
        }
    }
}

#[test]
fn the_names_are_those_people_type() {
    for definition in crds() {
        assert_eq!((definition.spec.group.as_str(), definition.spec.versions[0].name.as_str()), (API_GROUP, API_VERSION));
    }
    let names: Vec<String> = crds()
        .iter()
        .map(|d| {
            let names = &d.spec.names;
            format!("{} {} {:?} {:?} {}", names.kind, names.plural, names.short_names, names.categories, d.spec.scope)
        })
        .collect();
    assert_eq!(
        names,
        [
            r#"IntelligentPodAutoscaler intelligentpodautoscalers Some(["ipa"]) Some(["autoscaling"]) Namespaced"#,
            r#"ScalingGuardrail scalingguardrails None Some(["autoscaling"]) Namespaced"#,
            r#"NodeFleet nodefleets Some(["nf"]) Some(["autoscaling"]) Cluster"#,
            r#"ScalingProposal scalingproposals Some(["sprop"]) Some(["autoscaling"]) Namespaced"#,
        ]
    );
    let columns: Vec<String> = crds()[0].spec.versions[0]
        .additional_printer_columns
        .iter()
        .flatten()
        .map(|c| format!("{}{}", c.name.to_uppercase(), if c.priority == Some(1) { " wide" } else { "" }))
        .collect();
    assert_eq!(
        columns.join(" "),
        "TARGET MODE MIN CUR DESIRED MAX READY FALLBACK PAUSED LAST-ACTION AGE SHADOW-HPA wide CONFIDENCE wide MODEL wide REASON wide"
    );
}
