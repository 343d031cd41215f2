//! The node pools that an incident names. Where it names none there is always room: it is not about nodes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::check::{each_once, name, whole_seconds};
use super::document::{NodesDocument, PoolDocument};
use super::{IncidentWorkload, PoolSpec};
use crate::adapters::prices::{PriceList, kwok, list};
use crate::crd::SpecError;
use crate::crd::error::quoted;
use crate::domain::fleet::InstanceType;
use crate::domain::workload::ResourceList;

/// Most nodes of a pool.
const MOST_NODES: u32 = 10_000;

/// The pools.
///
/// # Errors
/// [`SpecError`] for a type that the catalogue does not know, a pool that takes no pod of a workload, and whatever else makes no pool.
pub(super) fn pools(document: Option<&NodesDocument>, workloads: &[IncidentWorkload]) -> Result<Vec<PoolSpec>, SpecError> {
    let Some(NodesDocument { pools }) = document else { return Ok(Vec::new()) };
    if pools.is_empty() {
        return Err(SpecError::new(&"spec.nodes.pools", "there is no pool; name one, or leave spec.nodes out"));
    }
    each_once(pools.iter().map(|pool| pool.name.as_str()), |index| format!("spec.nodes.pools[{index}].name"))?;
    let mut specs = Vec::with_capacity(pools.len());
    for (index, document) in pools.iter().enumerate() {
        specs.push(pool(document, &format!("spec.nodes.pools[{index}]"))?);
    }
    let lists = |instance_type: &Arc<str>| specs.iter().any(|pool| pool.instance_types.contains(instance_type));
    for (index, workload) in workloads.iter().enumerate() {
        let requests = pod_requests(workload);
        if !known().iter().any(|(name, room)| lists(name) && requests.fits(room)) {
            return Err(SpecError::new(
                &format_args!("spec.workloads[{index}].requests"),
                format_args!(
                    "no instance type of the pools has room for {} and {}; ask for less, or add a larger type",
                    requests.cpu, requests.memory
                ),
            ));
        }
    }
    Ok(specs)
}

fn pool(document: &PoolDocument, at: &str) -> Result<PoolSpec, SpecError> {
    let PoolDocument { name: called, instance_types, zones, capacity_types, provisioning, max } = document;
    let called = name(called, &format_args!("{at}.name"))?;
    if instance_types.is_empty() {
        return Err(SpecError::new(&format_args!("{at}.instanceTypes"), "there is no type; name one such as m6i.xlarge"));
    }
    each_once(instance_types.iter().map(String::as_str), |index| format!("{at}.instanceTypes[{index}]"))?;
    each_once(zones.iter().map(String::as_str), |index| format!("{at}.zones[{index}]"))?;
    if let Some(index) = instance_types.iter().position(|name| !known().contains_key(name.as_str())) {
        return Err(SpecError::new(
            &format_args!("{at}.instanceTypes[{index}]"),
            format_args!("{} is not in the built-in price lists; name a type that is, such as m6i.xlarge", quoted(&instance_types[index])),
        ));
    }
    for (index, zone) in zones.iter().enumerate() {
        name(zone, &format_args!("{at}.zones[{index}]"))?;
    }
    each_once(capacity_types.iter().map(|kind| kind.label()), |index| format!("{at}.capacityTypes[{index}]"))?;
    if capacity_types.is_empty() {
        return Err(SpecError::new(&format_args!("{at}.capacityTypes"), "there is no way to pay; write on-demand, spot or both"));
    }
    if !(1..=MOST_NODES).contains(max) {
        return Err(SpecError::new(&format_args!("{at}.max"), format_args!("{max} is out of range; write a count from 1 to {MOST_NODES}")));
    }
    Ok(PoolSpec {
        name: called.into(),
        instance_types: instance_types.iter().map(|name| Arc::from(name.as_str())).collect(),
        zones: zones.iter().map(|zone| Arc::from(zone.as_str())).collect(),
        capacity_types: capacity_types.clone(),
        provisioning_s: whole_seconds(*provisioning, &format_args!("{at}.provisioning"))?,
        max: *max,
    })
}

/// What one pod asks of a node.
fn pod_requests(workload: &IncidentWorkload) -> ResourceList {
    let resources = &workload.resources;
    ResourceList {
        cpu: resources.cpu_request.unwrap_or_default(),
        memory: resources.memory_request.unwrap_or_default(),
        pods: 1,
        ..ResourceList::default()
    }
}

/// Room of every instance type of the built-in lists, by name. Read once: it is the same for every incident.
fn known() -> &'static BTreeMap<Arc<str>, ResourceList> {
    static KNOWN: OnceLock<BTreeMap<Arc<str>, ResourceList>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let zones = |list: PriceList| list.default_zones().iter().map(|zone| Arc::from(*zone)).collect::<Vec<Arc<str>>>();
        // A list that could not be read would leave its types unknown; a test of the lists holds that all can.
        let listed = [
            list::aws(&zones(PriceList::AWS)).unwrap_or_default(),
            list::gce(&zones(PriceList::GCE)).unwrap_or_default(),
            kwok::types(&zones(PriceList::KarpenterKWOK)),
        ];
        listed.into_iter().flatten().map(|InstanceType { name, allocatable, .. }| (name, allocatable)).collect()
    })
}
