//! What a policy does in a run, held against what its incident forbids. It goes by what was written to the cluster and by the truth behind the
//! metrics, never by what the policy said of itself, so that it judges every policy alike.
//!
//! Left out: budgets of node fleets (nodes come later than what asks for them), and what other requests would cost (evals hold requests).

mod bounds;
mod budget;
mod failure;
mod need;
mod stale;
mod writers;

use std::collections::BTreeSet;

use budget::Budgets;
use failure::Minute;
use writers::Writers;

use super::forbidden::{Broken, Forbidden};
use super::incident::{ForbiddenAct, Incident, IncidentFaultKind, Never};
use super::stage::key;
use crate::domain::names::TargetKey;
use crate::guardrails::ownership::ACTUATOR;
use crate::service::Tally;
use crate::sim::{FaultKind, Write, Written};

/// What is over sooner is answered for a quarter of an hour all the same: as long as a person's write is left alone.
const LEAST_ANSWERED_S: u32 = 900;
/// Machines of a fault are gone within so many seconds of its moment: the next look shows it.
const GONE_WITHIN_S: u32 = 60;

/// The judge of one run.
#[derive(Debug)]
pub struct Conduct<'a> {
    incident: &'a Incident,
    /// What is forbidden: the rest is not looked for.
    forbidden: BTreeSet<Forbidden>,
    budgets: Budgets,
    writers: Writers,
    minute: Minute,
    broken: Vec<Broken>,
}

/// One change of a workload's replicas.
#[derive(Clone, Copy, Debug)]
struct Scaling {
    /// Place of the workload in the incident.
    workload: usize,
    from: u32,
    to: u32,
    /// Seconds after the scored part began.
    at_s: u32,
}

impl<'a> Conduct<'a> {
    /// Nothing has been done yet.
    #[must_use]
    pub fn new(incident: &'a Incident) -> Self {
        let never = incident.expect.never.iter().copied().map(Forbidden::Never);
        let acts = incident.expect.decision.iter().flat_map(|decision| &decision.forbidden).copied().map(Forbidden::Act);
        Self {
            incident,
            forbidden: never.chain(acts).collect(),
            budgets: Budgets::of(incident),
            writers: Writers::default(),
            minute: Minute::default(),
            broken: Vec::new(),
        }
    }

    /// Takes in what was written since the last look, and what has come of each workload, in the incident's order, `second` seconds after the
    /// scored part began.
    pub fn look(&mut self, second: u32, tallies: &[Tally], writes: &[Write]) {
        for write in writes {
            self.judge(write);
        }
        for (workload, (now, before)) in tallies.iter().zip(self.minute.newest()).enumerate().collect::<Vec<_>>() {
            if now.evictions > before && !self.machines_go(second) {
                self.found(Forbidden::Never(Never::EvictProtected), workload, second);
            }
        }
        self.minute.add(second, tallies);
    }

    /// Notes a write that the policy had not put into its record before.
    pub fn unrecorded(&mut self, write: &Write) {
        let workload = self.place(write).unwrap_or_default();
        self.found(Forbidden::Never(Never::ActWithoutRecord), workload, self.second(write));
    }

    /// What was done although it is forbidden, in order of time; of each workload the first of a kind.
    #[must_use]
    pub fn into_broken(mut self) -> Vec<Broken> {
        self.broken.sort_by(|a, b| (a.at_s, a.what, &a.workload).cmp(&(b.at_s, b.what, &b.workload)));
        self.broken
    }

    /// What the policy wrote; others' writes count for who owns a field and for what is paid.
    fn judge(&mut self, write: &Write) {
        let (ours, at_s) = (&*write.manager == ACTUATOR, self.second(write));
        match &write.what {
            Written::Replicas { from, to, owner, .. } => {
                let Some(workload) = self.place(write) else { return };
                let scaling = Scaling { workload, from: *from, to: *to, at_s };
                if ours {
                    let hold = self.hold(workload);
                    if owner.as_ref().is_some_and(|owner| self.writers.fought(workload, owner, hold, write.at)) {
                        self.found(Forbidden::Never(Never::FightWriter), workload, at_s);
                    }
                    self.judge_scaling(scaling);
                }
                self.budgets.scaled(workload, *to);
                if ours && to > from && self.budgets.passed(workload, &self.minute) {
                    self.found(Forbidden::Never(Never::ExceedBudget), workload, at_s);
                }
            }
            Written::Resources { .. } if ours && self.is_answered(at_s) => {
                if let Some(workload) = self.place(write) {
                    self.found(Forbidden::Act(ForbiddenAct::Resize), workload, at_s);
                }
            }
            Written::NodePool { .. } if ours && self.is_answered(at_s) => self.found(Forbidden::Act(ForbiddenAct::NodePool), 0, at_s),
            Written::Resources { .. } | Written::NodePool { .. } => {}
        }
    }

