//! What the loop carries from tick to tick, as a value. Plain versioned data; the algorithms that act on it live in `forecast`, `sizing`,
//! `planner` and `guardrails`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{Digest, GroupId, ProposalId, TargetKey, TickId};
use super::outlook::ForecastQuality;
use super::plan::NodeMix;
use super::proposal::{Change, Origin};
use super::record::DialogueEnd;
use super::units::MicroUsd;

/// Version of the persisted form; a state of another version is not taken and the loop starts fresh, which is safe: nothing shrinks
/// until cool-downs, here assumed to have just begun, have passed.
pub const MEMORY_VERSION: u32 = 1;

/// All that the loop carries on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Version of this form.
    pub version: u32,
    /// The last tick that was taken.
    pub tick: TickId,
    /// The planner's part: shared with the snapshot it was carried into, since it is large.
    pub planner: Arc<PlannerMemory>,
    /// The gate's part; nothing but the gate writes it.
    pub gate: GateMemory,
    /// When each group was last looked at by the model, and why.
    pub dialogues: BTreeMap<GroupId, LastDialogue>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            version: MEMORY_VERSION,
            tick: TickId::default(),
            planner: Arc::default(),
            gate: GateMemory::default(),
            dialogues: BTreeMap::new(),
        }
    }
}

/// What the planner has learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlannerMemory {
    /// By target.
    pub targets: BTreeMap<TargetKey, TargetMemory>,
    /// Node provisioning times seen (creation to ready), seconds, newest last.
    pub provisioning_s: VecDeque<f32>,
    /// The last packing and the digest of what it was made for: packed again only when something changed.
    pub packing: Option<PackingCache>,
}

/// What is known of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetMemory {
    /// UID it belongs to: a recreated object starts anew.
    pub uid: Arc<str>,
    /// Pod template it belongs to: a new template keeps the forecast, and starts start-up and capacity anew from the old as a prior.
    pub template: Arc<str>,
    /// First seen.
    pub since: Option<Timestamp>,
    /// Start-up times seen (scheduled to ready), seconds, newest last.
    pub startup_s: VecDeque<f32>,
    /// Pods whose start-up was counted, so that each counts once.
    pub startup_counted: VecDeque<Arc<str>>,
    /// Capacity of a replica.
    pub capacity: CapacityMemory,
    /// The demand forecaster.
    pub forecaster: Option<ForecasterState>,
    /// Needs of the last hour by minute, newest last: what hysteresis looks back on.
    pub needs: VecDeque<(Timestamp, u32)>,
    /// Granted headroom with its expiry.
    pub headroom: Option<Headroom>,
    /// OOM kills seen, with the memory limit they struck at.
    pub oom_kills: VecDeque<(Timestamp, u64)>,
    /// CPU that a pod was seen to use.
    #[serde(default)]
    pub usage: UsageMemory,
    /// What a replay of its own past chose; shared, since it changes once a day.
    #[serde(default)]
    pub tuning: Option<Arc<Tuning>>,
    /// What the peak forecast carries on.
    #[serde(default)]
    pub peak_watch: PeakWatch,
}

/// A regression that forecasts how high load peaks within a lead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeakModel {
    /// Seconds ahead that it looks.
    pub lead_s: u32,
    /// Added to load before its logarithm.
    pub offset: f64,
    /// One for each number that it sees.
    pub weights: Vec<f32>,
    /// Quantiles of its errors in log load, in multiples of their usual size.
    pub errors: Vec<f32>,
}

/// What a replay of the workload's own past chose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// When it was chosen.
    pub made: Timestamp,
    /// The forecast of the peak within the lead.
    pub model: PeakModel,
    /// Usual size of its errors at the end of the past, in log load.
    pub width: f32,
    /// How replicas follow from load.
    pub rule: TuningRule,
    /// What the past would have come to.
    pub evidence: TuningEvidence,
}

