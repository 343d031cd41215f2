//! One workload as the incident has it: what the cluster says, what the ticks saw, what its signals teach, and for the rest the format's own
//! defaults, each of them told. (pure)

use std::collections::VecDeque;

use jiff::Timestamp;

use super::account::Account;
use super::demand::Own;
use super::learn::{Lessons, lessons};
use super::ledger::Kept;
use super::seen::Seen;
use super::subject::{Subject, Target};
use super::{ByTarget, RecordError, Request};
use crate::domain::limits::Slo;
use crate::domain::memory::{PlannerMemory, TargetMemory};
use crate::domain::series::quantile;
use crate::domain::signal::SignalName;
use crate::domain::units::{Bytes, GoDuration};
use crate::domain::workload::ContainerResources;
use crate::eval::incident::document::{
    BoundsDocument, CallDocument, DemandDocument, LimitsDocument, RequestsDocument, ServiceDocument, SloDocument, StartUpQuantiles,
    StartUpText, WorkloadDocument,
};
use crate::eval::incident::{CPUQuantity, CPUShare, MemoryQuantity, Observe};
use crate::service::ServiceKind;
use crate::sizing::{lead, learn_startup};

/// The API server writes times in whole seconds: what was quicker looks like none at all.
const QUICKEST_START_S: f32 = 1.0;

/// What a workload is put together from.
pub(super) struct Context<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) kept: &'a Kept,
    pub(super) seen: &'a Seen,
    pub(super) own: &'a ByTarget<Own>,
    pub(super) request: &'a Request,
    pub(super) memory: Option<&'a PlannerMemory>,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// The file of a workload's demand.
pub(super) fn series_file(called: &str) -> String {
    format!("{called}.csv")
}

