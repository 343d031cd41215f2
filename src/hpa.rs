//! autoscaling/v2 exactly, after kube-controller-manager v1.36: the baseline that evals measure against, the shadow that every plan is compared
//! with, and the last resort of a menu.
//!
//! [`Hpa`] is what the controller carries from sync to sync for one object: recommendations and past changes. One [`Hpa::sync`] goes the way of the
//! controller's `reconcileAutoscaler`: each metric gives a count (`calculate`), the largest of them is stabilised (`stabilise`) and held within
//! rates and bounds (`limits`). [`recommend`] is the calculation alone, for one look without a past.
//!
//! Left out: scale to zero (a feature gate that is off by default), metrics of single containers (an observation shows what the target's
//! container uses), and pods that finish by themselves.

mod calculate;
mod decision;
mod groups;
mod limits;
mod observation;
mod recommend;
mod spec;
mod stabilise;

pub use decision::{AbleToScale, Decision, ScalingActive, ScalingLimited};
pub use observation::{Observation, ObservedPod, PodState, Readiness, Sample};
pub use recommend::{HpaSettings, PodMetrics, recommend};
pub use spec::{
    AverageTarget, Behaviour, ControllerFlags, DEFAULT_CPU_TARGET_PERCENT, DEFAULT_TOLERANCE, DEFAULT_TOLERANCE_MILLI, HpaSpec, MetricSpec,
    Policy, Resource, SYNC_S, ScalingRules, Select, Step, ValueTarget,
};

use calculate::from_counts;
use limits::Changes;
use stabilise::Recommendations;

/// One HorizontalPodAutoscaler as its controller knows it.
#[derive(Clone, Debug)]
pub struct Hpa {
    spec: HpaSpec,
    recommendations: Recommendations,
    changes: Changes,
}

impl Hpa {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(spec: HpaSpec) -> Self {
        Self { spec, recommendations: Recommendations::default(), changes: Changes::default() }
    }

    /// What it is told.
    #[must_use]
    pub fn spec(&self) -> &HpaSpec {
        &self.spec
    }

    /// One sync at `now_s` (Unix seconds, rising from call to call). The count it wants is taken as written: change policies count it.
    pub fn sync(&mut self, seen: &Observation, now_s: f64) -> Decision {
        let flags = self.spec.flags;
        self.decide(seen.desired, now_s, |metric, tolerance| calculate::replicas(metric, seen, tolerance, &flags, now_s))
    }

    /// As [`Hpa::sync`], where pods of one template are known by their numbers alone. Metrics other than a CPU resource fail.
    pub fn sync_counts(&mut self, metrics: &PodMetrics, desired: u32, now_s: f64) -> Decision {
        self.decide(desired, now_s, |metric, tolerance| from_counts(metric, metrics, desired, tolerance))
    }

    fn decide(
        &mut self,
        current: u32,
        now_s: f64,
        replicas_for: impl Fn(&MetricSpec, spec::Tolerances) -> Result<u32, ScalingActive>,
    ) -> Decision {
        // The count found at first is a recommendation too: a new HPA does not scale down at once.
        self.recommendations.begin(now_s, current);
        let bounds = self.spec.bounds;
        let decision = if current == 0 {
            Decision::hold(0, ScalingActive::ScalingDisabled)
        } else if current > bounds.max {
            Decision::bounded(bounds.max)
        } else if current < bounds.min {
            Decision::bounded(bounds.min)
        } else {
            let tolerances = self.spec.tolerances();
            match largest(&self.spec.metrics, current, |metric| replicas_for(metric, tolerances)) {
                Err(failure) => Decision::hold(current, failure),
                Ok(proposed) => self.normalise(current, proposed, now_s),
            }
        };
        if let Some(behaviour) = &self.spec.behaviour {
            self.changes.note(current, decision.desired, behaviour, now_s);
        }
        decision
    }

    fn normalise(&mut self, current: u32, proposed: u32, now_s: f64) -> Decision {
        let (stable, stabilised) = self.recommendations.stabilise(proposed, current, &self.spec, now_s);
        let (desired, limited) = match &self.spec.behaviour {
            None => limits::by_default(current, stable, self.spec.bounds),
            Some(behaviour) => limits::by_behaviour(current, stable, self.spec.bounds, behaviour, &self.changes, now_s),
        };
        let able = if desired == current { stabilised } else { AbleToScale::SucceededRescale };
        Decision { desired, able, active: Some(ScalingActive::ValidMetricFound), limited: Some(limited) }
    }
}

/// The largest of what the metrics ask for. Where some fail, the rest may scale up and never down; where all fail, the first failure.
fn largest(
    metrics: &[MetricSpec],
    current: u32,
    replicas_for: impl Fn(&MetricSpec) -> Result<u32, ScalingActive>,
) -> Result<u32, ScalingActive> {
    let mut wanted = None;
    let mut failure = None;
    for metric in metrics {
        match replicas_for(metric) {
            Ok(replicas) => wanted = wanted.max(Some(replicas)),
            Err(reason) => failure = failure.or(Some(reason)),
        }
    }
    match (wanted, failure) {
        (Some(replicas), None) => Ok(replicas),
        (Some(replicas), Some(_)) if replicas >= current => Ok(replicas),
        (_, Some(reason)) => Err(reason),
        // The API server fills in a metric where a spec names none; nothing to go by is no reason to change.
        (None, None) => Err(ScalingActive::InvalidMetricSourceType),
    }
}

#[cfg(test)]
mod tests;
