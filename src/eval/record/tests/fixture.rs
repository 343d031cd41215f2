//! The one door through which the tests of recordings get a cluster, an archive and a ledger.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::adapters::ledger::SqliteLedger;
use crate::domain::limits::{Group, Guardrail, Mode, TargetLimits};
use crate::domain::memory::PlannerMemory;
use crate::domain::names::{Digest, GroupId, TargetKey, TickId};
use crate::domain::plan::{CapacitySource, SizingBasis, SizingReason};
use crate::domain::record::{Asked, Closed, DialogueSummary, EntryBody, Evidence, Opened, PlanSummary, TargetEvidence, TickVerdict, Usage};
use crate::domain::series::Series;
use crate::domain::signal::SignalName;
use crate::domain::snapshot::{ClusterFacts, Event, EventReason, SourceHealth};
use crate::domain::workload::{ContainerResources, ReplicaCounts, Rollout, Workload};
use crate::eval::record::{RecordError, Recording, Request, Sources, record};
use crate::forecast::world;
use crate::ports::{Archive, Body, Ledger, NewEntry, PortError, Recorded, Stretch};
use crate::service::Observe;

/// Wednesday, 4 March 2026, 10:00 UTC: where the scored part begins.
pub(super) const FROM: i64 = world::NOW;
/// Half an hour later.
pub(super) const UNTIL: i64 = FROM + 1800;

pub(super) use world::at;

