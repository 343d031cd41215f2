//! Writes to the simulated cluster, answered as an API server would: gone, changed meanwhile, in conflict with another manager, or applied.

use std::sync::Arc;

use super::audit::{Write, Written};
use super::nodes::SimPool;
use super::world::{World, time};
use crate::domain::names::TargetKey;
use crate::domain::outcome::OutcomeResult;
use crate::domain::proposal::{Change, NodePoolDraft, ReplicasChange, ResourcesChange};
use crate::domain::resize::Through;
use crate::domain::units::GoDuration;
use crate::domain::workload::{FieldWriter, OwnedField, WriteOperation};
use crate::guardrails::ownership::{ACTUATOR, Ownership, ownership};

/// How long a person's write is left alone where no group says so.
const HUMAN_HOLD: GoDuration = GoDuration::from_mins(15);
/// The name of every simulated workload's container.
pub const CONTAINER: &str = "main";

impl World {
    /// Carries out one change as IPA.
    pub fn write(&mut self, change: &Change) -> OutcomeResult {
        match change {
            Change::Replicas(change) => self.write_replicas(change),
            Change::Resources(change) => self.write_resources(change),
            Change::NodePool(change) => self.write_pool(&change.draft),
            Change::Headroom(_) | Change::Finding(_) => OutcomeResult::Applied { resource_version: None },
        }
    }

    /// An autoscaler beside IPA sets `spec.replicas` of a target under its own name. Says whether it was written: an unknown target is not, nor
    /// what meets a conflict. What is so already stays as it is.
    pub fn set_replicas(&mut self, target: &TargetKey, replicas: u32, manager: &str) -> bool {
        let Some(index) = self.find(target) else { return false };
        if self.workloads[index].desired != replicas {
            if self.write_conflicts(target) {
                return false;
            }
            self.scale(index, replicas, manager);
        }
        true
    }

    /// Somebody sets replicas: `manager` owns them from then on.
    pub(super) fn scale(&mut self, index: usize, replicas: u32, manager: &str) {
        let workload = &mut self.workloads[index];
        let owner = workload.writers.iter().find(|writer| writer.field == OwnedField::Replicas).cloned();
        let (target, from) = (workload.spec.key.clone(), workload.desired);
        workload.count.scaled(self.now, from, replicas);
        workload.desired = replicas;
        workload.generation += 1;
        workload.resource_version += 1;
        workload.writers.retain(|writer| writer.field != OwnedField::Replicas);
        let operation = if manager == ACTUATOR { WriteOperation::Apply } else { WriteOperation::Update };
        workload.writers.push(FieldWriter {
            manager: manager.into(),
            operation,
            subresource: Some("scale".into()),
            field: OwnedField::Replicas,
            at: Some(time(self.now)),
        });
        self.unsettled = true;
        self.note(manager, Written::Replicas { target, from, to: replicas, owner });
    }

    fn note(&mut self, manager: &str, what: Written) {
        self.audit.note(Write { at: time(self.now), manager: manager.into(), what });
    }

    fn write_replicas(&mut self, change: &ReplicasChange) -> OutcomeResult {
        let Some(index) = self.meant(&change.target, &change.uid) else { return OutcomeResult::Gone };
        let workload = &self.workloads[index];
        let mut owners = workload.writers.iter().filter(|writer| writer.field == OwnedField::Replicas);
        if let Some(conflict) = owners.find_map(|owner| self.conflict(&change.target, owner)) {
            return conflict;
        }
        if workload.desired != change.from {
            let detail = format!("spec.replicas is {}, not {}", workload.desired, change.from);
            return OutcomeResult::WorldChanged { detail };
        }
        if self.write_conflicts(&change.target) {
            return modified_meanwhile();
        }
        self.scale(index, change.to, ACTUATOR);
        self.applied(index)
    }

    fn write_resources(&mut self, change: &ResourcesChange) -> OutcomeResult {
        let Some(index) = self.meant(&change.target, &change.uid) else { return OutcomeResult::Gone };
        let conflicts = self.write_conflicts(&change.target);
        if &*change.container != CONTAINER {
            return OutcomeResult::Denied { detail: format!("no container `{}`", change.container) };
        }
        if self.workloads[index].in_force() != change.from {
            return OutcomeResult::WorldChanged { detail: "the container's resources are others".into() };
        }
        if conflicts {
            return modified_meanwhile();
        }
        self.note(ACTUATOR, Written::Resources { target: change.target.clone() });
        match change.through {
            Through::Pods => self.resize(index, &change.to),
            Through::Template => {
                self.write_template(index, change);
                self.applied(index)
            }
        }
    }

    fn write_template(&mut self, index: usize, change: &ResourcesChange) {
        let field = OwnedField::Resources { container: change.container.clone() };
        let workload = &mut self.workloads[index];
        workload.resources = change.to;
        workload.resized = None;
        workload.revision += 1;
        workload.generation += 1;
        workload.resource_version += 1;
        workload.writers.retain(|writer| writer.field != field);
        let at = Some(time(self.now));
        workload.writers.push(FieldWriter { manager: ACTUATOR.into(), operation: WriteOperation::Apply, subresource: None, field, at });
        self.unsettled = true;
    }