impl Context<'_> {
    /// One workload.
    pub(super) fn document(&self, target: &Target<'_>, account: &mut Account) -> Result<WorkloadDocument, RecordError> {
        let called = &target.called;
        let resources = target.workload.container(target.named.container.as_deref()).map(|c| c.resources).unwrap_or_default();
        let missing = |resource| RecordError::Request { workload: called.clone(), resource };
        let requests = RequestsDocument {
            // The API server takes a limit for the request where none is written.
            cpu: CPUQuantity(resources.cpu_request.or(resources.cpu_limit).ok_or_else(|| missing("cpu"))?),
            memory: MemoryQuantity(resources.memory_request.or(resources.memory_limit).ok_or_else(|| missing("memory"))?),
        };
        let promised = self.subject.group.slo.unwrap_or_else(|| {
            account.assume(format!("{called}.slo.latency"), Slo::default().latency, "the group promises nothing");
            Slo::default()
        });
        let lessons = lessons(target, &resources, promised.latency.seconds(), self.seen, self.kept);
        let service = self.service(target, &lessons, promised.latency, account)?;
        let bounds = target.bounds();
        Ok(WorkloadDocument {
            name: called.clone(),
            replicas: self.replicas(target, account),
            bounds: BoundsDocument { min: bounds.min, max: bounds.max },
            requests,
            limits: limits(&resources),
            startup: self.start_up(target, account),
            startup_cpu: None,
            service,
            demand: self.demand(target, account),
            slo: SloDocument { latency: promised.latency },
            criticality: target.named.criticality,
            depends_on: self.calls(target),
        })
    }

    /// Replicas when the stretch began.
    fn replicas(&self, target: &Target<'_>, account: &mut Account) -> u32 {
        let called = &target.called;
        let began = self.kept.began_with(target.key, self.from).unwrap_or_else(|| {
            let now = target.workload.replicas.desired;
            account.assume(format!("{called}.replicas"), now, "no tick of that time is in the ledger: it is the present count");
            now
        });
        let bounds = target.bounds();
        if bounds.clamp(began) != began {
            account.note(format!("{called} began with {began} replicas, outside {} to {}: it begins inside", bounds.min, bounds.max));
        }
        bounds.clamp(began)
    }

    /// Start-ups that were learned, and those of the pods there are.
    fn start_up(&self, target: &Target<'_>, account: &mut Account) -> StartUpText {
        let learned = self.memory.and_then(|memory| memory.targets.get(target.key)).filter(|memory| memory.uid == target.workload.uid);
        let mut memory = learned.cloned().unwrap_or_default();
        learn_startup(&mut memory, target.workload);
        let seen: Vec<f32> = memory.startup_s.iter().map(|seconds| seconds.max(QUICKEST_START_S)).collect();
        match (quantile(&seen, 0.5).map(whole), quantile(&seen, 0.95).map(whole)) {
            (Some(p50), Some(p95)) if p50 < p95 => StartUpText::Quantiles(StartUpQuantiles { p50, p95 }),
            (Some(always), _) => StartUpText::Always(always),
            (None, _) => {
                let usual = whole(lead(&TargetMemory::default(), &VecDeque::new(), false, 0.0).startup_s as f32);
                account.assume(format!("{}.startup", target.called), usual, "no pod was seen to start");
                StartUpText::Always(usual)
            }
        }
    }

    fn service(
        &self,
        target: &Target<'_>,
        lessons: &Lessons,
        promised: GoDuration,
        account: &mut Account,
    ) -> Result<ServiceDocument, RecordError> {
        let called = &target.called;
        let of = |field: &str| format!("{called}.service.{field}");
        let mut service = ServiceDocument::of(self.capacity(target, lessons)?);
        let has = |signal| self.seen.of(&signal, target.key).is_some();
        service.kind = match (has(SignalName::Queue), has(SignalName::Latency)) {
            (true, false) => ServiceKind::Queue,
            (_, true) => ServiceKind::HTTP,
            (false, false) => {
                account.assume(of("kind"), "HTTP", "neither a latency nor a queue was measured");
                ServiceKind::HTTP
            }
        };
        match lessons.base_latency_s {
            Some(least) if service.kind == ServiceKind::HTTP && least >= promised.seconds() => {
                return Err(RecordError::PromiseNeverKept { workload: called.clone(), least: milliseconds(least), promised });
            }
            Some(least) => service.base_latency = milliseconds(least),
            None => account.assume(of("baseLatency"), service.base_latency, "no latency was measured"),
        }
        if service.kind == ServiceKind::HTTP {
            account.assume(of("timeout"), service.timeout, "callers' time-outs are not measured");
            account.assume(of("retry"), "none", "callers' retries are not measured apart");
        }
        account.assume(of("contention"), service.contention, "a shared back end is not measured");
        match lessons.cpu_per_unit {
            Some(cores) => service.cpu_per_unit = CPUShare(cores),
            None => account.assume(of("cpuPerUnit"), format!("{}m", service.cpu_per_unit.0 * 1000.0), "no CPU was measured beside demand"),
        }
        if let Some(memory) = lessons.memory {
            service.memory.base = MemoryQuantity(memory.base);
            service.memory.per_unit = MemoryQuantity(memory.per_unit.unwrap_or_default());
            if memory.per_unit.is_none() {
                account.assume(of("memory.perUnit"), Bytes::default(), "load was not seen to change it");
            }
        } else {
            account.assume(of("memory.base"), service.memory.base.0, "no memory was measured");
            account.assume(of("memory.perUnit"), service.memory.per_unit.0, "no memory was measured");
        }
        account.assume(of("memory.leakPerHour"), service.memory.leak_per_hour.0, "a leak is not told from growth");
        Ok(service)
    }

    /// As given, declared, learned by the ticks, or learned from the signals.
    fn capacity(&self, target: &Target<'_>, lessons: &Lessons) -> Result<f64, RecordError> {
        let given = self.request.capacities.get(&*target.key.name).copied();
        given
            .or(target.named.capacity_per_replica)
            .or_else(|| self.kept.learned_capacity(target.key))
            .or(lessons.capacity)
            .ok_or_else(|| RecordError::Capacity { workload: target.key.name.to_string() })
    }

    fn demand(&self, target: &Target<'_>, account: &mut Account) -> Option<DemandDocument> {
        let called = &target.called;
        let own = self.own.get(target.key)?;
        if !own.has_any() {
            account.note(format!("{called} has no demand of its own: its callers bring all of it"));
            return None;
        }
        if own.less_calls {
            account.note(format!("demand of {called} is what its callers in the group do not account for"));
        }
        let observe = own.observe.unwrap_or_else(|| {
            account.assume(format!("{called}.demand.observe"), "Offered", "the group's own query says which rate it is");
            Observe::Offered
        });
        if observe == Observe::Served {
            account.note(format!(
                "demand of {called} is the rate that was served, from {} to {}: what was offered and lost is not in it",
                self.from, self.until
            ));
        }
        Some(DemandDocument {
            series: series_file(called),
            unit: SignalName::Demand.unit().to_owned(),
            scale: 1.0,
            smooth: Some(false),
            observe,
        })
    }

    fn calls(&self, target: &Target<'_>) -> Vec<CallDocument> {
        let calls = self.subject.calls().filter(|call| call.from == *target.key);
        calls
            .filter_map(|call| {
                Some(CallDocument { name: self.subject.called(&call.to)?.to_owned(), ratio: f64::from(call.ratio_milli) / 1000.0 })
            })
            .collect()
    }
}

fn limits(resources: &ContainerResources) -> Option<LimitsDocument> {
    let limits = LimitsDocument { cpu: resources.cpu_limit.map(CPUQuantity), memory: resources.memory_limit.map(MemoryQuantity) };
    (limits.cpu.is_some() || limits.memory.is_some()).then_some(limits)
}

/// Whole seconds: start-ups are not known finer.
fn whole(seconds: f32) -> GoDuration {
    GoDuration::from_secs(seconds.round() as u64)
}

fn milliseconds(seconds: f64) -> GoDuration {
    GoDuration(std::time::Duration::from_millis((seconds * 1000.0).round() as u64))
}
