//! What people set: the groups that teams name, the guardrails and fleets of the platform. Read from custom resources, checked once,
//! and never written by anything in this program.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fleet::CapacityType;
use super::names::{GroupId, TargetKey};
use super::units::{Bytes, GoDuration, MicroUsd, Millicores};

/// How far IPA may go. Ordered: the effective mode is the least of what installation, guardrail and group allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Shadow: records what it would do, changes nothing.
    #[default]
    Observe,
    /// Asks: each change waits for a person.
    Recommend,
    /// Acts within the limits.
    Auto,
}

impl std::str::FromStr for Mode {
    type Err = ModeError;
    fn from_str(text: &str) -> Result<Self, ModeError> {
        [Self::Observe, Self::Recommend, Self::Auto]
            .into_iter()
            .find(|mode| format!("{mode:?}").eq_ignore_ascii_case(text))
            .ok_or_else(|| ModeError(text.chars().take(40).collect()))
    }
}

/// Text that names no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mode: write Observe, Recommend or Auto")]
pub struct ModeError(String);

/// Modes by kind of change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modes {
    /// Adding replicas.
    pub scale_up: Mode,
    /// Removing replicas.
    pub scale_down: Mode,
    /// Requests and limits.
    pub resources: Mode,
    /// Node pools.
    pub nodes: Mode,
}

impl Modes {
    /// The same mode for every kind of change.
    #[must_use]
    pub const fn all(mode: Mode) -> Self {
        Self { scale_up: mode, scale_down: mode, resources: mode, nodes: mode }
    }

    /// No kind of change above `ceiling`.
    #[must_use]
    pub fn at_most(self, ceiling: Mode) -> Self {
        Self {
            scale_up: self.scale_up.min(ceiling),
            scale_down: self.scale_down.min(ceiling),
            resources: self.resources.min(ceiling),
            nodes: self.nodes.min(ceiling),
        }
    }
}

/// How much a workload matters when not all can be served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Criticality {
    /// May wait.
    Low,
    /// The usual.
    #[default]
    Medium,
    /// Users notice at once.
    High,
    /// The business stops.
    Critical,
}

/// Replica bounds, checked: `min ≤ max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Least replicas.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
}

impl Bounds {
    /// Bounds that hold, or nothing.
    #[must_use]
    pub fn new(min: u32, max: u32) -> Option<Self> {
        (min <= max).then_some(Self { min, max })
    }

    /// The nearest count inside.
    #[must_use]
    pub fn clamp(self, replicas: u32) -> u32 {
        replicas.clamp(self.min, self.max)
    }
}

/// A group: what one `IntelligentPodAutoscaler` says, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Which group.
    pub id: GroupId,
    /// The custom resource's UID.
    pub uid: Arc<str>,
    /// The custom resource's generation, for `observedGeneration`.
    pub generation: i64,
    /// When it was created: of two that name one target the older wins.
    pub created: Option<Timestamp>,
    /// Its workloads.
    pub targets: Vec<GroupTarget>,
    /// How far it may go, as the team set it.
    pub modes: Modes,
    /// Signals that the team names beside or instead of the shipped ones.
    pub signals: Vec<CustomSignal>,
    /// What is promised to users.
    pub slo: Option<Slo>,
    /// Most that its pods may cost an hour.
    pub cost_budget_per_hour: Option<MicroUsd>,
    /// Time zone of windows and seasons.
    pub time_zone: TimeZoneName,
    /// When nothing may change.
    pub freeze_windows: Vec<FreezeWindow>,
    /// Announced surges.
    pub surges: Vec<Surge>,
    /// Who calls whom.
    pub depends_on: Vec<Dependency>,
    /// How replicas are moved.
    pub actuation: Actuation,
    /// How long a person's `kubectl scale` is left alone.
    pub human_hold: GoDuration,
    /// Whether the model is asked for this group.
    pub model_enabled: bool,
    /// Forecasting model by name; absent chooses by back-test.
    pub forecast_model: Option<String>,
    /// `ipa.dev/paused`, `paused-scale-in`, `paused-scale-out` on the custom resource.
    pub paused: Paused,
}