    /// A pool as drafted: known by its name it is changed, else it is new and boots as the first pool does.
    fn write_pool(&mut self, draft: &NodePoolDraft) -> OutcomeResult {
        let known = self.pools.iter().position(|pool| pool.name == draft.name);
        let Some(like) = known.or_else(|| (!self.pools.is_empty()).then_some(0)) else {
            return OutcomeResult::Denied { detail: "there is no provisioner".into() };
        };
        let mut pool = SimPool {
            name: draft.name.clone(),
            instance_types: draft.instance_types.clone(),
            capacity_types: draft.capacity_types.clone(),
            limits: Some(draft.limits.clone()),
            weight: draft.weight,
            ..self.pools[like].clone()
        };
        pool.options = pool.find_options(&self.catalogue);
        match known {
            Some(index) => self.pools[index] = pool,
            None => self.pools.push(pool),
        }
        self.unsettled = true;
        self.note(ACTUATOR, Written::NodePool { pool: draft.name.clone() });
        OutcomeResult::Applied { resource_version: None }
    }

    /// What the ownership table says against taking a field of `target` over from its owner.
    fn conflict(&self, target: &TargetKey, owner: &FieldWriter) -> Option<OutcomeResult> {
        let group = self.groups.values().find(|group| group.targets.iter().any(|member| member.key == *target));
        let hold = group.map_or(HUMAN_HOLD, |group| group.human_hold);
        let advice = match ownership(owner, hold, time(self.now), false) {
            Ownership::TakeOver => return None,
            Ownership::HoldUntil(until) => format!("a person wrote it; it is left alone until {until}"),
            Ownership::Conflict { advice } => advice,
        };
        Some(OutcomeResult::Conflicted { manager: owner.manager.clone(), advice })
    }

    /// The workload of that name, if it is the one that was meant.
    fn meant(&self, target: &TargetKey, uid: &Arc<str>) -> Option<usize> {
        self.find(target).filter(|index| self.workloads[*index].uid == *uid)
    }

    fn applied(&self, index: usize) -> OutcomeResult {
        OutcomeResult::Applied { resource_version: Some(self.workloads[index].resource_version.to_string().into()) }
    }
}

/// What an API server answers to a write that was based on an older version.
fn modified_meanwhile() -> OutcomeResult {
    OutcomeResult::WorldChanged { detail: "the object has been modified meanwhile".into() }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{HPASpec, WorkloadSpec};
    use super::super::testing::{NOON, at, replicas, web, world};
    use super::*;
    use crate::domain::units::Millicores;
    use crate::domain::workload::ContainerResources;

    fn key() -> TargetKey {
        TargetKey::deployment("shop", "web")
    }

    #[test]
    fn fault_k08_a_change_meant_for_another_object_of_the_name_is_dropped() {
        let mut world = world(vec![web()]);
        let change = ReplicasChange { target: key(), uid: "another".into(), from: 2, to: 3 };
        assert_eq!(world.write(&Change::Replicas(change)), OutcomeResult::Gone);
        assert_eq!(world.workloads[0].desired, 2);
    }

    #[test]
    fn fault_k01_a_change_of_what_has_changed_meanwhile_is_not_made() {
        let mut world = world(vec![web()]);
        let change = replicas(&world, &key(), 3);
        assert!(world.write(&change).is_applied());
        assert!(matches!(world.write(&change), OutcomeResult::WorldChanged { .. }));
        assert_eq!(world.workloads[0].desired, 3);
    }

    #[test]
    fn fault_k02_replicas_that_an_hpa_owns_end_in_a_conflict_by_name() {
        let hpa = Some(HPASpec { min: 1, max: 10, cpu_percent: 20 });
        let mut world = world(vec![WorkloadSpec { hpa, ..web() }]);
        world.advance_to(at(NOON + 120));
        let scaled = world.workloads[0].desired;
        assert!(scaled > 2, "the HPA follows its target: 64 % of the requests are used, 20 % are wanted");
        let OutcomeResult::Conflicted { manager, advice } = world.write(&replicas(&world, &key(), 3)) else { panic!("written") };
        assert_eq!(&*manager, "kube-controller-manager");
        assert!(advice.contains("ipa adopt"));
        assert_eq!(world.workloads[0].desired, scaled);
    }

    #[test]
    fn other_resources_are_rolled_out_while_three_quarters_stay_ready() {
        let mut world = world(vec![WorkloadSpec { replicas: 4, ..web() }]);
        let from = world.workloads[0].resources;
        let to = ContainerResources { cpu_request: Some(Millicores(500)), ..from };
        let uid = world.workloads[0].uid.clone();
        let change = ResourcesChange { target: key(), uid, container: CONTAINER.into(), from, to, through: Through::Template };
        assert!(world.write(&Change::Resources(change.clone())).is_applied());
        let mut least = u32::MAX;
        for second in 1..=180 {
            world.advance_to(at(NOON + second));
            least = least.min(world.workloads[0].ready());
            assert!(world.workloads[0].pods.iter().filter(|pod| !pod.is_ending()).count() <= 5);
        }
        assert_eq!(least, 3);
        assert!(world.workloads[0].pods.iter().all(|pod| pod.resources == to) && !world.workloads[0].rolling());
        assert_eq!(world.workloads[0].pods.len(), 4);
        assert!(matches!(world.write(&Change::Resources(change)), OutcomeResult::WorldChanged { .. }));
    }
}
