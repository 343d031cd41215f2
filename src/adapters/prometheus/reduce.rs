//! From the series of one answer to one value for each target, every sample validated on the way.
//!
//! A faulty sample becomes a gap and its fault is listed; nothing is clamped or guessed, but for one case: where at least half of a target's
//! ready pods answered, a sum over pods is scaled up to all of them, since a missing pod is more likely slow to scrape than idle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::answer::{Labels, Reading, Row};
use super::client::Range;
use super::join::{TargetIndex, TargetInfo};
use crate::domain::limits::{Aggregate, JoinKey, SignalUse};
use crate::domain::names::TargetKey;
use crate::domain::signal::{SampleFault, SignalName};

/// Who takes the series of a query, and how.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Signal that it feeds.
    pub signal: SignalName,
    /// Recorded with the signal.
    pub source: Arc<str>,
    /// What the signal is for.
    pub role: SignalUse,
    /// Join key.
    pub join: JoinKey,
    /// How several series of one target become one value.
    pub aggregate: Aggregate,
    /// Whether every ready pod must answer.
    pub complete: bool,
    /// Targets it is for; absent means all.
    pub targets: Option<BTreeSet<TargetKey>>,
}

impl Feed {
    /// Whether it is for a target.
    #[must_use]
    pub fn is_for(&self, target: &TargetKey) -> bool {
        self.targets.as_ref().is_none_or(|only| only.contains(target))
    }
}

/// What one answer says of one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reduced {
    /// The value, unless it is a gap.
    pub value: Option<f64>,
    /// What was wrong.
    pub faults: BTreeSet<SampleFault>,
    /// The label its series were joined on.
    pub joined_on: &'static str,
}

/// Within which a sample is taken.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// When it was asked.
    pub now: Timestamp,
    /// Two scrape intervals: what is older is stale.
    pub oldest: SignedDuration,
}

/// A sample this far ahead is from the future; less is two clocks' ordinary difference.
const FUTURE: SignedDuration = SignedDuration::from_secs(30);
/// Measured use may pass a limit by this factor: cgroups enforce over periods, and scrapes are not simultaneous.
const OVER_LIMIT: f64 = 1.2;
/// A share may pass 1 by rounding alone.
const OVER_ONE: f64 = 1.0001;
/// Demand that grows by this factor within a minute is a lie until it has lasted.
const JUMP: f64 = 1000.0;
/// Labels that tell replicas of one Prometheus apart and nothing else.
const REPLICA_LABELS: [&str; 3] = ["prometheus_replica", "__replica__", "prometheus"];

#[derive(Default)]
struct Gathered {
    values: Vec<f64>,
    pods: BTreeSet<String>,
    faults: BTreeSet<SampleFault>,
    joined_on: &'static str,
}

/// The instant values of all targets that have any series. `previous` is a target's last value within the last two minutes.
#[must_use]
pub fn reduce(
    feed: &Feed,
    rows: &[Row],
    namespace: Option<&str>,
    index: &TargetIndex,
    freshness: Freshness,
    previous: &dyn Fn(&TargetKey) -> Option<f64>,
) -> BTreeMap<usize, Reduced> {
    let mut gathered: BTreeMap<usize, Gathered> = BTreeMap::new();
    let mut seen: BTreeSet<(usize, Vec<(&str, &str)>)> = BTreeSet::new();
    for row in in_order(rows) {
        let Some(joined) = index.join(feed.join, &row.labels, namespace) else { continue };
        for (position, share) in joined.to {
            let target = &index.targets[position];
            if !feed.is_for(&target.key) {
                continue;
            }
            let entry = gathered.entry(position).or_default();
            entry.joined_on = joined.label;
            let identity = row.labels.iter().filter(|(l, _)| !REPLICA_LABELS.contains(&l.as_str())).map(|(l, v)| (l.as_str(), v.as_str()));
            if !seen.insert((position, identity.collect())) {
                entry.faults.insert(SampleFault::Duplicate);
                continue;
            }
            match row.readings.last().map_or(Err(SampleFault::Malformed), |r| validate(feed, r, target, row, freshness)) {
                Ok(value) => {
                    entry.pods.insert(joined.name.to_owned());
                    entry.values.push(if feed.aggregate == Aggregate::Sum { value * share } else { value });
                }
                Err(fault) => {
                    entry.faults.insert(fault);
                }
            }
        }
    }
    gathered.into_iter().map(|(position, g)| (position, finish(feed, &index.targets[position], g, previous))).collect()
}