/// Which directions a person has paused by annotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// No fewer replicas.
    pub scale_in: bool,
    /// No more replicas.
    pub scale_out: bool,
    /// No other change either.
    pub all: bool,
}

/// One workload as its team wants it scaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupTarget {
    /// Which object.
    pub key: TargetKey,
    /// Container whose resources may change; absent means the only or the largest one.
    pub container: Option<String>,
    /// Bounds the team set; they count only inside the guardrail's.
    pub bounds: Bounds,
    /// How much it matters; never above the guardrail's highest.
    pub criticality: Criticality,
    /// Units of demand a second that one ready replica serves, where the team declares it.
    pub capacity_per_replica: Option<f64>,
}

/// What a signal is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SignalUse {
    /// The load that replicas are sized for.
    Demand,
    /// Rises before demand does.
    Leading,
    /// Forbids a scale-down while it is out of line.
    Guard,
}

/// How a custom signal's series are joined to targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum JoinKey {
    /// Label `pod` (or `exported_pod`): one of the target's pods.
    Pod,
    /// Label `service`: one of its services.
    Service,
    /// Label `ingress`: one of its ingresses.
    Ingress,
    /// Label `workload`, `deployment` or `statefulset`: its own name.
    Workload,
}

/// How several series of one target become one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Aggregate {
    /// Added up.
    Sum,
    /// The mean.
    Avg,
    /// The largest.
    Max,
}

/// A signal that a team names with its own PromQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomSignal {
    /// Name, unique in the group.
    pub name: String,
    /// What it is for.
    pub role: SignalUse,
    /// Its unit (`1/s`, `messages`).
    pub unit: String,
    /// PromQL; the installation's matcher is injected into every selector.
    pub query: String,
    /// How its series are joined to targets.
    pub join: JoinKey,
    /// How several series become one.
    pub aggregate: Aggregate,
}

/// What is promised to users.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// A request slower than this is bad.
    pub latency: GoDuration,
    /// Share of good requests promised, in hundredths of a percent (9990 is 99.9 %).
    pub objective_bp: u32,
    /// What one wholly bad minute at mean demand costs, in minutes of the ideal fleet.
    pub bad_minute_cost: u32,
}

impl Default for Slo {
    fn default() -> Self {
        Self { latency: GoDuration(std::time::Duration::from_millis(500)), objective_bp: 9_900, bad_minute_cost: 10 }
    }
}

/// An announced surge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surge {
    /// Name, for people.
    pub name: String,
    /// When it begins.
    pub start: Timestamp,
    /// How long it lasts.
    pub duration: GoDuration,
    /// Demand in percent of the usual for that time (300 is three times).
    pub percent: u32,
}

/// A call from one target to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Who calls.
    pub from: TargetKey,
    /// Who is called.
    pub to: TargetKey,
    /// Calls for each unit of the caller's demand, in thousandths.
    pub ratio_milli: u32,
}

/// How replicas are moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Actuation {
    /// `spec.replicas` through `/scale`.
    #[default]
    Replicas,
    /// The HPA's min and max; the HPA keeps the reflex.
    HPABounds,
}

/// A checked IANA time zone name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZoneName {
    name: String,
    zone: TimeZone,
}

impl TimeZoneName {
    /// UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".into(), zone: TimeZone::UTC }
    }

    /// The zone.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Its IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl TryFrom<String> for TimeZoneName {
    type Error = TimeZoneError;
    fn try_from(name: String) -> Result<Self, TimeZoneError> {
        match TimeZone::get(&name) {
            Ok(zone) => Ok(Self { name, zone }),
            Err(_) => Err(TimeZoneError(name.chars().take(64).collect())),
        }
    }
}

impl From<TimeZoneName> for String {
    fn from(zone: TimeZoneName) -> Self {
        zone.name
    }
}

/// A name that is no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an IANA time zone: write a name such as Europe/Vienna or UTC")]
pub struct TimeZoneError(String);

