//! Usage to requests: CPU from its p95 a pod, memory from the highest of its days, both with room, both above live use; more memory after an OOM
//! kill, more CPU where a limit throttles. Proposed rarely: a change may restart pods. How it reaches them is in `reach`.
//!
//! Where the Vertical Pod Autoscaler's recommender differs: it knows no throttling, so that a limit which caps what is used also caps what is asked
//! for; and its memory fades within days. A limit moves with its request, in the ratio it had; where they were equal they stay equal, since the
//! pod's quality of service hangs on that.

use jiff::{SignedDuration, Timestamp};

use super::usage::{cpu_quantile, memory_quantile};
use crate::domain::limits::ResourceBounds;
use crate::domain::memory::UsageMemory;
use crate::domain::plan::ResourcesPlan;
use crate::domain::resize::Through;
use crate::domain::units::{Bytes, Millicores};
use crate::domain::workload::{Container, ContainerResources};

/// Quantile of CPU a pod that is requested.
const CPU_QUANTILE: f64 = 0.95;
/// Room above it, the Vertical Pod Autoscaler's safety margin.
const CPU_ROOM: f64 = 1.15;
/// Quantile of the days' highest memory that is requested: with weights that fade by half in a week, one high day counts for a week.
const MEMORY_QUANTILE: f64 = 0.95;
/// Room above it.
const MEMORY_ROOM: f64 = 1.15;
/// Least CPU request, millicores: below, shares say nothing.
const LEAST_CPU: u64 = 25;
/// Least memory request: the Vertical Pod Autoscaler's `--pod-recommendation-min-memory-mb` is 250 Mi a pod; a container may do with less.
const LEAST_MEMORY: u64 = 64 * Bytes::MIB;
/// By how much a request must be off to be worth a restart.
const WORTH: f64 = 0.2;
/// Minutes of usage without which nothing is proposed: a day.
const LEAST_MINUTES: u32 = 1440;
/// Time between two changes of one target, unless memory kills it.
const SPACING: SignedDuration = SignedDuration::from_hours(12);
/// What an OOM kill adds: the larger of a fifth and 100 MB, as the Vertical Pod Autoscaler bumps.
const OOM_FACTOR: f64 = 1.2;
const OOM_LEAST: u64 = 100 * Bytes::MIB;
/// Share of throttled periods from which a CPU limit is too low: bursts throttle a few periods of any limit.
const THROTTLED: f64 = 0.1;
/// What throttling adds: what the throttled periods lack, at least a fifth and at most as much again, since how much more would be used is not
/// known before it may be.
const UNTHROTTLE: (f64, f64) = (1.2, 2.0);
/// Time after a change before throttling is evidence against it: the quarter of an hour it is measured over, and as much for the change to reach
/// all pods.
const THROTTLING_SPACING: SignedDuration = SignedDuration::from_mins(30);

/// What is known of a container's use.
#[derive(Clone, Copy, Debug)]
pub struct ResourceEvidence<'a> {
    /// When.
    pub at: Timestamp,
    /// CPU a pod, as learned.
    pub usage: &'a UsageMemory,
    /// CPU a pod now, cores.
    pub cpu_now: Option<f64>,
    /// Largest memory working set of a pod over what history there is, bytes.
    pub memory_max: Option<f64>,
    /// The newest OOM kill: when, at which limit, and how many are known.
    pub oom_kill: Option<(Timestamp, u64)>,
    /// OOM kills known.
    pub oom_kills: u32,
    /// Share of CPU periods throttled of late, where it lasts.
    pub throttled: Option<f64>,
    /// When the resources were last changed.
    pub last_change: Option<Timestamp>,
    /// The platform's bounds.
    pub bounds: ResourceBounds,
}

