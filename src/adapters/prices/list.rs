//! Reads the built-in lists: one line a type, `#` for what is said about them. The format is this project's own.

use std::sync::Arc;

use super::allocatable::{Shape, eks, gke};
use crate::domain::fleet::{CapacityType, InstanceType, Offering};
use crate::domain::units::MicroUsd;

const AWS: &str = include_str!("aws.csv");
const GCE: &str = include_str!("gce.csv");

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read line {line} of the built-in list {list}: {column} is `{value}`")]
pub struct ListError {
    list: &'static str,
    line: usize,
    column: &'static str,
    value: String,
}

/// A line by its columns.
struct Line<'a> {
    list: &'static str,
    number: usize,
    columns: std::str::Split<'a, char>,
}

impl<'a> Line<'a> {
    fn text(&mut self) -> &'a str {
        self.columns.next().unwrap_or_default()
    }

    fn number<T: std::str::FromStr>(&mut self, column: &'static str) -> Result<T, ListError> {
        let value = self.text();
        value.parse().map_err(|_| ListError { list: self.list, line: self.number, column, value: value.to_owned() })
    }

    fn number_if_any<T: std::str::FromStr>(&mut self, column: &'static str) -> Result<Option<T>, ListError> {
        // Peeks by cloning: an empty column is an absent value, and not a wrong one.
        if self.columns.clone().next().is_none_or(str::is_empty) {
            self.columns.next();
            return Ok(None);
        }
        self.number(column).map(Some)
    }
}

fn lines<'a>(list: &'static str, text: &'a str) -> impl Iterator<Item = Line<'a>> {
    let told = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    told.map(move |(number, line)| Line { list, number: number + 1, columns: line.split(',') })
}

/// EC2 types, offered in `zones`.
///
/// # Errors
/// [`ListError`].
pub fn aws(zones: &[Arc<str>]) -> Result<Vec<InstanceType>, ListError> {
    lines("aws", AWS)
        .map(|mut line| {
            let (family, arch, size) = (line.text(), line.text(), line.text());
            let (vcpu, memory_mib) = (line.number("vcpu")?, line.number("memory_mib")?);
            let (gpus, pods) = (line.number("gpus")?, line.number("pods")?);
            let shape = Shape { vcpu, memory_mib, gpus, pods, arm: arch == "arm64" };
            let on_demand: f64 = line.number("on_demand_usd")?;
            let saving: Option<f64> = line.number_if_any("spot_saving_percent")?;
            let mut labels = vec![
                ("karpenter.k8s.aws/instance-family", family.to_owned()),
                ("karpenter.k8s.aws/instance-size", size.to_owned()),
                ("karpenter.k8s.aws/instance-cpu", vcpu.to_string()),
                ("karpenter.k8s.aws/instance-memory", memory_mib.to_string()),
                ("karpenter.k8s.aws/instance-category", family.chars().take_while(char::is_ascii_alphabetic).collect()),
                (
                    "karpenter.k8s.aws/instance-generation",
                    family.chars().skip_while(char::is_ascii_alphabetic).take_while(char::is_ascii_digit).collect(),
                ),
            ];
            if gpus > 0 {
                labels.push(("karpenter.k8s.aws/instance-gpu-count", gpus.to_string()));
            }
            let spot = saving.map(|percent| on_demand * (100.0 - percent) / 100.0);
            let offerings = offerings(zones, on_demand, spot);
            Ok(instance_type(&format!("{family}.{size}"), family, arch, labels, InstanceParts { allocatable: eks(&shape), offerings }))
        })
        .collect()
}

