//! What `deploy/` gives away: an account can do what its mode needs and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
}

/// Something an account may do: verb, API group and resource.
type Right = (String, String);

const READING: [&str; 3] = ["get", "list", "watch"];

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn operator() -> Value {
    documents("base/deployment.yaml").into_iter().find(|d| d["kind"] == "Deployment").unwrap()
}

fn container(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["containers"][0]
}

/// All documents of an overlay, following its kustomizations as kustomize does.
fn overlay(folder: &str) -> Vec<Value> {
    let kustomization = documents(&format!("{folder}/kustomization.yaml")).remove(0);
    let mut found = Vec::new();
    for resource in kustomization["resources"].as_array().unwrap() {
        let mut parts: Vec<&str> = folder.split('/').collect();
        for part in resource.as_str().unwrap().split('/') {
            if part == ".." {
                parts.pop();
            } else {
                parts.push(part);
            }
        }
        let path = parts.join("/");
        found.extend(if Path::new(&path).extension().is_some() { documents(&path) } else { overlay(&path) });
    }
    found
}

/// What a subject may do by an overlay's bindings, in any namespace.
fn rights(folder: &str, subject: &str) -> BTreeSet<Right> {
    let all = overlay(folder);
    let roles: BTreeMap<&str, &Value> = all
        .iter()
        .filter(|d| matches!(d["kind"].as_str(), Some("ClusterRole" | "Role")))
        .map(|d| (d["metadata"]["name"].as_str().unwrap(), d))
        .collect();
    let mut rights = BTreeSet::new();
    for binding in all.iter().filter(|d| matches!(d["kind"].as_str(), Some("ClusterRoleBinding" | "RoleBinding"))) {
        if !binding["subjects"].as_array().unwrap().iter().any(|s| s["name"] == subject) {
            continue;
        }
        let role = roles[binding["roleRef"]["name"].as_str().unwrap()];
        rights.extend(rules(role));
    }
    assert!(!rights.is_empty(), "{subject} has no rights in {folder}");
    rights
}

fn rules(role: &Value) -> BTreeSet<Right> {
    let rules: Vec<Rule> = serde_json::from_value(role["rules"].clone()).unwrap();
    let mut rights = BTreeSet::new();
    for Rule { api_groups, resources, verbs } in rules {
        for group in &api_groups {
            for resource in &resources {
                for verb in &verbs {
                    rights.insert((verb.clone(), format!("{group}/{resource}")));
                }
            }
        }
    }
    rights
}

fn writes(folder: &str, subject: &str) -> BTreeSet<Right> {
    rights(folder, subject).into_iter().filter(|(verb, _)| !READING.contains(&verb.as_str())).collect()
}

fn set(rights: &[(&str, &str)]) -> BTreeSet<Right> {
    rights.iter().map(|(verb, on)| ((*verb).to_owned(), (*on).to_owned())).collect()
}

const OBSERVE: [(&str, &str); 13] = [
    ("create", "/events"),
    ("patch", "/events"),
    ("create", "events.k8s.io/events"),
    ("patch", "events.k8s.io/events"),
    ("create", "coordination.k8s.io/leases"),
    ("patch", "coordination.k8s.io/leases"),
    ("update", "coordination.k8s.io/leases"),
    ("patch", "ipa.dev/intelligentpodautoscalers/status"),
    ("update", "ipa.dev/intelligentpodautoscalers/status"),
    ("patch", "ipa.dev/nodefleets/status"),
    ("update", "ipa.dev/nodefleets/status"),
    ("patch", "ipa.dev/scalingproposals/status"),
    ("update", "ipa.dev/scalingproposals/status"),
];

#[test]
fn observing_writes_nothing_but_own_status_events_and_leases() {
    for account in ["ipa-actuator", "ipa-planner"] {
        assert_eq!(writes("overlays/observe", account), set(&OBSERVE), "{account}");
    }
}

#[test]
fn above_observe_ipa_may_ask_and_patch_workloads_and_pools_and_the_planner_nothing() {
    let mut expected = set(&OBSERVE);
    expected.extend(set(&[
        ("create", "ipa.dev/scalingproposals"),
        ("delete", "ipa.dev/scalingproposals"),
        ("patch", "/pods/resize"),
        ("patch", "apps/deployments"),
        ("patch", "apps/deployments/scale"),
        ("patch", "apps/statefulsets"),
        ("patch", "apps/statefulsets/scale"),
        ("patch", "autoscaling/horizontalpodautoscalers"),
        ("create", "karpenter.sh/nodepools"),
        ("patch", "karpenter.sh/nodepools"),
    ]));
    for folder in ["overlays/recommend", "overlays/auto"] {
        assert_eq!(writes(folder, "ipa-actuator"), expected, "{folder}");
        assert_eq!(writes(folder, "ipa-planner"), set(&OBSERVE), "{folder}");
    }
}