/// The requests and limits that usage asks for; `None` when what is there is near enough, too little is known, or it was changed a short
/// while ago.
#[must_use]
pub fn propose_resources(container: &Container, evidence: &ResourceEvidence<'_>) -> Option<ResourcesPlan> {
    let from = container.resources;
    let killed = evidence.oom_kill.filter(|(at, limit)| {
        let answered = evidence.last_change.is_some_and(|changed| changed > *at);
        let still_so = from.memory_limit.unwrap_or_default().0 == *limit;
        still_so && !answered
    });
    let known = since_change(evidence, SPACING) && evidence.usage.minutes >= LEAST_MINUTES;
    let cpu_p95 = cpu_quantile(evidence.usage, CPU_QUANTILE);
    let mut to = from;
    if known {
        if let Some(p95) = cpu_p95 {
            let wanted = (p95 * CPU_ROOM).max(evidence.cpu_now.unwrap_or(0.0)) * 1000.0;
            let wanted =
                bounded(wanted.ceil() as u64, LEAST_CPU, evidence.bounds.min_cpu.map(|v| v.0), evidence.bounds.max_cpu.map(|v| v.0));
            (to.cpu_request, to.cpu_limit) = moved(from.cpu_request.map(|v| v.0), from.cpu_limit.map(|v| v.0), wanted, Millicores);
        }
        if let Some(highest) = memory_quantile(evidence.usage, MEMORY_QUANTILE).or(evidence.memory_max) {
            let wanted = memory_bounded((highest * MEMORY_ROOM).ceil() as u64, evidence);
            (to.memory_request, to.memory_limit) = moved(from.memory_request.map(|v| v.0), from.memory_limit.map(|v| v.0), wanted, Bytes);
        }
    }
    if let Some((_, limit)) = killed {
        bump(&mut to, &from, limit, evidence);
    }
    let throttled = evidence.throttled.filter(|share| *share >= THROTTLED && since_change(evidence, THROTTLING_SPACING));
    if let Some(share) = throttled {
        unthrottle(&mut to, &from, share, evidence);
    }
    if let (Some(request), Some(limit)) = (to.memory_request, to.memory_limit) {
        // A limit under what was ever in use kills when that comes again.
        let live = Bytes(evidence.memory_max.unwrap_or(0.0) as u64);
        to.memory_limit = Some(limit.max(request).max(live));
    }
    keep_equal(&from, &mut to);
    if to == from {
        return None;
    }
    Some(ResourcesPlan {
        container: container.name.clone(),
        from,
        to,
        cpu_p95,
        memory_max: evidence.memory_max,
        oom_kills: evidence.oom_kills,
        throttled,
        through: Through::default(),
    })
}

fn since_change(evidence: &ResourceEvidence<'_>, spacing: SignedDuration) -> bool {
    evidence.last_change.is_none_or(|at| evidence.at.duration_since(at) >= spacing)
}

/// Requests that were their limits stay so.
fn keep_equal(from: &ContainerResources, to: &mut ContainerResources) {
    if from.cpu_limit.is_some() && from.cpu_request == from.cpu_limit {
        to.cpu_request = to.cpu_request.max(to.cpu_limit);
        to.cpu_limit = to.cpu_request;
    }
    if from.memory_limit.is_some() && from.memory_request == from.memory_limit {
        to.memory_request = to.memory_request.max(to.memory_limit);
        to.memory_limit = to.memory_request;
    }
}

/// Raises a CPU limit that throttles, and its request with it.
fn unthrottle(to: &mut ContainerResources, from: &ContainerResources, share: f64, evidence: &ResourceEvidence<'_>) {
    let Some(limit) = from.cpu_limit else { return };
    let factor = (1.0 / (1.0 - share.min(0.99))).clamp(UNTHROTTLE.0, UNTHROTTLE.1);
    let wanted = (limit.0 as f64 * factor).ceil() as u64;
    let raised = Millicores(bounded(wanted, LEAST_CPU, evidence.bounds.min_cpu.map(|v| v.0), evidence.bounds.max_cpu.map(|v| v.0)));
    if raised <= limit {
        return;
    }
    to.cpu_limit = to.cpu_limit.max(Some(raised));
    if let Some(request) = from.cpu_request {
        let share = (request.0 as f64 / limit.0.max(1) as f64).min(1.0);
        to.cpu_request = to.cpu_request.max(Some(Millicores((raised.0 as f64 * share).ceil() as u64)));
    }
}

/// A request and its limit moved to `wanted`, the limit in the ratio it had; as they were when they are near enough.
fn moved<U>(request: Option<u64>, limit: Option<u64>, wanted: u64, unit: impl Fn(u64) -> U) -> (Option<U>, Option<U>) {
    let near = request.is_some_and(|request| (wanted as f64 - request as f64).abs() <= WORTH * request as f64);
    if near {
        return (request.map(&unit), limit.map(&unit));
    }
    let limit = limit.map(|limit| match request {
        Some(request) if request > 0 => (limit as f64 / request as f64 * wanted as f64).ceil() as u64,
        _ => limit.max(wanted),
    });
    (Some(unit(wanted)), limit.map(&unit))
}

