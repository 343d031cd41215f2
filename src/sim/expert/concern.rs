//! What the expert goes after, one rule each: what it sees in the brief, what it asks, what it makes of the answers.

use serde_json::{Value, json};

use super::Call;
use super::past::Past;
use super::reading::{Reading, Refused, Surge, Target};

/// A signal below this share of what it was has broken down; one above [`WENT_ON`] has not.
const BROKE_DOWN: f64 = 0.3;
const WENT_ON: f64 = 0.6;
/// A surge further away than this is left for later, minutes.
const SURGE_NEAR: f64 = 30.0;
/// Targets that are prepared for a surge in one conversation.
const SURGE_TARGETS: usize = 2;
/// Quantile that it asks for in a surge, whose size nobody knows; and the lead.
const SURGE_QUANTILE: u32 = 95;
const SURGE_LEAD_MINUTES: u32 = 5;
/// Share of its capacity at which it wants a replica.
const COMFORTABLE: f64 = 0.75;
/// Memory that has grown by so much within three hours leaks.
const LEAKS: f64 = 1.04;

/// Something that needs a look.
#[derive(Debug)]
pub(super) enum Concern {
    /// Demand broke down and CPU did not, or samples were refused: one of them is wrong.
    Contradiction(Target),
    /// Containers were killed for memory; by this event, where one tells of it.
    Killed(Target, Option<String>),
    /// A surge is announced and near.
    Surge(Surge, Vec<Target>),
    /// The plan's change was refused for want of room or money.
    Short(Target, Refused),
}

impl Concern {
    /// All concerns that the brief gives rise to, the most urgent first.
    pub(super) fn all(reading: &Reading) -> Vec<Self> {
        let each =
            |concern: fn(&Reading, &Target) -> Option<Self>| reading.targets.iter().filter_map(move |target| concern(reading, target));
        let surge = reading.surge.and_then(|surge| Self::surge(surge, reading));
        each(Self::contradiction).chain(surge).chain(each(Self::killed)).chain(each(Self::short)).collect()
    }

    fn contradiction(_: &Reading, target: &Target) -> Option<Self> {
        let (demand, cpu) = (target.signal("demand"), target.signal("cpu"));
        let share = |now: Option<f64>, of: Option<f64>| Some(now? / of.filter(|of| *of > 0.0)?);
        let before = demand.max_60m.filter(|max| *max > 0.0).or(demand.day_ago);
        let parted = share(demand.now, before).is_some_and(|s| s < BROKE_DOWN) && share(cpu.now, cpu.max_60m).is_some_and(|s| s > WENT_ON);
        (parted || demand.faulty || cpu.faulty).then(|| Self::Contradiction(target.clone()))
    }

    /// One that is short of room is killed by its load: that is the concern then, and a target has one cause.
    fn killed(reading: &Reading, target: &Target) -> Option<Self> {
        if Self::short(reading, target).is_some() {
            return None;
        }
        let event = reading.events.iter().find(|event| event.target == target.alias && event.reason == "OOMKilling");
        let counted = target.signal("oom_kills").now.is_some_and(|kills| kills > 0.0);
        (counted || event.is_some()).then(|| Self::Killed(target.clone(), event.map(|event| event.id.clone())))
    }

    fn short(_: &Reading, target: &Target) -> Option<Self> {
        let refused = target.refused.clone()?;
        let for_want = ["CostBudget", "Quota", "Fit", "Bounds"].contains(&refused.rule.as_str()) && refused.to > refused.from;
        for_want.then(|| Self::Short(target.clone(), refused))
    }

    fn surge(surge: Surge, reading: &Reading) -> Option<Self> {
        let near = (0.0..=SURGE_NEAR).contains(&surge.starts_in_minutes);
        let prepared = |target: &&Target| target.plan.and_then(|p| p.quantile_percent).is_some_and(|q| q >= f64::from(SURGE_QUANTILE));
        let grows = |target: &&Target| target.may_grow && target.signal("demand").now.is_some_and(|now| now > 0.0);
        let targets: Vec<Target> =
            reading.targets.iter().filter(grows).filter(|target| !prepared(target)).take(SURGE_TARGETS).cloned().collect();
        (near && !targets.is_empty()).then_some(Self::Surge(surge, targets))
    }

