//! Who is recorded: one group, those of its workloads that are there, and what each is called in the incident. (pure)

use std::collections::BTreeSet;

use super::account::Account;
use super::demand::Own;
use super::{ByTarget, RecordError, Request};
use crate::domain::limits::{Bounds, Dependency, Group, GroupTarget, Guardrail, TargetLimits};
use crate::domain::names::TargetKey;
use crate::domain::snapshot::ClusterFacts;
use crate::domain::workload::Workload;

/// Who is recorded.
pub(super) struct Subject<'a> {
    pub(super) group: &'a Group,
    pub(super) guardrail: Option<&'a Guardrail>,
    pub(super) targets: Vec<Target<'a>>,
}

/// One of its workloads.
pub(super) struct Target<'a> {
    pub(super) key: &'a TargetKey,
    pub(super) named: &'a GroupTarget,
    pub(super) workload: &'a Workload,
    pub(super) limits: Option<&'a TargetLimits>,
    /// Its name in the incident.
    pub(super) called: String,
}

impl<'a> Subject<'a> {
    /// The group that is asked for, or the only one.
    pub(super) fn choose(facts: &'a ClusterFacts, request: &Request, account: &mut Account) -> Result<Self, RecordError> {
        let group = choose_group(facts, request)?;
        let guardrail = facts.guardrails.get(&group.id.namespace);
        let mut targets: Vec<Target<'a>> = Vec::with_capacity(group.targets.len());
        for (index, named) in group.targets.iter().enumerate() {
            let called = if request.anonymize { format!("w{}", index + 1) } else { named.key.name.to_string() };
            let Some(workload) = facts.workloads.get(&named.key) else {
                account.note(format!("{called} is left out: the cluster has it no more"));
                continue;
            };
            if targets.iter().any(|other| other.called == called) {
                return Err(RecordError::SameName { name: called });
            }
            let limits = guardrail.and_then(|guardrail| guardrail.targets.get(&named.key));
            targets.push(Target { key: &named.key, named, workload, limits, called });
        }
        let there: BTreeSet<&str> = targets.iter().map(|target| &*target.key.name).collect();
        if let Some(name) = request.capacities.keys().find(|name| !there.contains(name.as_str())) {
            return Err(RecordError::UnknownCapacity { name: name.clone(), workloads: there.into_iter().map(str::to_owned).collect() });
        }
        Ok(Self { group, guardrail, targets })
    }

    /// Without those for which there is no demand, neither their own nor a caller's.
    pub(super) fn only(mut self, own: &ByTarget<Own>, account: &mut Account) -> Self {
        let (kept, lost): (Vec<_>, Vec<_>) = self.targets.into_iter().partition(|target| own.contains_key(target.key));
        for target in lost {
            account.note(format!("{} is left out: no demand of it is kept, and nobody in the group calls it", target.called));
        }
        self.targets = kept;
        self
    }

    /// The name of a workload in the incident.
    pub(super) fn called(&self, key: &TargetKey) -> Option<&str> {
        self.targets.iter().find(|target| target.key == key).map(|target| target.called.as_str())
    }

    /// Calls among those who are recorded.
    pub(super) fn calls(&self) -> impl Iterator<Item = &'a Dependency> + use<'a, '_> {
        let there = |key| self.called(key).is_some();
        self.group.depends_on.iter().filter(move |call| there(&call.from) && there(&call.to))
    }
}

impl Target<'_> {
    /// The team's bounds inside the platform's; never none at all unless the platform allows it.
    pub(super) fn bounds(&self) -> Bounds {
        let team = self.named.bounds;
        let platform = self.limits.map_or(team, |limits| limits.bounds);
        let least = u32::from(!self.limits.is_some_and(|limits| limits.allow_zero));
        let max = team.max.min(platform.max).max(least);
        Bounds { min: team.min.max(platform.min).max(least).min(max), max }
    }
}

fn choose_group<'a>(facts: &'a ClusterFacts, request: &Request) -> Result<&'a Group, RecordError> {
    let all = || facts.groups.keys().filter(|id| !id.is_fleet()).map(ToString::to_string).collect::<Vec<_>>();
    if let Some(id) = &request.group {
        let unknown = || {
            if facts.groups.is_empty() { RecordError::NoGroup } else { RecordError::UnknownGroup { group: id.to_string(), groups: all() } }
        };
        return facts.groups.get(id).ok_or_else(unknown);
    }
    let mut groups = facts.groups.values().filter(|group| !group.id.is_fleet());
    match (groups.next(), groups.next()) {
        (Some(group), None) => Ok(group),
        (None, _) => Err(RecordError::NoGroup),
        (Some(_), Some(_)) => Err(RecordError::WhichGroup { groups: all() }),
    }
}