/// GCE types, offered in `zones`.
///
/// # Errors
/// [`ListError`].
pub fn gce(zones: &[Arc<str>]) -> Result<Vec<InstanceType>, ListError> {
    lines("gce", GCE)
        .map(|mut line| {
            let (family, arch, name) = (line.text(), line.text(), line.text());
            let (vcpu, memory_mib, gpus) = (line.number("vcpu")?, line.number("memory_mib")?, line.number("gpus")?);
            let shape = Shape { vcpu, memory_mib, gpus, pods: 0, arm: arch == "arm64" };
            let on_demand: f64 = line.number("on_demand_usd")?;
            let spot: Option<f64> = line.number_if_any("spot_usd")?;
            let labels = vec![("cloud.google.com/machine-family", family.to_owned())];
            let offerings = offerings(zones, on_demand, spot);
            Ok(instance_type(name, family, arch, labels, InstanceParts { allocatable: gke(&shape), offerings }))
        })
        .collect()
}

/// What pods and payers see of a type.
struct InstanceParts {
    allocatable: crate::domain::workload::ResourceList,
    offerings: Vec<Offering>,
}

fn instance_type(name: &str, family: &str, arch: &str, labels: Vec<(&str, String)>, parts: InstanceParts) -> InstanceType {
    let common = [("node.kubernetes.io/instance-type", name), ("kubernetes.io/arch", arch), ("kubernetes.io/os", "linux")];
    let mut all: std::collections::BTreeMap<Arc<str>, Arc<str>> =
        labels.into_iter().map(|(key, value)| (Arc::from(key), Arc::from(value))).collect();
    all.extend(common.map(|(key, value)| (Arc::from(key), Arc::from(value))));
    InstanceType { name: name.into(), family: family.into(), labels: all, allocatable: parts.allocatable, offerings: parts.offerings }
}

fn offerings(zones: &[Arc<str>], on_demand: f64, spot: Option<f64>) -> Vec<Offering> {
    let prices = [(CapacityType::OnDemand, Some(on_demand)), (CapacityType::Spot, spot)];
    let mut offerings = Vec::new();
    for zone in zones {
        for (capacity_type, dollars) in prices {
            let offering = |price_per_hour| Offering { zone: zone.clone(), capacity_type, price_per_hour };
            offerings.extend(dollars.and_then(MicroUsd::from_dollars).map(offering));
        }
    }
    offerings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::{Bytes, Millicores};

    #[test]
    fn known_types_are_read_as_they_are_sold() {
        let aws = aws(&["a".into()]).unwrap();
        let g5 = aws.iter().find(|t| &*t.name == "g5.xlarge").unwrap();
        assert_eq!((g5.allocatable.cpu, g5.allocatable.memory), (Millicores(3_920), Bytes(14_162 * Bytes::MIB)));
        assert_eq!(g5.offerings[0].price_per_hour, MicroUsd(1_006_000));
        assert_eq!(&*g5.labels["karpenter.k8s.aws/instance-category"], "g");
        let flex = aws.iter().find(|t| &*t.name == "m7i-flex.large").unwrap();
        assert_eq!((&*flex.family, &*flex.labels["karpenter.k8s.aws/instance-generation"]), ("m7i-flex", "7"));
        let graviton = aws.iter().find(|t| &*t.name == "c7g.medium").unwrap();
        assert_eq!(graviton.allocatable.memory, Bytes(1_392 * Bytes::MIB));

        let gce = gce(&["a".into()]).unwrap();
        let n2 = gce.iter().find(|t| &*t.name == "n2-standard-4").unwrap();
        assert_eq!(n2.allocatable.cpu, Millicores(3_920));
        assert_eq!(n2.offerings.len(), 2);
        let l4 = gce.iter().find(|t| &*t.name == "g2-standard-24").unwrap();
        assert_eq!(l4.allocatable.extended[&Arc::from("nvidia.com/gpu")], 2);
    }

    #[test]
    fn a_line_that_cannot_be_read_says_where() {
        let mut line = lines("aws", "# about\nm9,amd64,large,two").next().unwrap();
        assert_eq!([line.text(), line.text(), line.text()], ["m9", "amd64", "large"]);
        assert_eq!(line.number::<u32>("vcpu").unwrap_err().to_string(), "failed to read line 2 of the built-in list aws: vcpu is `two`");
    }
}