/// What is told to a recording.
pub(super) struct Told {
    pub(super) facts: ClusterFacts,
    /// Values by signal and workload, each with the second at which its minute ends.
    pub(super) series: BTreeMap<(SignalName, &'static str), Vec<(i64, f32)>>,
    pub(super) observe: Option<Observe>,
    /// The archive does not answer.
    pub(super) broken: bool,
    pub(super) ledger: Vec<Tick>,
    pub(super) memory: Option<PlannerMemory>,
    pub(super) request: Request,
}

/// An entry, with the evidence that it names.
pub(super) struct Tick(i64, EntryBody, Option<Evidence>);

impl Told {
    /// Workloads that declare 50 units/s and were seen for two hours before, and through the stretch: 100 units/s, 8m each, 40 ms, 300 MB.
    pub(super) fn new(workloads: &[&'static str]) -> Self {
        let mut snapshot = world::empty(UNTIL);
        let mut series = BTreeMap::new();
        for name in workloads {
            world::add(&mut snapshot, name, 3, true);
            let minutes = |value: f32| (FROM / 60 - 119..=UNTIL / 60).map(|minute| (minute * 60, value)).collect::<Vec<_>>();
            let usual =
                [(SignalName::Demand, 100.0), (SignalName::Cpu, 0.8), (SignalName::Latency, 0.04), (SignalName::Memory, 300_000_000.0)];
            series.extend(usual.map(|(signal, value)| ((signal, *name), minutes(value))));
        }
        let request = Request {
            cluster: "prod-eu".into(),
            name: "a-stretch".into(),
            group: None,
            from: at(FROM),
            until: at(UNTIL),
            capacities: BTreeMap::new(),
            anonymize: false,
        };
        let observe = Some(Observe::Offered);
        Self { facts: snapshot.facts, series, observe, broken: false, ledger: Vec::new(), memory: None, request }
    }

    /// Resources of the first workload's container.
    pub(super) fn container(&mut self) -> &mut ContainerResources {
        &mut self.facts.workloads.values_mut().next().unwrap().template.containers[0].resources
    }

    /// The platform lists a target.
    pub(super) fn guard(&mut self, key: &TargetKey, limits: TargetLimits) {
        let guardrail = Guardrail {
            namespace: key.namespace.clone(),
            version: "1".into(),
            targets: BTreeMap::from([(key.clone(), limits)]),
            freeze: false,
            highest_mode: Mode::Observe,
            cost_budget_per_hour: None,
            cost_budget_per_month: None,
        };
        self.facts.guardrails.insert(key.namespace.clone(), guardrail);
    }

    pub(super) async fn record(&self) -> Result<Recording, RecordError> {
        let ledger = SqliteLedger::in_memory().await.unwrap();
        for Tick(second, body, evidence) in &self.ledger {
            let mut body = body.clone();
            if let (EntryBody::Opened(opened), Some(evidence)) = (&mut body, evidence) {
                opened.evidence = ledger.put_bodies(vec![Body::Evidence(evidence.clone())], at(*second)).await.unwrap().remove(0);
            }
            let tick = TickId(second.cast_unsigned());
            let entry = NewEntry { at: at(*second), cluster: "prod-eu".into(), group: GroupId::new("shop", "shop"), tick, body };
            ledger.append(vec![entry]).await.unwrap();
        }
        let sources = Sources { facts: &self.facts, archive: self, ledger: Some(&ledger), memory: self.memory.as_ref() };
        record(sources, &self.request).await
    }
}

#[async_trait]
impl Archive for Told {
    async fn recorded(
        &self,
        groups: &BTreeMap<GroupId, Group>,
        workloads: &BTreeMap<TargetKey, Workload>,
        signal: &SignalName,
        stretch: Stretch,
    ) -> Result<BTreeMap<TargetKey, Recorded>, PortError> {
        assert_eq!(groups.len(), 1, "one group is asked for");
        if self.broken {
            return Err(PortError::Failed { action: format!("read what was recorded of {signal}"), detail: "the server is down".into() });
        }
        let begin = stretch.from - stretch.past;
        let recorded = |key: &TargetKey| {
            let (_, all) = self.series.iter().find(|((name, workload), _)| name == signal && **workload == *key.name)?;
            let asked = all.iter().filter(|(second, _)| at(*second) > begin && at(*second) <= stretch.until);
            let mut series = Series::new(at(0), 60);
            asked.for_each(|(second, value)| series.push(at(*second), *value));
            let answered = series.end().is_some_and(|end| end > stretch.from);
            answered.then(|| (key.clone(), Recorded { series, source: "scripted".into(), observe: self.observe }))
        };
        Ok(workloads.keys().filter_map(recorded).collect())
    }
}

/// The opening of a tick that saw these replicas, desired and ready, and these events.
pub(super) fn opened(second: i64, replicas: &[(&str, u32, u32)], events: Vec<Event>, metrics: SourceHealth) -> Tick {
    let target = |(name, desired, ready): &(&str, u32, u32)| TargetEvidence {
        key: TargetKey::deployment("shop", name),
        uid: None,
        replicas: ReplicaCounts { desired: *desired, current: *ready, ready: *ready },
        rollout: Rollout::Complete,
        autoscalers: Vec::new(),
        signals: BTreeMap::new(),
    };
    let evidence = Evidence { targets: replicas.iter().map(target).collect(), events, guardrail: None };
    Tick(second, EntryBody::Opened(Opened { evidence: Digest(String::new()), modes: BTreeMap::new(), metrics }), Some(evidence))
}

/// The end of a tick whose plan had learned a capacity.
pub(super) fn closed(second: i64, key: &TargetKey, capacity: f64) -> Tick {
    let basis = SizingBasis {
        reason: SizingReason::Forecast,
        demand_now: None,
        demand_planned: None,
        quantile: 0.9,
        lead_s: 60.0,
        capacity_per_replica: Some(capacity),
        capacity_source: CapacitySource::Learned,
        target_utilization: 0.8,
        raw: None,
    };
    let plan = PlanSummary { replicas: 3, p50_need: 3, basis, outlook: None, model: None, shadow_hpa: None, cost_per_hour: None };
    let closed = Closed {
        verdict: TickVerdict::Held,
        reason: "InLine".into(),
        plan: BTreeMap::from([(key.clone(), plan)]),
        proposals: Vec::new(),
        findings: Vec::new(),
        dialogue: DialogueSummary { asked: Asked::NoModel, end: None, transcript: None, usage: Usage::default() },
    };
    Tick(second, EntryBody::Closed(Box::new(closed)), None)
}

pub(super) fn event(second: i64, target: &str, reason: EventReason, count: u32) -> Event {
    Event { id: "ev1".into(), at: at(second), target: TargetKey::deployment("shop", target), kind: "Pod".into(), reason, count }
}