/// How replicas follow from load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum TuningRule {
    /// As many as cost least for the forecast peak.
    Forecast {
        /// How much wider than its usual errors the forecast is taken.
        spread: f64,
        /// Seconds that a need is held after it was last seen.
        hold_s: u32,
    },
    /// As many as the present load fills to a share: nothing that was forecast did better.
    Present {
        /// Share of capacity that is filled.
        utilisation: f64,
        /// Seconds that a need is held after it was last seen.
        hold_s: u32,
    },
}

/// What a past would have come to under the chosen rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuningEvidence {
    /// Days replayed.
    pub days: u32,
    /// Share of units that would have been bad.
    pub bad_share: f64,
    /// Replica-hours that would have been paid.
    pub replica_hours: f64,
    /// Both and the cold restarts at their price, replica-seconds.
    pub objective: f64,
    /// The same for the best rule of the other kind.
    pub other_objective: f64,
}

/// What is carried on of a peak forecast between ticks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeakWatch {
    /// Usual size of errors of late, in log load.
    pub width: f32,
    /// Forecasts that wait for what they forecast: when they were made, and the log of load.
    pub open: VecDeque<(Timestamp, f32)>,
}

/// What a pod was seen to use: histograms whose weights fade with time, as the Vertical Pod Autoscaler's recommender keeps them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageMemory {
    /// Weight by bucket of CPU; how buckets are bounded is the algorithm's.
    pub cpu: Vec<f32>,
    /// Minutes it rests on.
    pub minutes: u32,
    /// Weight by bucket of the highest memory of each day.
    #[serde(default)]
    pub memory: Vec<f32>,
    /// When the day under way began, and its highest memory so far, bytes.
    #[serde(default)]
    pub memory_peak: Option<(Timestamp, f64)>,
}

/// What is known of a replica's capacity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CapacityMemory {
    /// Units/s one replica serves at its requests; absent until learned.
    pub units_per_replica: Option<f64>,
    /// CPU cores a unit/s costs, by decayed least squares.
    pub cpu_per_unit: Option<f64>,
    /// Decayed sums behind it: Σd², Σdc, weight.
    pub sums: [f64; 3],
    /// The highest load a replica was seen to serve with latency and errors in line.
    pub served_well: Option<f64>,
    /// What a replica got done when all had more to do than they could, units/s.
    #[serde(default)]
    pub strained: Option<f64>,
    /// Minutes it rests on.
    pub samples: u32,
}

/// A forecaster's state between ticks. Followers are refitted rarely, and each tick they follow the level anew from the signal's own history, so
/// that no gap and no restart can spoil them; what is learned from each error is carried on. About 5 KB. A state of an older form lacks the
/// followers, and its series is fitted anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecasterState {
    /// When the followers were fitted.
    pub fitted: Timestamp,
    /// When every kind last took part in a fit; a quick one leaves out those that are slow to fit. Absent when none did yet.
    #[serde(default)]
    pub completed: Option<Timestamp>,
    /// Added to demand before its logarithm, so that a quiet night does not weigh more than a busy day.
    pub offset: f64,
    /// The models that follow a level, at most one of each kind.
    #[serde(default)]
    pub followers: Vec<FollowerState>,
    /// What was learned at 5, 15, 30 and 60 minutes ahead.
    #[serde(default)]
    pub horizons: Vec<HorizonState>,
    /// Forecasts that wait for what they forecast.
    #[serde(default)]
    pub notes: VecDeque<ForecastNote>,
    /// Back-test at the last fit.
    pub quality: ForecastQuality,
}

/// A fitted model that follows a level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FollowerState {
    /// Its kind, by name.
    pub model: Arc<str>,
    /// The seasonal shape of log demand by hour of the day (24), by five minutes of it (288), or by hour of the week (168); empty is flat.
    pub shape: Vec<f32>,
    /// How the level follows and is carried on: its gain, the trend's gain, the trend's damping, and what remains of the level's deviation
    /// from `base` after an hour.
    pub pace: [f64; 4],
    /// Log level that the deviation returns to.
    pub base: f64,
}