/// Rows by their labels, so that of two replicas the same one counts each time.
fn in_order(rows: &[Row]) -> Vec<&Row> {
    let mut ordered: Vec<&Row> = rows.iter().collect();
    ordered.sort_by(|a, b| a.labels.cmp(&b.labels));
    ordered
}

fn validate(feed: &Feed, reading: &Reading, target: &TargetInfo, row: &Row, freshness: Freshness) -> Result<f64, SampleFault> {
    let value = reading.value?;
    let age = freshness.now.as_millisecond() as f64 / 1000.0 - reading.at;
    if age > freshness.oldest.as_secs_f64() {
        return Err(SampleFault::Stale);
    }
    if age < -FUTURE.as_secs_f64() {
        return Err(SampleFault::Future);
    }
    if !age.is_finite() {
        return Err(SampleFault::Malformed);
    }
    if value < 0.0 && never_negative(feed) {
        return Err(SampleFault::Negative);
    }
    match most(feed, target, &row.labels) {
        Some(most) if value > most => Err(SampleFault::Implausible),
        _ => Ok(value),
    }
}

/// Only a team's own signal may be below zero, and not where it is a load.
fn never_negative(feed: &Feed) -> bool {
    !matches!(feed.signal, SignalName::Custom(_)) || feed.role == SignalUse::Demand
}

/// The largest value a series can truly have.
fn most(feed: &Feed, target: &TargetInfo, labels: &Labels) -> Option<f64> {
    let pods = if labels.contains_key("owner") && feed.aggregate == Aggregate::Sum { f64::from(target.pods) } else { 1.0 };
    match feed.signal {
        SignalName::Cpu => target.cpu_limit.map(|limit| limit * OVER_LIMIT * pods),
        SignalName::Memory => target.memory_limit.map(|limit| limit * OVER_LIMIT),
        SignalName::Throttling | SignalName::Errors | SignalName::GpuDuty => Some(OVER_ONE),
        _ => None,
    }
}

fn finish(feed: &Feed, target: &TargetInfo, mut gathered: Gathered, previous: &dyn Fn(&TargetKey) -> Option<f64>) -> Reduced {
    let bad = gathered.faults.iter().any(|f| *f != SampleFault::Duplicate);
    let mut value = aggregate(feed.aggregate, &gathered.values);
    let by_pod = feed.join == JoinKey::Pod && gathered.joined_on != "owner";
    if feed.complete && by_pod {
        let expected = target.expected_pods.len();
        let answered = target.expected_pods.iter().filter(|pod| gathered.pods.contains(&***pod)).count();
        if answered < expected {
            gathered.faults.insert(SampleFault::Partial);
            value = value.filter(|_| answered * 2 >= expected);
            if feed.aggregate == Aggregate::Sum {
                let counted = gathered.pods.len() as f64;
                value = value.map(|sum| sum * (counted + (expected - answered) as f64) / counted);
            }
        }
    } else if bad && feed.aggregate == Aggregate::Sum {
        // A sum that lacks a part is a smaller load than there is.
        value = None;
    }
    if let (SignalUse::Demand, Some(now), Some(before)) = (feed.role, value, previous(&target.key))
        && now > JUMP * before.max(1.0)
    {
        gathered.faults.insert(SampleFault::Implausible);
        value = None;
    }
    Reduced { value, faults: gathered.faults, joined_on: gathered.joined_on }
}

fn aggregate(how: Aggregate, values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let sum: f64 = values.iter().sum();
    let value = match how {
        Aggregate::Sum => sum,
        Aggregate::Avg => sum / values.len() as f64,
        Aggregate::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    };
    value.is_finite().then_some(value)
}