/// A weekly stretch in which nothing may change, in the group's time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeWindow {
    /// Days on which it begins; empty means every day.
    pub days: Vec<WeekdayName>,
    /// Wall-clock time at which it begins.
    pub start: Time,
    /// How long it lasts; may pass midnight.
    pub duration: GoDuration,
    /// Whether it stops scale-ups too (by default only what takes capacity away or restarts pods is held).
    pub scale_ups_too: bool,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum WeekdayName {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl From<Weekday> for WeekdayName {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}

impl FreezeWindow {
    /// Whether `now` lies inside.
    #[must_use]
    pub fn covers(&self, now: Timestamp, zone: &TimeZone) -> bool {
        self.open_until(now, zone).is_some()
    }

    /// Until when the window that `now` lies inside is open, looking back over the days whose window could still be; `None` outside of it.
    #[must_use]
    pub fn open_until(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = now.to_zoned(zone.clone());
        let days_back = i64::try_from(self.duration.0.as_secs() / 86_400 + 1).unwrap_or(7).min(8);
        let end_of = |back: i64| {
            let date = local.date().checked_sub(jiff::Span::new().days(back)).ok()?;
            if !self.days.is_empty() && !self.days.contains(&WeekdayName::from(date.weekday())) {
                return None;
            }
            let start = date.to_datetime(self.start).to_zoned(zone.clone()).ok()?.timestamp();
            let end = start.saturating_add(self.duration.signed()).unwrap_or(Timestamp::MAX);
            (start <= now && now < end).then_some(end)
        };
        (0..=days_back).filter_map(end_of).max()
    }
}

/// What the platform allows in one namespace: a `ScalingGuardrail` named `default`, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guardrail {
    /// Namespace.
    pub namespace: Arc<str>,
    /// The custom resource's UID and generation, recorded with each decision.
    pub version: String,
    /// Enrolled targets and their limits.
    pub targets: BTreeMap<TargetKey, TargetLimits>,
    /// Whether everything is frozen.
    pub freeze: bool,
    /// Highest mode.
    pub highest_mode: Mode,
    /// Most that the namespace's enrolled pods may cost an hour.
    pub cost_budget_per_hour: Option<MicroUsd>,
    /// Most that they may cost a month.
    pub cost_budget_per_month: Option<MicroUsd>,
}

/// Limits of one enrolled target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetLimits {
    /// Hard bounds.
    pub bounds: Bounds,
    /// Most replicas added by one change.
    pub max_step_up: u32,
    /// Most replicas removed by one change.
    pub max_step_down: u32,
    /// Bounds of a container's requests and limits.
    pub resources: ResourceBounds,
    /// Highest criticality a team may claim.
    pub highest_criticality: Criticality,
    /// Whether 0 replicas may be asked for.
    pub allow_zero: bool,
}

/// Bounds of a container's requests and limits; absent is unbounded below, and forbids raising above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceBounds {
    /// Least CPU request.
    pub min_cpu: Option<Millicores>,
    /// Most CPU request or limit.
    pub max_cpu: Option<Millicores>,
    /// Least memory request.
    pub min_memory: Option<Bytes>,
    /// Most memory request or limit.
    pub max_memory: Option<Bytes>,
}

/// What the platform lets IPA do with nodes: a `NodeFleet`, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// Its pseudo-group.
    pub id: GroupId,
    /// The custom resource's UID.
    pub uid: Arc<str>,
    /// The custom resource's generation.
    pub generation: i64,
    /// Who provisions.
    pub provider: Provider,
    /// Pools the agent may shape; drafts are named after these.
    pub pools: Vec<Arc<str>>,
    /// The provider's node class that drafts refer to.
    pub node_class: NodeClassRef,
    /// Instance families allowed; empty means all.
    pub families: Vec<Arc<str>>,
    /// Zones allowed; empty means all.
    pub zones: Vec<Arc<str>>,
    /// Ways to pay.
    pub capacity_types: Vec<CapacityType>,
    /// Least share of capacity on demand, percent.
    pub least_on_demand_percent: u32,
    /// Least number of instance types in a pool, against stock-outs.
    pub least_types_per_pool: u32,
    /// Most percent of a target's pods that one node's loss may take.
    pub blast_radius_percent: u32,
    /// Most CPU and memory over all its pools.
    pub limits: FleetLimits,
    /// Most that its nodes may cost an hour.
    pub cost_budget_per_hour: Option<MicroUsd>,
    /// Highest mode for node changes.
    pub highest_mode: Mode,
}