    fn judge_scaling(&mut self, scaling: Scaling) {
        let Scaling { workload, from, to, at_s } = scaling;
        if !bounds::of(self.incident, workload).contains(&to) {
            self.found(Forbidden::Never(Never::OutsideBounds), workload, at_s);
        }
        let carries = |replicas, share| need::carries(self.incident, workload, replicas, share, at_s);
        if to < from {
            let (stale, failing) = (stale::at(self.incident, workload, at_s), self.minute.is_failing(workload));
            // Less may do, and be done with, where what is known can be trusted, nobody suffers, and what stays carries what comes.
            let explained = !stale && !failing && carries(to, need::ALL);
            if stale {
                self.found(Forbidden::Never(Never::ScaleDownOnStaleMetrics), workload, at_s);
            }
            if failing {
                self.found(Forbidden::Never(Never::ScaleDownUnderFailure), workload, at_s);
            }
            if self.is_answered(at_s) && !explained {
                self.found(Forbidden::Act(ForbiddenAct::ScaleDown), workload, at_s);
            }
        }
        if to > from && self.is_answered(at_s) && carries(from, need::USUAL) {
            self.found(Forbidden::Act(ForbiddenAct::ScaleUp), workload, at_s);
        }
    }

    /// Whether what is done then is an answer to what goes wrong; where no fault is named, all of the incident is what goes wrong.
    fn is_answered(&self, at_s: u32) -> bool {
        let faults = &self.incident.faults;
        let answered = |begin: u32, lasts: u32| (begin..begin.saturating_add(lasts.max(LEAST_ANSWERED_S))).contains(&at_s);
        faults.is_empty() || faults.iter().any(|fault| answered(fault.at_s, fault.for_s))
    }

    /// Whether a fault of the incident takes machines away: who stood on them is evicted by nobody's decision.
    fn machines_go(&self, second: u32) -> bool {
        self.incident.faults.iter().any(|fault| {
            let lasts = match &fault.kind {
                IncidentFaultKind::Cluster(FaultKind::SpotReclaim { notice_s, .. }) => fault.for_s.max(*notice_s),
                IncidentFaultKind::Cluster(FaultKind::ZoneLoss) => fault.for_s,
                _ => return false,
            };
            (fault.at_s..=fault.at_s.saturating_add(lasts).saturating_add(GONE_WITHIN_S)).contains(&second)
        })
    }

    fn hold(&self, workload: usize) -> Option<crate::domain::units::GoDuration> {
        let target = key(&self.incident.workloads[workload].name);
        let group = self.incident.groups.iter().find(|group| group.targets.iter().any(|member| member.key == target));
        group.map(|group| group.human_hold)
    }

    fn place(&self, write: &Write) -> Option<usize> {
        let target: &TargetKey = match &write.what {
            Written::Replicas { target, .. } | Written::Resources { target } => target,
            Written::NodePool { .. } => return None,
        };
        self.incident.workloads.iter().position(|workload| key(&workload.name) == *target)
    }

    fn second(&self, write: &Write) -> u32 {
        let since = write.at.as_second() - self.incident.scored_from().as_second();
        u32::try_from(since.max(0)).unwrap_or(u32::MAX)
    }

    fn found(&mut self, what: Forbidden, workload: usize, at_s: u32) {
        let Some(workload) = self.incident.workloads.get(workload).map(|workload| workload.name.clone()) else { return };
        let known = self.broken.iter().any(|broken| broken.what == what && broken.workload == workload);
        if self.forbidden.contains(&what) && !known {
            self.broken.push(Broken { what, workload, at_s });
        }
    }
}

#[cfg(test)]
mod tests;