/// The values of a range, for each target on the range's own grid; a gap is `NaN`. Faults of the past are gaps and no more.
#[must_use]
pub fn reduce_range(feed: &Feed, rows: &[Row], namespace: Option<&str>, index: &TargetIndex, range: Range) -> BTreeMap<usize, Vec<f32>> {
    let points = usize::try_from(range.points()).unwrap_or(0);
    // Sum, count and largest of each instant.
    let mut gathered: BTreeMap<usize, Vec<(f64, u32, f64)>> = BTreeMap::new();
    let mut seen: BTreeSet<(usize, Vec<(&str, &str)>)> = BTreeSet::new();
    for row in in_order(rows) {
        let Some(joined) = index.join(feed.join, &row.labels, namespace) else { continue };
        for (position, share) in joined.to {
            let target = &index.targets[position];
            let identity = row.labels.iter().filter(|(l, _)| !REPLICA_LABELS.contains(&l.as_str())).map(|(l, v)| (l.as_str(), v.as_str()));
            if !feed.is_for(&target.key) || !seen.insert((position, identity.collect())) {
                continue;
            }
            let cells = gathered.entry(position).or_insert_with(|| vec![(0.0, 0, f64::NEG_INFINITY); points]);
            for reading in &row.readings {
                let Ok(value) = reading.value else { continue };
                let offset = (reading.at - range.start as f64) / range.step as f64;
                let over_one = matches!(feed.signal, SignalName::Throttling | SignalName::Errors | SignalName::GpuDuty) && value > OVER_ONE;
                if !offset.is_finite() || offset < -0.5 || (value < 0.0 && never_negative(feed)) || over_one {
                    continue;
                }
                if let Some((sum, count, largest)) = cells.get_mut(offset.round() as usize) {
                    *sum += if feed.aggregate == Aggregate::Sum { value * share } else { value };
                    *count += 1;
                    *largest = largest.max(value);
                }
            }
        }
    }
    let value = |(sum, count, largest): &(f64, u32, f64)| match (count, feed.aggregate) {
        (0, _) => f32::NAN,
        (_, Aggregate::Sum) => *sum as f32,
        (n, Aggregate::Avg) => (*sum / f64::from(*n)) as f32,
        (_, Aggregate::Max) => *largest as f32,
    };
    gathered.into_iter().map(|(position, cells)| (position, cells.iter().map(value).collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000;

    fn feed(signal: SignalName, join: JoinKey, aggregate: Aggregate) -> Feed {
        let complete = signal == SignalName::Cpu;
        let role = if signal == SignalName::Demand { SignalUse::Demand } else { SignalUse::Guard };
        Feed { signal, source: "test".into(), role, join, aggregate, complete, targets: None }
    }

    fn row(labels: &[(&str, &str)], value: Result<f64, SampleFault>) -> Row {
        let labels = labels.iter().map(|(l, v)| ((*l).to_owned(), (*v).to_owned())).collect();
        Row { labels, readings: vec![Reading { at: NOW as f64, value }] }
    }

    fn one(feed: &Feed, rows: &[Row], previous: Option<f64>) -> Reduced {
        let now = Timestamp::from_second(NOW).unwrap();
        // Four ready pods web-0 to web-3, container `app`, limits one core and 1 GiB; Service and Ingress `web`.
        let (groups, workloads) = testing::world(&[("shop", "web", 4)]);
        let index = TargetIndex::new(&groups, &workloads, now, SignedDuration::from_secs(60));
        let freshness = Freshness { now, oldest: SignedDuration::from_secs(60) };
        reduce(feed, rows, None, &index, freshness, &|_| previous).remove(&0).unwrap_or_default()
    }

    fn cpu_of(pods: &[(&str, f64)]) -> Vec<Row> {
        pods.iter().map(|(pod, v)| row(&[("namespace", "shop"), ("pod", pod), ("container", "app")], Ok(*v))).collect()
    }

    #[test]
    fn cpu_is_the_targets_container_over_all_pods_without_sidecars() {
        let cpu = feed(SignalName::Cpu, JoinKey::Pod, Aggregate::Sum);
        let mut rows = cpu_of(&[("web-0", 0.1), ("web-1", 0.2), ("web-2", 0.3), ("web-3", 0.4)]);
        rows.push(row(&[("namespace", "shop"), ("pod", "web-0"), ("container", "istio-proxy")], Ok(9.0)));
        rows.push(row(&[("namespace", "other"), ("pod", "web-0"), ("container", "app")], Ok(9.0)));
        let got = one(&cpu, &rows, None);
        assert_eq!((got.value, got.faults.len()), (Some(1.0), 0));
    }

    #[test]
    fn fault_m02_partial_pods_are_scaled_up_when_half_answer_and_a_gap_below() {
        let cpu = feed(SignalName::Cpu, JoinKey::Pod, Aggregate::Sum);
        let half = one(&cpu, &cpu_of(&[("web-0", 0.2), ("web-1", 0.4)]), None);
        assert!((half.value.unwrap() - 1.2).abs() < 1e-9);
        assert_eq!(half.faults, BTreeSet::from([SampleFault::Partial]));
        let fewer = one(&cpu, &cpu_of(&[("web-0", 0.2)]), None);
        assert_eq!((fewer.value, fewer.faults), (None, BTreeSet::from([SampleFault::Partial])));
    }

    #[test]
    fn fault_m02_what_cannot_be_is_a_gap_with_its_fault() {
        let cpu = feed(SignalName::Cpu, JoinKey::Pod, Aggregate::Sum);
        let errors = feed(SignalName::Errors, JoinKey::Workload, Aggregate::Max);
        let demand = feed(SignalName::Demand, JoinKey::Service, Aggregate::Sum);
        let service = |v| vec![row(&[("namespace", "shop"), ("service", "web")], v)];
        let owner = |v| vec![row(&[("namespace", "shop"), ("owner", "web")], v)];
        let beyond = one(&cpu, &cpu_of(&[("web-0", 5.0)]), None);
        assert!(beyond.value.is_none() && beyond.faults.contains(&SampleFault::Implausible), "the limit is one core");
        let above_one = one(&errors, &owner(Ok(1.5)), None);
        assert_eq!((above_one.value, above_one.faults), (None, BTreeSet::from([SampleFault::Implausible])));
        for fault in [SampleFault::NotANumber, SampleFault::Infinite, SampleFault::Malformed] {
            let got = one(&demand, &service(Err(fault)), None);
            assert_eq!((got.value, got.faults), (None, BTreeSet::from([fault])));
        }
        let negative = one(&demand, &service(Ok(-1.0)), None);
        assert_eq!((negative.value, negative.faults), (None, BTreeSet::from([SampleFault::Negative])));
        let jump = one(&demand, &service(Ok(50_000.0)), Some(20.0));
        assert_eq!((jump.value, jump.faults), (None, BTreeSet::from([SampleFault::Implausible])));
        assert_eq!(one(&demand, &service(Ok(500.0)), Some(0.0)).value, Some(500.0), "a start from nothing is no lie");
    }

    #[test]
    fn fault_m02_two_replicas_of_one_prometheus_count_once_and_are_flagged() {
        let demand = feed(SignalName::Demand, JoinKey::Service, Aggregate::Sum);
        let replica = |name: &str, v| row(&[("namespace", "shop"), ("service", "web"), ("prometheus_replica", name)], Ok(v));
        let forward = one(&demand, &[replica("a", 10.0), replica("b", 11.0)], None);
        let backward = one(&demand, &[replica("b", 11.0), replica("a", 10.0)], None);
        assert_eq!(forward.value, Some(10.0));
        assert_eq!(forward.faults, BTreeSet::from([SampleFault::Duplicate]));
        assert_eq!(forward, backward);
    }

    #[test]
    fn fault_m03_old_and_future_samples_are_rejected() {
        let demand = feed(SignalName::Demand, JoinKey::Service, Aggregate::Sum);
        for (offset, fault) in
            [(-61.0, SampleFault::Stale), (-600.0, SampleFault::Stale), (31.0, SampleFault::Future), (600.0, SampleFault::Future)]
        {
            let mut late = row(&[("namespace", "shop"), ("service", "web")], Ok(1.0));
            late.readings[0].at += offset;
            let got = one(&demand, &[late], None);
            assert_eq!((got.value, got.faults), (None, BTreeSet::from([fault])), "{offset}");
        }
    }

    #[test]
    fn what_the_metric_is_about_comes_before_where_it_was_scraped() {
        let demand = feed(SignalName::Demand, JoinKey::Service, Aggregate::Sum);
        let labels = [("namespace", "ingress-nginx"), ("service", "metrics"), ("exported_namespace", "shop"), ("exported_service", "web")];
        assert_eq!(one(&demand, &[row(&labels, Ok(3.0))], None).value, Some(3.0));
    }

    #[test]
    fn a_service_that_leads_to_two_targets_is_shared_by_their_ready_replicas() {
        let now = Timestamp::from_second(NOW).unwrap();
        let (groups, mut workloads) = testing::world(&[("shop", "stable", 3), ("shop", "canary", 1)]);
        for workload in workloads.values_mut() {
            workload.routes.services = vec!["both".into()];
        }
        let index = TargetIndex::new(&groups, &workloads, now, SignedDuration::ZERO);
        let freshness = Freshness { now, oldest: SignedDuration::from_secs(60) };
        let demand = feed(SignalName::Demand, JoinKey::Service, Aggregate::Sum);
        let rows = [row(&[("namespace", "shop"), ("service", "both")], Ok(100.0))];
        let got = reduce(&demand, &rows, None, &index, freshness, &|_| None);
        let by_name: BTreeMap<&str, f64> = got.iter().map(|(p, r)| (&*index.targets[*p].key.name, r.value.unwrap())).collect();
        assert_eq!(by_name, BTreeMap::from([("canary", 25.0), ("stable", 75.0)]));
    }

    #[test]
    fn a_range_lands_on_its_grid_and_gaps_stay_gaps() {
        let now = Timestamp::from_second(NOW).unwrap();
        let (groups, workloads) = testing::world(&[("shop", "web", 2)]);
        let index = TargetIndex::new(&groups, &workloads, now, SignedDuration::ZERO);
        let cpu = feed(SignalName::Cpu, JoinKey::Pod, Aggregate::Sum);
        let mut owned = row(&[("namespace", "shop"), ("owner", "web"), ("container", "app")], Ok(1.0));
        owned.readings = vec![
            Reading { at: 60.0, value: Ok(1.0) },
            Reading { at: 120.0, value: Err(SampleFault::NotANumber) },
            Reading { at: 180.0, value: Ok(-1.0) },
            Reading { at: 240.0, value: Ok(4.0) },
            Reading { at: 9e18, value: Ok(4.0) },
        ];
        let got = &reduce_range(&cpu, &[owned], None, &index, Range { start: 60, end: 240, step: 60 })[&0];
        assert_eq!((got[0], got[1].is_nan(), got[2].is_nan(), got[3]), (1.0, true, true, 4.0));
    }

    proptest! {
        #[test]
        fn whatever_is_answered_a_value_is_finite_and_possible(
            values in prop::collection::vec((any::<f64>(), any::<f64>(), 0..6usize), 0..12),
        ) {
            let rows: Vec<Row> = values.iter().map(|(at, value, pod)| {
                let mut row = row(&[("namespace", "shop"), ("pod", &format!("web-{pod}")), ("container", "app")], Ok(*value));
                row.readings[0].at = if value.fract() > 0.5 { *at } else { NOW as f64 };
                row
            }).collect();
            for signal in [SignalName::Cpu, SignalName::GpuDuty, SignalName::Demand] {
                let got = one(&feed(signal.clone(), JoinKey::Pod, Aggregate::Sum), &rows, None);
                if let Some(value) = got.value {
                    prop_assert!(value.is_finite() && value >= 0.0, "{signal} {value}");
                }
            }
        }
    }
}