    /// What it saw, in a sentence.
    pub(super) fn seen(&self) -> String {
        match self {
            Self::Contradiction(t) => format!("{}: demand and CPU do not go together. I compare them over the hour.", t.alias),
            Self::Killed(t, _) => format!("{}: containers were killed for memory. Is it the load, or does it grow by itself?", t.alias),
            Self::Surge(s, _) => {
                format!("A surge to {} % is announced in {} minutes. Does the outlook know?", s.percent, s.starts_in_minutes)
            }
            Self::Short(t, r) => format!("{}: {} refused the plan's {} -> {}. Would less pass?", t.alias, r.rule, r.from, r.to),
        }
    }

    /// What it asks first.
    pub(super) fn look(&self) -> Vec<Call> {
        let history = |target: &Target, signal: &str, window: u32, step: u32, aggregate: &str| {
            let window =
                json!({ "target": target.alias, "signal": signal, "window_minutes": window, "step_minutes": step, "aggregate": aggregate });
            ("query_metrics", window)
        };
        match self {
            Self::Contradiction(t) => vec![history(t, "demand", 60, 4, "Mean"), history(t, "cpu", 60, 4, "Mean")],
            Self::Killed(t, _) => vec![("inspect_target", json!({ "target": t.alias })), history(t, "memory", 180, 12, "Max")],
            Self::Surge(surge, targets) => {
                let within = (surge.starts_in_minutes + 10.0).min(60.0) as u32;
                let ask = |t: &Target| json!({ "target": t.alias, "quantile_percent": 90, "within_minutes": within });
                targets.iter().map(|t| ("forecast_demand", ask(t))).collect()
            }
            Self::Short(t, _) if t.desired < t.most => vec![check_replicas(t, t.desired + 1)],
            Self::Short(t, _) => vec![("inspect_target", json!({ "target": t.alias }))],
        }
    }

    /// What it makes of the first answers: a finding, or a question to the guardrails.
    pub(super) fn weigh(&self, past: &Past) -> Vec<Call> {
        match self {
            Self::Contradiction(t) if contradicted(t, past) => {
                let why = format!("demand of {} broke down while its CPU went on: what is reported is not what happens", t.alias);
                vec![finding(&t.alias, "MetricFault", "Platform", &why, &[format!("{}.demand", t.alias), format!("{}.cpu", t.alias)])]
            }
            Self::Killed(t, event) if leaks(t, past) => {
                let why = format!("memory of {} grows hour by hour without more load, up to its limit: more replicas do not help", t.alias);
                let evidence: Vec<String> = event.iter().cloned().chain([format!("{}.memory", t.alias)]).collect();
                vec![finding(&t.alias, "Leak", "Team", &why, &evidence)]
            }
            Self::Surge(surge, targets) => targets.iter().map(|t| check_surge(*surge, t, past)).collect(),
            Self::Short(t, _) if admits(past.check(&t.alias)) => {
                let why = format!("the whole step is refused; one replica more for {} passes and helps", t.alias);
                vec![propose_replicas(t, t.desired + 1, &why)]
            }
            Self::Short(t, r) => {
                let why = format!("{} needs {} replicas and {} holds it at {}: somebody has to decide", t.alias, r.to, r.rule, r.from);
                vec![finding(&t.alias, "Capacity", "Platform", &why, &[format!("{}.demand", t.alias)])]
            }
            Self::Contradiction(_) | Self::Killed(..) => Vec::new(),
        }
    }

    /// What it proposes, once it knows what the guardrails say.
    pub(super) fn act(&self, past: &Past) -> Vec<Call> {
        let Self::Surge(surge, targets) = self else { return Vec::new() };
        let propose = |t: &Target| match (surge_need(*surge, t), past.check(&t.alias)) {
            (Some(need), check) if admits(check) && !foreseen(*surge, t, past) => {
                let why = format!("the announced surge needs {need} replicas of {} and the outlook does not know it", t.alias);
                propose_replicas(t, need, &why)
            }
            _ => {
                let why = format!(
                    "a surge to {} % is announced: its size is unsure, so {} is sized for p{SURGE_QUANTILE}",
                    surge.percent, t.alias
                );
                let mut headroom = headroom(*surge, t);
                headroom["rationale"] = json!(why);
                headroom["evidence"] = json!([format!("{}.demand", t.alias)]);
                ("propose_headroom", headroom)
            }
        };
        targets.iter().map(propose).collect()
    }