/// Raises memory after a kill at `limit` (0 where none is set: the request is raised).
fn bump(to: &mut ContainerResources, from: &ContainerResources, limit: u64, evidence: &ResourceEvidence<'_>) {
    let struck = if limit > 0 { limit } else { from.memory_request.unwrap_or_default().0.max(evidence.memory_max.unwrap_or(0.0) as u64) };
    let raised = Bytes(memory_bounded(((struck as f64 * OOM_FACTOR).ceil() as u64).max(struck.saturating_add(OOM_LEAST)), evidence));
    if from.memory_limit.is_some() {
        to.memory_limit = to.memory_limit.max(Some(raised));
    }
    let ratio = from.memory_limit.zip(from.memory_request).map_or(1.0, |(limit, request)| request.0 as f64 / limit.0.max(1) as f64);
    let request = Bytes((raised.0 as f64 * ratio.min(1.0)).ceil() as u64);
    to.memory_request = to.memory_request.max(Some(request));
}

fn memory_bounded(wanted: u64, evidence: &ResourceEvidence<'_>) -> u64 {
    bounded(wanted, LEAST_MEMORY, evidence.bounds.min_memory.map(|v| v.0), evidence.bounds.max_memory.map(|v| v.0))
        .next_multiple_of(Bytes::MIB)
}

fn bounded(wanted: u64, least: u64, min: Option<u64>, max: Option<u64>) -> u64 {
    wanted.max(least).max(min.unwrap_or(0)).min(max.unwrap_or(u64::MAX >> 8))
}

#[cfg(test)]
mod tests {
    use super::super::usage::{learn_cpu, learn_memory};
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn container() -> Container {
        Container {
            name: "app".into(),
            resources: ContainerResources {
                cpu_request: Some(Millicores(1000)),
                cpu_limit: Some(Millicores(2000)),
                memory_request: Some(Bytes(512 * Bytes::MIB)),
                memory_limit: Some(Bytes(1024 * Bytes::MIB)),
            },
        }
    }

    fn used(cores: f64, minutes: u32) -> UsageMemory {
        let mut usage = UsageMemory::default();
        (0..minutes).for_each(|_| learn_cpu(&mut usage, cores));
        usage
    }