/// Most resources of a fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetLimits {
    /// CPU.
    pub cpu: Option<Millicores>,
    /// Memory.
    pub memory: Option<Bytes>,
}

/// Who provisions nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Provider {
    /// Karpenter: IPA drafts NodePools.
    #[default]
    Karpenter,
    /// Cluster API: IPA sets MachineDeployment replicas.
    ClusterAPI,
}

/// Karpenter's `nodeClassRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeClassRef {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// What the installation's administrators set for the gate, in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct GateLimits {
    /// Highest mode of the installation; set from the configuration's `mode`.
    #[schemars(skip)]
    pub highest_mode: Mode,
    /// After a scale-up, how long no scale-down of that target.
    pub cool_down_after_up: GoDuration,
    /// After a scale-down, how long no further one of that target.
    pub cool_down_after_down: GoDuration,
    /// Within which a reversal of direction counts as flapping.
    pub flap_window: GoDuration,
    /// Direction changes within the flap window after which a target is held.
    pub most_reversals: u32,
    /// Window of the change budget.
    pub change_window: GoDuration,
    /// Most replicas changed within the window over all groups, in percent of all enrolled replicas (never less than `change_floor`).
    pub change_percent: u32,
    /// The change budget's least, in replicas.
    pub change_floor: u32,
    /// Share of the change budget kept for dialogues that are still open, percent.
    pub dialogue_share_percent: u32,
    /// A change beyond this factor of the usual replicas needs a person.
    pub unusual_factor: u32,
    /// Metrics older than this are stale.
    pub stale_after: GoDuration,
    /// Most that model proposals may cost over the plan, per group and day, in percent of the plan's cost a day.
    pub regret_percent: u32,
    /// How long an approval may be awaited.
    pub proposal_ttl: GoDuration,
    /// Most proposals waiting at once, over all groups.
    pub most_pending: u32,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            highest_mode: Mode::Auto,
            cool_down_after_up: GoDuration::from_mins(5),
            cool_down_after_down: GoDuration::from_mins(2),
            flap_window: GoDuration::from_mins(30),
            most_reversals: 3,
            change_window: GoDuration::from_mins(5),
            change_percent: 50,
            change_floor: 20,
            dialogue_share_percent: 20,
            unusual_factor: 10,
            stale_after: GoDuration::from_mins(3),
            regret_percent: 20,
            proposal_ttl: GoDuration::from_mins(30),
            most_pending: 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_window_passes_midnight_in_the_groups_time_zone() {
        let vienna = TimeZoneName::try_from("Europe/Vienna".to_owned()).unwrap();
        let window = FreezeWindow {
            days: vec![WeekdayName::Friday],
            start: Time::constant(22, 0, 0, 0),
            duration: "4h".parse().unwrap(),
            scale_ups_too: false,
        };
        let covers = |t: &str| window.covers(t.parse().unwrap(), vienna.zone());
        assert!(!covers("2026-03-06T20:59:00Z"), "21:59 in Vienna");
        assert!(covers("2026-03-06T21:00:00Z"), "22:00 in Vienna");
        assert!(covers("2026-03-07T00:59:00Z"), "01:59 on Saturday");
        let until = window.open_until("2026-03-07T00:59:00Z".parse().unwrap(), vienna.zone());
        assert_eq!(until, Some("2026-03-07T01:00:00Z".parse().unwrap()));
        assert!(!covers("2026-03-07T01:00:00Z"));
        assert!(!covers("2026-03-07T21:30:00Z"), "Saturday evening");
    }

    #[test]
    fn the_effective_mode_is_the_least() {
        let team = Modes { scale_up: Mode::Auto, ..Modes::all(Mode::Recommend) };
        assert_eq!(team.at_most(Mode::Recommend), Modes::all(Mode::Recommend));
        assert_eq!(team.at_most(Mode::Auto), team);
    }
}