    /// How it ended, in a sentence.
    pub(super) fn conclude(&self, past: &Past) -> String {
        match self {
            Self::Contradiction(t) if contradicted(t, past) => format!("{}'s demand is not believed: nothing may shrink on it.", t.alias),
            Self::Contradiction(t) => format!("{}'s signals moved together after all.", t.alias),
            Self::Killed(t, _) if leaks(t, past) => format!("{} leaks; its team is told.", t.alias),
            Self::Killed(t, _) => format!("{}'s memory does not grow by itself: the plan's requests decide.", t.alias),
            Self::Surge(surge, targets) => targets.iter().map(|t| conclude_surge(*surge, t, past)).collect::<Vec<_>>().join(" "),
            Self::Short(t, _) if past.about("propose_replicas", &t.alias).is_some() => {
                format!("One replica more for {} is what passes.", t.alias)
            }
            Self::Short(t, r) => format!("{} stays at {}: {} is for people to change.", t.alias, r.from, r.rule),
        }
    }
}

fn conclude_surge(surge: Surge, target: &Target, past: &Past) -> String {
    let refused = past.check(&target.alias).filter(|check| !admits(Some(check))).and_then(|check| check["rule"].as_str());
    match (surge_need(surge, target), refused) {
        (Some(need), Some(rule)) if !foreseen(surge, target, past) => {
            format!("I wanted {need} replicas of {} at once; {rule} does not let that pass, so it gets headroom.", target.alias)
        }
        _ => format!("{} is prepared for the surge.", target.alias),
    }
}

/// Replicas that carry the announced demand comfortably, where that is more than there are.
fn surge_need(surge: Surge, target: &Target) -> Option<u32> {
    let capacity = target.plan?.capacity.filter(|capacity| *capacity > 0.0)?;
    let need = (announced(surge, target) / (capacity * COMFORTABLE)).ceil() as u32;
    (need > target.desired).then_some(need)
}

fn announced(surge: Surge, target: &Target) -> f64 {
    target.signal("demand").now.unwrap_or_default() * surge.percent / 100.0
}

/// Whether the outlook reaches what was announced.
fn foreseen(surge: Surge, target: &Target, past: &Past) -> bool {
    let peak = past.about("forecast_demand", &target.alias).and_then(|forecast| forecast["peak"].as_f64());
    peak.is_some_and(|peak| peak >= 0.9 * announced(surge, target))
}

fn check_surge(surge: Surge, target: &Target, past: &Past) -> Call {
    match surge_need(surge, target) {
        Some(need) if !foreseen(surge, target, past) => check_replicas(target, need),
        _ => ("check_proposal", json!({ "headroom": headroom(surge, target) })),
    }
}

fn headroom(surge: Surge, target: &Target) -> Value {
    json!({
        "target": target.alias,
        "quantile_percent": SURGE_QUANTILE,
        "extra_lead_minutes": SURGE_LEAD_MINUTES,
        "for_minutes": (surge.starts_in_minutes + surge.minutes).clamp(5.0, 1440.0) as u32,
    })
}

fn contradicted(target: &Target, past: &Past) -> bool {
    let share = |signal| past.earlier_and_now(&target.alias, signal).filter(|(before, _)| *before > 0.0).map(|(before, now)| now / before);
    let faulty = target.signal("demand").faulty || target.signal("cpu").faulty;
    faulty || (share("demand").is_some_and(|share| share < BROKE_DOWN) && share("cpu").is_some_and(|share| share > WENT_ON))
}

fn leaks(target: &Target, past: &Past) -> bool {
    past.earlier_and_now(&target.alias, "memory").is_some_and(|(before, now)| now > before * LEAKS)
}

fn admits(check: Option<&Value>) -> bool {
    check.is_some_and(|check| check["verdict"] == "Admit")
}

fn check_replicas(target: &Target, replicas: u32) -> Call {
    ("check_proposal", json!({ "replicas": { "target": target.alias, "replicas": replicas } }))
}

fn propose_replicas(target: &Target, replicas: u32, why: &str) -> Call {
    let evidence = [format!("{}.demand", target.alias)];
    ("propose_replicas", json!({ "target": target.alias, "replicas": replicas, "rationale": why, "evidence": evidence }))
}

fn finding(target: &str, cause: &str, notify: &str, why: &str, evidence: &[String]) -> Call {
    ("report_finding", json!({ "target": target, "cause": cause, "notify": notify, "rationale": why, "evidence": evidence }))
}
