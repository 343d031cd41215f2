//! KEDA: a `ScaledObject` with a rate or a queue length as its trigger. From one replica on KEDA leaves scaling to the HPA it makes, with each
//! trigger as an external metric of that HPA; by itself it only wakes a workload that sleeps and puts it to sleep.
//!
//! Left out: `fallback`, `idleReplicaCount` and cached metrics, which are off by default, and its other scalers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Baseline;
use super::observe::observation;
use crate::domain::limits::Bounds;
use crate::hpa::{ControllerFlags, Hpa, HpaSpec, MetricSpec, SYNC_S, ValueTarget};
use crate::sim::Sight;

/// `pollingInterval`: how often KEDA itself looks, seconds.
const POLLING_S: i64 = 30;
/// `cooldownPeriod`: how long nothing must come before a workload is put to sleep, seconds.
const COOLDOWN_S: i64 = 300;
/// Share of what a replica can do that a threshold asks of it.
const SHARE: f64 = 0.7;

/// One trigger, of type `AverageValue`: so much for each replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trigger {
    /// Units/s offered.
    Rate(f64),
    /// Units that wait.
    QueueLength(f64),
}

/// A `ScaledObject` and its HPA.
#[derive(Clone, Debug)]
pub struct Keda {
    triggers: Vec<Trigger>,
    sleeps: bool,
    hpa: Hpa,
    polled_s: Option<i64>,
    active_s: Option<i64>,
}

impl Keda {
    /// One with these triggers; the largest answer counts. Where `bounds.min` is 0 (`minReplicaCount`) it sleeps while nothing comes.
    #[must_use]
    pub fn new(triggers: Vec<Trigger>, bounds: Bounds) -> Self {
        let least = bounds.min.max(1);
        let metrics = triggers.iter().map(|trigger| MetricSpec::External { name: trigger.name(), target: trigger.target() }).collect();
        let spec = HpaSpec {
            bounds: Bounds { min: least, max: bounds.max.max(least) },
            metrics,
            behaviour: None,
            flags: ControllerFlags::default(),
        };
        Self { triggers, sleeps: bounds.min == 0, hpa: Hpa::new(spec), polled_s: None, active_s: None }
    }

    /// For a service that answers: 70 % of the units/s that a replica is declared to serve.
    #[must_use]
    pub fn rate(capacity: f64, bounds: Bounds) -> Self {
        Self::new(vec![Trigger::Rate(SHARE * capacity)], bounds)
    }

    /// For a service that works a queue off: 70 % of what a replica serves within the wait that is promised, beside the rate; by its length alone
    /// an empty queue would mean that no replica is needed.
    #[must_use]
    pub fn queue(capacity: f64, promised_wait_s: f64, bounds: Bounds) -> Self {
        let length = (SHARE * capacity * promised_wait_s).max(1.0);
        Self::new(vec![Trigger::Rate(SHARE * capacity), Trigger::QueueLength(length)], bounds)
    }

    /// KEDA's own look: sleep or wake. `None` leaves the matter to the HPA.
    fn poll(&mut self, sight: &Sight) -> Option<u32> {
        let due = self.polled_s.is_none_or(|at_s| sight.at_s - at_s >= POLLING_S);
        if !self.sleeps || !due {
            return None;
        }
        self.polled_s = Some(sight.at_s);
        let active = self.triggers.iter().any(|trigger| trigger.value(sight).is_some_and(|value| value > 0.0));
        // The first look counts as active: nothing sleeps before it was watched for a whole cooldown.
        if active || self.active_s.is_none() {
            self.active_s = Some(sight.at_s);
        }
        match sight.desired {
            0 => active.then_some(self.hpa.spec().bounds.min),
            _ => self.active_s.is_some_and(|at_s| sight.at_s - at_s >= COOLDOWN_S).then_some(0),
        }
    }
}