    fn evidence(usage: &UsageMemory) -> ResourceEvidence<'_> {
        ResourceEvidence {
            at: at(100),
            usage,
            cpu_now: None,
            memory_max: Some((450 * Bytes::MIB) as f64),
            oom_kill: None,
            oom_kills: 0,
            throttled: None,
            last_change: None,
            bounds: ResourceBounds::default(),
        }
    }

    #[test]
    fn a_request_far_off_is_moved_and_its_limit_keeps_the_ratio() {
        let usage = used(0.3, 1500);
        let plan = propose_resources(&container(), &evidence(&usage)).unwrap();
        let request = plan.to.cpu_request.unwrap().0;
        assert!((330..400).contains(&request), "{request}");
        assert_eq!(plan.to.cpu_limit.unwrap().0, request * 2);
        assert_eq!(plan.to.memory_request, container().resources.memory_request, "within a fifth: left as it is");
    }

    #[test]
    fn less_than_a_day_of_use_proposes_nothing() {
        let usage = used(0.3, 1000);
        assert_eq!(propose_resources(&container(), &evidence(&usage)), None);
    }

    #[test]
    fn a_change_waits_for_the_last_one() {
        let usage = used(0.3, 1500);
        assert_eq!(propose_resources(&container(), &ResourceEvidence { last_change: Some(at(95)), ..evidence(&usage) }), None);
        assert!(propose_resources(&container(), &ResourceEvidence { last_change: Some(at(80)), ..evidence(&usage) }).is_some());
    }

    #[test]
    fn a_request_never_goes_below_live_use() {
        let usage = used(0.1, 1500);
        let plan = propose_resources(&container(), &ResourceEvidence { cpu_now: Some(0.7), ..evidence(&usage) }).unwrap();
        assert!(plan.to.cpu_request.unwrap().0 >= 700);
    }

    #[test]
    fn an_oom_kill_raises_memory_at_once_and_only_until_it_is_answered() {
        let usage = used(1.0, 10);
        let limit = container().resources.memory_limit.unwrap().0;
        let killed = ResourceEvidence { oom_kill: Some((at(99), limit)), oom_kills: 1, ..evidence(&usage) };
        let plan = propose_resources(&container(), &killed).unwrap();
        assert_eq!(plan.to.memory_limit.unwrap().0, 1229 * Bytes::MIB, "a fifth of 1 GiB is more than 100 MiB");
        assert_eq!(plan.to.memory_request.unwrap().0, (1229 * Bytes::MIB).div_ceil(2));
        assert_eq!(plan.to.cpu_request, plan.from.cpu_request);
        let answered = ResourceEvidence { last_change: Some(at(100)), ..killed };
        assert_eq!(propose_resources(&container(), &answered), None);
        let raised = Container { resources: plan.to, ..container() };
        assert_eq!(propose_resources(&raised, &killed), None, "the limit is another one already");
    }

    #[test]
    fn a_small_limit_is_raised_by_a_hundred_mebibytes() {
        let usage = used(1.0, 10);
        let mut small = container();
        small.resources.memory_limit = Some(Bytes(200 * Bytes::MIB));
        small.resources.memory_request = Some(Bytes(200 * Bytes::MIB));
        let killed = ResourceEvidence { oom_kill: Some((at(99), 200 * Bytes::MIB)), memory_max: None, ..evidence(&usage) };
        let plan = propose_resources(&small, &killed).unwrap();
        assert_eq!(plan.to.memory_limit, Some(Bytes(300 * Bytes::MIB)));
        assert_eq!(plan.to.memory_request, Some(Bytes(300 * Bytes::MIB)));
    }

    #[test]
    fn throttling_that_lasts_raises_cpu_though_use_is_capped_by_its_limit() {
        let usage = used(2.0, 1500);
        let capped =
            Container { resources: ContainerResources { cpu_request: Some(Millicores(2000)), ..container().resources }, ..container() };
        assert_eq!(propose_resources(&capped, &evidence(&usage)), None, "115 % of what is used is near enough");
        let throttled = |share| ResourceEvidence { throttled: Some(share), ..evidence(&usage) };
        let plan = propose_resources(&capped, &throttled(0.5)).unwrap();
        assert_eq!((plan.to.cpu_request, plan.to.cpu_limit), (Some(Millicores(4000)), Some(Millicores(4000))));
        assert_eq!((plan.throttled, plan.to.memory_limit), (Some(0.5), plan.from.memory_limit));
        assert_eq!(propose_resources(&capped, &throttled(0.05)), None, "bursts throttle under any limit");
        let raised = |minutes| ResourceEvidence { last_change: Some(at(100) - SignedDuration::from_mins(minutes)), ..throttled(0.5) };
        assert_eq!(propose_resources(&capped, &raised(29)), None, "measured before the change reached all");
        assert!(propose_resources(&capped, &raised(30)).is_some());
        let bounds = ResourceBounds { max_cpu: Some(Millicores(2000)), ..Default::default() };
        assert_eq!(propose_resources(&capped, &ResourceEvidence { bounds, ..throttled(0.5) }), None, "the platform's bound");
    }

    #[test]
    fn a_request_below_its_limit_is_raised_in_its_ratio_when_the_limit_throttles() {
        let usage = used(1.0, 10);
        let plan = propose_resources(&container(), &ResourceEvidence { throttled: Some(0.1), ..evidence(&usage) }).unwrap();
        assert_eq!((plan.to.cpu_request, plan.to.cpu_limit), (Some(Millicores(1200)), Some(Millicores(2400))), "a fifth at least");
    }

    #[test]
    fn requests_that_are_their_limits_stay_so() {
        let usage = used(0.3, 1500);
        let equal = Container {
            resources: ContainerResources {
                cpu_limit: Some(Millicores(1000)),
                memory_request: Some(Bytes(1024 * Bytes::MIB)),
                ..container().resources
            },
            ..container()
        };
        let plan =
            propose_resources(&equal, &ResourceEvidence { memory_max: Some((300 * Bytes::MIB) as f64), ..evidence(&usage) }).unwrap();
        assert!(plan.to.cpu_request < plan.from.cpu_request && plan.to.memory_request < plan.from.memory_request);
        assert_eq!((plan.to.cpu_request, plan.to.memory_request), (plan.to.cpu_limit, plan.to.memory_limit));
    }

    #[test]
    fn memory_is_asked_for_by_its_days_and_a_limit_stays_above_all_that_was_seen() {
        let mut usage = used(1.0, 1500);
        let day = |day: i64| at(day * 24);
        learn_memory(&mut usage, day(0), (900 * Bytes::MIB) as f64);
        (1..30).for_each(|d| learn_memory(&mut usage, day(d), (200 * Bytes::MIB) as f64));
        let seen = ResourceEvidence { memory_max: Some((900 * Bytes::MIB) as f64), ..evidence(&usage) };
        let plan = propose_resources(&container(), &seen).unwrap();
        let request = plan.to.memory_request.unwrap().0 / Bytes::MIB;
        assert!((230..250).contains(&request), "{request} Mi");
        assert_eq!(plan.to.memory_limit, Some(Bytes(900 * Bytes::MIB)));
    }

    #[test]
    fn the_platforms_bounds_hold() {
        let usage = used(8.0, 1500);
        let bounds = ResourceBounds { max_cpu: Some(Millicores(4000)), ..Default::default() };
        let plan = propose_resources(&container(), &ResourceEvidence { bounds, ..evidence(&usage) }).unwrap();
        assert_eq!(plan.to.cpu_request, Some(Millicores(4000)));
    }
}
