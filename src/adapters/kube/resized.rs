//! The annotation `ipa.dev/resized`: sizes that running pods were given in place and that the pod template does not have, for people to read and
//! for the next tick to carry on. A Deployment counts a generation for it and rolls nothing out. A container whose template was changed since is left
//! out: the template is the newer word.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ResourceRequirements;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::template::container_resources;
use crate::domain::resize::Resized;
use crate::domain::units::{Bytes, Millicores};
use crate::domain::workload::{Container, ContainerResources};

/// The annotation's name without IPA's prefix.
pub const RESIZED: &str = "resized";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    since: Timestamp,
    containers: BTreeMap<String, Size>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    /// What the template said when this was written.
    template: ResourceRequirements,
    #[serde(rename = "inForce")]
    in_force: ResourceRequirements,
}

/// What the annotation says, as far as it fits the template's containers. One that cannot be read says nothing.
pub fn read(text: Option<&String>, template: &[Container]) -> Option<Resized> {
    let Written { since, containers } = serde_json::from_str(text?).ok()?;
    let fits = |(name, size): (String, Size)| {
        let container = template.iter().find(|c| *c.name == *name)?;
        let unchanged = container_resources(Some(&size.template)) == container.resources;
        unchanged.then(|| Container { name: container.name.clone(), resources: container_resources(Some(&size.in_force)) })
    };
    let containers: Vec<Container> = containers.into_iter().filter_map(fits).collect();
    (!containers.is_empty()).then_some(Resized { containers, since })
}

/// The annotation's text; `None` where nothing differs from the template.
pub fn write(resized: &Resized, template: &[Container]) -> Option<String> {
    let containers: Map<String, Value> = resized
        .containers
        .iter()
        .filter_map(|container| {
            let written = template.iter().find(|c| c.name == container.name && c.resources != container.resources)?;
            let size = json!({"template": requirements(&written.resources), "inForce": requirements(&container.resources)});
            Some((container.name.to_string(), size))
        })
        .collect();
    (!containers.is_empty()).then(|| json!({"since": resized.since, "containers": containers}).to_string())
}

/// Requests and limits as the API server takes them.
pub fn requirements(resources: &ContainerResources) -> Value {
    let amounts = |cpu: Option<String>, memory: Option<String>| -> Map<String, Value> {
        [("cpu", cpu), ("memory", memory)].into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount?.into()))).collect()
    };
    let ContainerResources { cpu_request, cpu_limit, memory_request, memory_limit } = resources;
    json!({
        "requests": amounts(cpu_request.map(Millicores::quantity), memory_request.map(Bytes::quantity)),
        "limits": amounts(cpu_limit.map(Millicores::quantity), memory_limit.map(Bytes::quantity)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(cpu: u64) -> Container {
        let resources =
            ContainerResources { cpu_request: Some(Millicores(cpu)), memory_limit: Some(Bytes(1 << 30)), ..ContainerResources::default() };
        Container { name: "app".into(), resources }
    }

    fn resized(cpu: u64) -> Resized {
        Resized { containers: vec![app(cpu)], since: "2026-03-02T10:00:00Z".parse().unwrap() }
    }

    #[test]
    fn what_is_written_is_read_back_and_can_be_read_by_people() {
        let text = write(&resized(250), &[app(500)]).unwrap();
        assert_eq!(
            text,
            r#"{"containers":{"app":{"inForce":{"limits":{"memory":"1Gi"},"requests":{"cpu":"250m"}},"template":{"limits":{"memory":"1Gi"},"requests":{"cpu":"500m"}}}},"since":"2026-03-02T10:00:00Z"}"#
        );
        assert_eq!(read(Some(&text), &[app(500)]), Some(resized(250)));
    }

    #[test]
    fn a_template_that_was_changed_since_voids_it() {
        let text = write(&resized(250), &[app(500)]).unwrap();
        assert_eq!(read(Some(&text), &[app(600)]), None);
        assert_eq!(read(Some(&text), &[]), None, "the container is gone");
    }

    #[test]
    fn what_the_template_has_is_not_written_and_nonsense_says_nothing() {
        assert_eq!(write(&resized(500), &[app(500)]), None);
        for nonsense in
            ["", "{}", "true", r#"{"since":"yesterday","containers":{}}"#, r#"{"since":"2026-03-02T10:00:00Z","containers":{"app":1}}"#]
        {
            assert_eq!(read(Some(&nonsense.to_owned()), &[app(500)]), None, "{nonsense}");
        }
        assert_eq!(read(None, &[app(500)]), None);
    }
}