#[test]
fn each_overlay_sets_the_mode_it_is_named_after_in_the_pod_so_that_the_pod_is_rolled() {
    for (folder, mode) in [("overlays/observe", "Observe"), ("overlays/recommend", "Recommend"), ("overlays/auto", "Auto")] {
        let kustomization = documents(&format!("{folder}/kustomization.yaml")).remove(0);
        assert_eq!(kustomization["patches"], serde_json::json!([{"path": "mode.yaml"}]), "{folder}");
        let patch = documents(&format!("{folder}/mode.yaml")).remove(0);
        let deployment = operator();
        assert_eq!((&patch["kind"], &patch["metadata"]["name"]), (&deployment["kind"], &deployment["metadata"]["name"]), "{folder}");
        let patched = &patch["spec"]["template"]["spec"]["containers"];
        let expected = serde_json::json!([{"name": container(&deployment)["name"], "env": [{"name": "IPA_MODE", "value": mode}]}]);
        assert_eq!(*patched, expected, "{folder}");
    }
}

#[test]
fn an_edit_of_the_settings_rolls_the_pod_and_the_mode_is_not_among_them() {
    let kustomization = documents("base/kustomization.yaml").remove(0);
    let generated = &kustomization["configMapGenerator"][0];
    assert!(generated["options"]["disableNameSuffixHash"].is_null() && kustomization["generatorOptions"].is_null());
    assert_eq!(generated["name"], container(&operator())["envFrom"][0]["configMapRef"]["name"]);
    let settings = text(&format!("base/{}", generated["envs"][0].as_str().unwrap()));
    assert!(settings.contains("\nIPA_PROMETHEUS_URL=") && !settings.contains("IPA_MODE="), "{settings}");
}

#[test]
fn no_role_has_a_wildcard_reads_a_secret_or_lets_ipa_approve_or_delete_more_than_its_own_questions() {
    let roles = overlay("overlays/auto").into_iter().filter(|d| matches!(d["kind"].as_str(), Some("ClusterRole" | "Role")));
    let mut seen = 0;
    for role in roles {
        let name = role["metadata"]["name"].as_str().unwrap().to_owned();
        for (verb, on) in rules(&role) {
            seen += 1;
            assert!(verb != "*" && !on.contains('*'), "{name} has a wildcard: {verb} {on}");
            assert!(!on.starts_with("/secrets") && !on.starts_with("rbac."), "{name} may {verb} {on}");
            let of_people = ["ipa-admin", "ipa-approver", "ipa-team"].contains(&name.as_str());
            // Its own questions to people, once they have ended, and nothing else.
            let own_questions = name == "ipa-recommend" && verb == "delete" && on == "ipa.dev/scalingproposals";
            assert!(
                of_people
                    || own_questions
                    || !["delete", "deletecollection", "approve", "escalate", "bind", "impersonate"].contains(&verb.as_str()),
                "{name} may {verb} {on}"
            );
            assert!(!of_people || on.starts_with("ipa.dev/"), "{name} may {verb} {on}");
        }
    }
    assert!(seen > 60, "only {seen} rights were looked at");
}

#[test]
fn a_team_cannot_raise_its_own_limits() {
    let people = documents("base/rbac-people.yaml");
    for role in people.iter().filter(|d| d["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true") {
        for (verb, on) in rules(role) {
            let writes = !READING.contains(&verb.as_str());
            assert!(!writes || on == "ipa.dev/intelligentpodautoscalers", "everybody with `edit` may {verb} {on}");
        }
    }
}

#[test]
fn the_operator_runs_without_root_without_a_writable_root_and_with_probes() {
    let deployment = operator();
    let pod = &deployment["spec"]["template"]["spec"];
    let container = container(&deployment);
    assert_eq!(pod["serviceAccountName"], "ipa-actuator");
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["capabilities"]["drop"], serde_json::json!(["ALL"]));
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    assert!(!container["resources"]["requests"]["cpu"].is_null() && !container["resources"]["limits"]["memory"].is_null());
    // The model's key comes as a file that is read anew, never as a variable.
    let mounted = pod["volumes"].as_array().unwrap().iter().any(|v| v["secret"]["secretName"] == "ipa-model");
    assert!(mounted && container["env"].is_null());
}