/// What a forecaster has learned of one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HorizonState {
    /// Fading mean loss of each part of the blend, in means of demand.
    pub losses: Vec<f32>,
    /// The regression's fading sums of products of its inputs (a lower triangle by rows), of inputs and targets, and its coefficients.
    pub products: Vec<f32>,
    /// See `products`.
    pub targets: Vec<f32>,
    /// See `products`.
    pub weights: Vec<f32>,
    /// Mean absolute error of the blend in log demand, of late and usually.
    pub sizes: [f32; 2],
    /// Quantiles of its error by level, in units of size.
    pub quantiles: Vec<f32>,
    /// Errors it rests on.
    pub seen: f32,
}

/// One forecast that waits for what it forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastNote {
    /// What it is a forecast for.
    pub due: Timestamp,
    /// Which of the four horizons.
    pub horizon: u16,
    /// Log demand by each part of the blend; a part without a forecast is `null`.
    #[serde(with = "crate::domain::series::gaps")]
    pub parts: Vec<f32>,
    /// Log demand by the blend.
    pub blend: f32,
}

/// Granted headroom.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Headroom {
    /// Quantile to size for, percent.
    pub quantile_percent: u32,
    /// Minutes of lead on top.
    pub extra_lead_minutes: u32,
    /// Until when.
    pub until: Timestamp,
}

/// A packing and what it was made for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackingCache {
    /// Digest of pods, nodes, pools and prices.
    pub input: Digest,
    /// The answer.
    pub mix: NodeMix,
}

/// What the gate remembers. Never taken from status or from a planner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GateMemory {
    /// Changes of replicas and resources that were carried out, by target, newest last, at most 32 each.
    pub changes: BTreeMap<TargetKey, VecDeque<ChangeMark>>,
    /// What was released and not yet seen in the world.
    pub commitments: Commitments,
    /// What model proposals have added in cost over the plan, by group, in the present day (UTC).
    pub regret: BTreeMap<GroupId, RegretAccount>,
    /// Usual replicas of a target: a slow mean of what it has had.
    pub usual: BTreeMap<TargetKey, f64>,
    /// When this memory began: until the cool-down after a scale-up has passed since, nothing shrinks. Absent is taken as now.
    #[serde(default)]
    pub started: Option<Timestamp>,
    /// When it was last settled: how much time a mean has to take in.
    #[serde(default)]
    pub settled: Option<Timestamp>,
}

/// A change that was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeMark {
    /// When.
    pub at: Timestamp,
    /// Who wanted it.
    pub origin: Origin,
    /// Replicas before; equal to `to` for a change of resources.
    pub from: u32,
    /// Replicas after.
    pub to: u32,
}

/// What the gate has released and not yet seen in the world, and what it has changed within the budget's window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Commitments {
    /// Released changes that no snapshot shows yet.
    pub open: Vec<Commitment>,
    /// Replicas changed within the change window: `(when, replicas)`.
    pub window: VecDeque<(Timestamp, u32)>,
}

/// One released change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commitment {
    /// Which proposal.
    pub proposal: ProposalId,
    /// Its group.
    pub group: GroupId,
    /// Who wanted it.
    pub origin: Origin,
    /// What was released.
    pub change: Change,
    /// When.
    pub at: Timestamp,
    /// What it changes in cost an hour.
    pub cost_change_per_hour: MicroUsd,
    /// What a model's change is charged for adding over the plan; moved to the group's account once the change is in the world.
    #[serde(default)]
    pub regret: MicroUsd,
}

/// Regret spent in a day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegretAccount {
    /// Start of the day, UTC.
    pub day: Timestamp,
    /// Spent.
    pub spent: MicroUsd,
}

/// When and why the model last looked at a group, and how that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastDialogue {
    /// When.
    pub at: Timestamp,
    /// What made it worth asking.
    pub reason: AskReason,
    /// How it ended; absent while it is open. What it says of the model holds until the next look.
    #[serde(default)]
    pub end: Option<DialogueEnd>,
}

/// What makes a tick worth asking for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AskReason {
    /// Something material changed.
    Changed,
    /// An announced surge is near.
    SurgeNear,
    /// The outlook is unsure.
    Unsure,
    /// A person asked.
    Asked,
    /// The last look is too old.
    LookTooOld,
}