impl Trigger {
    fn name(self) -> Arc<str> {
        match self {
            Self::Rate(_) => "rate".into(),
            Self::QueueLength(_) => "queue-length".into(),
        }
    }

    fn target(self) -> ValueTarget {
        let (Self::Rate(each) | Self::QueueLength(each)) = self;
        ValueTarget::AverageValue(milli(each))
    }

    fn value(self, sight: &Sight) -> Option<f64> {
        match self {
            Self::Rate(_) => sight.demand,
            Self::QueueLength(_) => Some(sight.waiting as f64),
        }
    }
}

impl Baseline for Keda {
    fn every_s(&self) -> u32 {
        SYNC_S
    }

    fn decide(&mut self, sight: &Sight) -> Option<u32> {
        if let Some(replicas) = self.poll(sight) {
            return Some(replicas);
        }
        let values = self.triggers.iter().filter_map(|trigger| Some((trigger.name(), milli(trigger.value(sight)?))));
        let external: BTreeMap<Arc<str>, i64> = values.collect();
        let decision = self.hpa.sync(&crate::hpa::Observation { external, ..observation(sight) }, sight.at_s as f64);
        (decision.desired != sight.desired).then_some(decision.desired)
    }
}

fn milli(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::PodSight;

    fn sight(at_s: i64, replicas: u32, demand: Option<f64>, waiting: u64) -> Sight {
        Sight { at_s, desired: replicas, pods: vec![PodSight::default(); replicas as usize], demand, waiting, ..Sight::default() }
    }

    #[test]
    fn a_rate_is_shared_out_at_seventy_percent_of_capacity() {
        let mut keda = Keda::rate(50.0, Bounds { min: 1, max: 60 });
        assert_eq!(keda.decide(&sight(0, 4, Some(210.0), 0)), Some(6));
        assert_eq!(keda.decide(&sight(15, 6, Some(220.0), 0)), None, "within the tolerance");
        assert_eq!(keda.decide(&sight(30, 6, None, 0)), None, "no answer, no change");
    }

    #[test]
    fn a_queue_that_grows_asks_for_more_than_its_rate() {
        let mut keda = Keda::queue(2.0, 100.0, Bounds { min: 1, max: 60 });
        assert_eq!(keda.decide(&sight(0, 4, Some(5.0), 100)), None);
        assert_eq!(keda.decide(&sight(15, 4, Some(5.0), 1000)), Some(8), "1000 of 140 each");
        assert_eq!(keda.decide(&sight(30, 8, None, 1400)), Some(10), "one metric of two is enough upward");
    }

    #[test]
    fn scaling_down_waits_as_any_hpa_does() {
        let mut keda = Keda::rate(50.0, Bounds { min: 1, max: 60 });
        let first = (0..20).find_map(|sync| keda.decide(&sight(sync * 15, 6, Some(70.0), 0)));
        assert_eq!(first, None);
        assert_eq!(keda.decide(&sight(300, 6, Some(70.0), 0)), Some(2));
    }

    #[test]
    fn it_sleeps_after_the_cooldown_and_wakes_at_the_next_poll() {
        let mut keda = Keda::rate(50.0, Bounds { min: 0, max: 60 });
        assert_eq!(keda.decide(&sight(0, 1, Some(5.0), 0)), None);
        let asleep = (1..40).find(|sync| keda.decide(&sight(sync * 15, 1, Some(0.0), 0)) == Some(0));
        assert_eq!(asleep, Some(20), "300 s after the last poll that saw something");
        assert_eq!(keda.decide(&sight(315, 0, Some(5.0), 0)), None, "polled 15 s ago");
        assert_eq!(keda.decide(&sight(330, 0, Some(5.0), 0)), Some(1));
    }

    #[test]
    fn with_a_minimum_it_never_sleeps() {
        let mut keda = Keda::rate(50.0, Bounds { min: 1, max: 60 });
        assert!((0..80).all(|sync| keda.decide(&sight(sync * 15, 1, Some(0.0), 0)).is_none()));
    }
}
