//! What an HPA is told: the spec of autoscaling/v2, with the API server's defaults, and the flags of the controller that runs it.

use std::sync::Arc;

use crate::domain::limits::Bounds;

/// Seconds between two syncs: `--horizontal-pod-autoscaler-sync-period`.
pub const SYNC_S: u32 = 15;

/// Relative distance from the target within which nothing changes: `--horizontal-pod-autoscaler-tolerance`.
pub const DEFAULT_TOLERANCE: f64 = 0.1;

/// [`DEFAULT_TOLERANCE`] in thousandths.
pub const DEFAULT_TOLERANCE_MILLI: u64 = 100;

/// CPU utilisation, percent of the request, that a target without an HPA is compared at.
pub const DEFAULT_CPU_TARGET_PERCENT: u32 = 70;

/// One HorizontalPodAutoscaler.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaSpec {
    /// `minReplicas` and `maxReplicas`.
    pub bounds: Bounds,
    /// What it scales by; the largest answer counts.
    pub metrics: Vec<MetricSpec>,
    /// How fast and how readily it changes; without it the controller's own limits hold.
    pub behaviour: Option<Behaviour>,
    /// How its controller was started.
    pub flags: ControllerFlags,
}

/// Flags of kube-controller-manager that bear on every HPA, beside the sync period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControllerFlags {
    /// `--horizontal-pod-autoscaler-tolerance`, a share of the target.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`, seconds.
    pub scale_down_window_s: u32,
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`: pods younger than this count from one metric window after they became ready.
    pub cpu_initialization_s: u32,
    /// `--horizontal-pod-autoscaler-initial-readiness-delay`: an older pod whose readiness changed no later than this was never ready.
    pub initial_readiness_delay_s: u32,
}

impl Default for ControllerFlags {
    fn default() -> Self {
        Self { tolerance: DEFAULT_TOLERANCE, scale_down_window_s: 300, cpu_initialization_s: 300, initial_readiness_delay_s: 30 }
    }
}

/// One metric and its target. A target of nothing makes the metric fail; the API server refuses it.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricSpec {
    /// What the pods use of a resource, as `metrics.k8s.io` shows it.
    Resource {
        /// Which.
        resource: Resource,
        /// How much of it.
        target: AverageTarget,
    },
    /// A metric of each pod, as `custom.metrics.k8s.io` shows it.
    Pods {
        /// Its name.
        name: Arc<str>,
        /// Wanted on average, thousandths of its unit.
        average_milli: i64,
    },
    /// One number for all pods, as `external.metrics.k8s.io` shows it; the controller treats a metric of another object alike.
    External {
        /// Its name.
        name: Arc<str>,
        /// How much of it.
        target: ValueTarget,
    },
}

/// A resource that the metrics API shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Only CPU leaves out pods that are starting.
    Cpu,
    /// The working set.
    Memory,
}

/// What a resource metric is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AverageTarget {
    /// Percent of the request, averaged over the pods.
    Utilization(u32),
    /// Thousandths of a core or of a byte a pod.
    Value(i64),
}

/// What an external metric is held to, thousandths of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueTarget {
    /// The metric itself: replicas change in proportion.
    Value(i64),
    /// The metric divided by the replicas.
    AverageValue(i64),
}

/// `spec.behavior`.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// For more replicas.
    pub scale_up: ScalingRules,
    /// For fewer.
    pub scale_down: ScalingRules,
}

/// Rules of one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingRules {
    /// The least favourable recommendation of so many seconds counts; absent: none upward, the controller's flag downward.
    pub window_s: Option<u32>,
    /// Which policy holds where there are several.
    pub select: Select,
    /// How much may change in which time.
    pub policies: Vec<Policy>,
    /// A share of the target; absent: the controller's flag.
    pub tolerance: Option<f64>,
}

/// `selectPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// The one that allows most.
    Max,
    /// The one that allows least.
    Min,
    /// No change in this direction.
    Disabled,
}

/// One limit on changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How much.
    pub step: Step,
    /// In how many seconds.
    pub period_s: u32,
}

/// The amount of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many pods.
    Pods(u32),
    /// So many percent of the replicas at the beginning of the period.
    Percent(u32),
}

/// Distances from the target that change nothing, upward and downward.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerances {
    pub up: f64,
    pub down: f64,
}

impl HpaSpec {
    /// One CPU utilisation target, all else as the API server and the controller have it.
    #[must_use]
    pub fn cpu(target_percent: u32, bounds: Bounds) -> Self {
        let metric = MetricSpec::Resource { resource: Resource::Cpu, target: AverageTarget::Utilization(target_percent) };
        Self { bounds, metrics: vec![metric], behaviour: None, flags: ControllerFlags::default() }
    }

    /// The same with `behavior.scaleDown.stabilizationWindowSeconds`.
    #[must_use]
    pub fn with_scale_down_window(mut self, window_s: u32) -> Self {
        self.behaviour.get_or_insert_default().scale_down.window_s = Some(window_s);
        self
    }

    pub(super) fn tolerances(&self) -> Tolerances {
        let own = |rules: fn(&Behaviour) -> &ScalingRules| self.behaviour.as_ref().and_then(|behaviour| rules(behaviour).tolerance);
        Tolerances {
            up: own(|behaviour| &behaviour.scale_up).unwrap_or(self.flags.tolerance),
            down: own(|behaviour| &behaviour.scale_down).unwrap_or(self.flags.tolerance),
        }
    }
}

impl Default for Behaviour {
    /// What the API server fills in.
    fn default() -> Self {
        Self { scale_up: ScalingRules::scale_up(), scale_down: ScalingRules::scale_down() }
    }
}

impl ScalingRules {
    /// The default upward: four pods or a doubling in 15 s, whichever is more, at once.
    #[must_use]
    pub fn scale_up() -> Self {
        let policies = vec![Policy { step: Step::Pods(4), period_s: 15 }, Policy { step: Step::Percent(100), period_s: 15 }];
        Self { window_s: None, select: Select::Max, policies, tolerance: None }
    }

    /// The default downward: down to the least in 15 s, after the controller's window.
    #[must_use]
    pub fn scale_down() -> Self {
        Self { window_s: None, select: Select::Max, policies: vec![Policy { step: Step::Percent(100), period_s: 15 }], tolerance: None }
    }
}

impl Tolerances {
    /// Whether so many times the target is as good as the target.
    pub fn holds(self, ratio: f64) -> bool {
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }
}
