//! What the model calls things. Every name of the cluster (targets, pods, nodes, pools, fleets, a team's own signals) is replaced by an alias
//! that holds for one dialogue; the order in which aliases are given depends on numbers and on where a team wrote a target down, never on a
//! name, so that a hostile name changes not one byte of a prompt. Names come back only after the dialogue.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mistake::Mistake;
use crate::domain::limits::{Fleet, Group, GroupTarget, SignalUse};
use crate::domain::names::{EvidenceId, TargetKey};
use crate::domain::plan::Plan;
use crate::domain::signal::SignalName;
use crate::domain::snapshot::{Event, Snapshot};
use crate::domain::workload::{Pod, Rollout};

/// Units that are passed on; any other text a team wrote as a unit is told as `units`.
const KNOWN_UNITS: [&str; 14] =
    ["1/s", "req/s", "requests", "messages", "items", "jobs", "tokens", "tokens/s", "s", "ms", "bytes", "cores", "share", "count"];

/// The aliases of one dialogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aliases {
    targets: Vec<TargetKey>,
    pods: Vec<(usize, Arc<str>)>,
    nodes: Vec<Arc<str>>,
    signals: Vec<CustomAlias>,
    fleets: Vec<Arc<str>>,
    pools: Vec<(usize, Arc<str>)>,
}

/// A team's own signal, as far as the model hears of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomAlias {
    name: Arc<str>,
    /// What it is for.
    pub role: SignalUse,
    /// Its unit, from a closed list.
    pub unit: Cow<'static, str>,
}

macro_rules! alias_types {
    ($($(#[$doc:meta])* $name:ident = $pattern:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern})
            }
        }
    )*};
}
alias_types! {
    /// A target as the model writes it.
    TargetAlias = "^w[1-9][0-9]*$";
    /// A fleet as the model writes it.
    FleetAlias = "^f[1-9][0-9]*$";
    /// A node pool as the model writes it.
    PoolAlias = "^np[1-9][0-9]*$";
    /// A signal as the model writes it.
    SignalAlias = "^(demand|cpu|throttling|memory|latency|errors|queue|restarts|oom_kills|gpu_duty|llm_waiting|llm_running|s[1-9][0-9]*)$";
    /// Evidence as the model writes it.
    EvidenceAlias = "^(e[1-9][0-9]*|ev[0-9]+|w[1-9][0-9]*\\.[a-z0-9_]+)$";
}

impl Aliases {
    /// Aliases for a group's dialogue: targets by how much they need a look, then as the team listed them.
    #[must_use]
    pub fn new(snapshot: &Snapshot, plan: &Plan, group: &Group) -> Self {
        let mut ranked: Vec<(usize, &GroupTarget)> = group.targets.iter().enumerate().collect();
        ranked.sort_by_key(|(listed, target)| (Reverse(relevance(snapshot, plan, group, target)), *listed));
        let targets: Vec<TargetKey> = ranked.into_iter().map(|(_, target)| target.key.clone()).collect();

        let mut fleets: Vec<&Fleet> = snapshot.facts.fleets.values().collect();
        fleets.sort_by_key(|f| (f.limits.cpu, f.limits.memory, f.capacity_types.clone(), f.least_types_per_pool, f.id.clone()));
        let pools = fleets.iter().enumerate().flat_map(|(index, f)| f.pools.iter().map(move |pool| (index, pool.clone()))).collect();

        let mut nodes: Vec<_> = snapshot.facts.nodes.iter().collect();
        nodes.sort_by_key(|n| (n.created, n.allocatable.clone(), n.requested.clone(), n.ready, n.unschedulable, n.name.clone()));
        let nodes: Vec<Arc<str>> = nodes.into_iter().map(|n| n.name.clone()).collect();

        let mut pods = Vec::new();
        for (index, key) in targets.iter().enumerate() {
            let mut own: Vec<&Pod> = snapshot.workload(key).map(|w| w.pods.iter().collect()).unwrap_or_default();
            own.sort_by_cached_key(|pod| {
                let node = pod.node.as_ref().and_then(|name| nodes.iter().position(|n| n == name));
                (pod.phase, pod.created, pod.ready_since, pod.restarts, pod.oom_killed, pod.current_template, node, pod.name.clone())
            });
            pods.extend(own.into_iter().map(|pod| (index, pod.name.clone())));
        }

        let signals = group.signals.iter().map(|signal| CustomAlias {
            name: signal.name.as_str().into(),
            role: signal.role,
            unit: Cow::Borrowed(KNOWN_UNITS.into_iter().find(|unit| *unit == signal.unit).unwrap_or("units")),
        });
        Self { targets, pods, nodes, signals: signals.collect(), fleets: fleets.iter().map(|f| f.id.name.clone()).collect(), pools }
    }

    /// All targets of the dialogue, most relevant first.
    #[must_use]
    pub fn targets(&self) -> &[TargetKey] {
        &self.targets
    }

    /// The alias of a target; `None` for one of another group.
    #[must_use]
    pub fn of_target(&self, key: &TargetKey) -> Option<String> {
        self.targets.iter().position(|t| t == key).map(|index| format!("w{}", index + 1))
    }

    /// The target an alias stands for.
    ///
    /// # Errors
    /// [`Mistake`] when it stands for none.
    pub fn target(&self, alias: &TargetAlias) -> Result<&TargetKey, Mistake> {
        index_of(&alias.0, "w")
            .and_then(|index| self.targets.get(index))
            .ok_or_else(|| Mistake::unknown_name("target", &alias.0, &range_of("w", self.targets.len())))
    }

    /// Pods of a target with their aliases, in the order of aliases.
    pub fn pods_of<'a>(&'a self, key: &'a TargetKey) -> impl Iterator<Item = (String, &'a str)> {
        let target = self.targets.iter().position(|t| t == key);
        let own = self.pods.iter().enumerate().filter(move |(_, (owner, _))| Some(*owner) == target);
        own.map(|(index, (_, name))| (format!("p{}", index + 1), &**name))
    }

    /// The alias of a node.
    #[must_use]
    pub fn of_node(&self, name: &str) -> Option<String> {
        self.nodes.iter().position(|n| &**n == name).map(|index| format!("n{}", index + 1))
    }

    /// A signal as the model writes it; a team's own by alias.
    #[must_use]
    pub fn of_signal(&self, name: &SignalName) -> Option<String> {
        match name {
            SignalName::Custom(own) => self.signals.iter().position(|s| s.name == *own).map(|index| format!("s{}", index + 1)),
            shipped => Some(shipped.as_str().to_owned()),
        }
    }

    /// A signal's unit, from a closed list.
    #[must_use]
    pub fn unit_of(&self, name: &SignalName) -> &str {
        match name {
            SignalName::Custom(own) => self.signals.iter().find(|s| s.name == *own).map_or("units", |s| &s.unit),
            shipped => shipped.unit(),
        }
    }

    /// A team's own signals with their aliases.
    pub fn custom_signals(&self) -> impl Iterator<Item = (String, &CustomAlias)> {
        self.signals.iter().enumerate().map(|(index, signal)| (format!("s{}", index + 1), signal))
    }

    /// The signal an alias stands for.
    ///
    /// # Errors
    /// [`Mistake`] when it stands for none.
    pub fn signal(&self, alias: &SignalAlias) -> Result<SignalName, Mistake> {
        if let Some(shipped) = SignalName::SHIPPED.into_iter().find(|s| s.as_str() == alias.0) {
            return Ok(shipped);
        }
        let own = index_of(&alias.0, "s").and_then(|index| self.signals.get(index));
        own.map(|signal| SignalName::Custom(signal.name.clone())).ok_or_else(|| {
            let shipped = SignalName::SHIPPED.map(|s| s.as_str().to_owned()).join(", ");
            let known = if self.signals.is_empty() { shipped } else { format!("{shipped}, {}", range_of("s", self.signals.len())) };
            Mistake::unknown_name("signal", &alias.0, &known)
        })
    }

    /// The fleet an alias stands for.
    ///
    /// # Errors
    /// [`Mistake`] when it stands for none.
    pub fn fleet<'a>(&self, snapshot: &'a Snapshot, alias: &FleetAlias) -> Result<&'a Fleet, Mistake> {
        index_of(&alias.0, "f")
            .and_then(|index| self.fleets.get(index))
            .and_then(|name| snapshot.facts.fleets.get(name))
            .ok_or_else(|| Mistake::unknown_name("fleet", &alias.0, &range_of("f", self.fleets.len())))
    }

    /// Fleets with their aliases and the aliases of the pools each may shape.
    pub fn fleets<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = (String, &'a Fleet, Vec<String>)> {
        self.fleets.iter().enumerate().filter_map(|(index, name)| {
            let pools = self.pools.iter().enumerate().filter(|(_, (fleet, _))| *fleet == index).map(|(pool, _)| format!("np{}", pool + 1));
            Some((format!("f{}", index + 1), snapshot.facts.fleets.get(name)?, pools.collect()))
        })
    }

    /// The pool of a fleet that an alias stands for.
    ///
    /// # Errors
    /// [`Mistake`] when it stands for none of that fleet's.
    pub fn pool(&self, fleet: &Fleet, alias: &PoolAlias) -> Result<Arc<str>, Mistake> {
        let found = index_of(&alias.0, "np").and_then(|index| self.pools.get(index));
        found.filter(|(index, _)| self.fleets.get(*index) == Some(&fleet.id.name)).map(|(_, name)| name.clone()).ok_or_else(|| {
            let own = self.pools.iter().enumerate().filter(|(_, (index, _))| self.fleets.get(*index) == Some(&fleet.id.name));
            let known: Vec<String> = own.map(|(pool, _)| format!("np{}", pool + 1)).collect();
            Mistake::unknown_name("pool", &alias.0, &if known.is_empty() { "none".to_owned() } else { known.join(", ") })
        })
    }

    /// Evidence that exists: a past decision (`e1042`), an event (`ev3`), or a target's signal that has data (`w1.latency`).
    ///
    /// # Errors
    /// [`Mistake`] naming the first that does not.
    pub fn evidence(&self, snapshot: &Snapshot, given: &[EvidenceAlias]) -> Result<Vec<EvidenceId>, Mistake> {
        let mut ids: Vec<EvidenceId> = Vec::with_capacity(given.len());
        for alias in given {
            // What there would be is too much to list; the template says which forms evidence has.
            let id = self.evidence_id(snapshot, &alias.0).ok_or_else(|| Mistake::unknown_name("evidence", &alias.0, ""))?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// What a piece of evidence is called outside the dialogue: a signal by its target's and its own name, since aliases end with the dialogue.
    fn evidence_id(&self, snapshot: &Snapshot, given: &str) -> Option<EvidenceId> {
        if let Some((target, signal)) = given.split_once('.') {
            let target = self.target(&TargetAlias(target.to_owned())).ok()?;
            let signal = self.signal(&SignalAlias(signal.to_owned())).ok()?;
            let has_data = snapshot.signal(target, &signal).is_some_and(|s| s.latest().is_some());
            return has_data.then(|| EvidenceId(format!("{target}.{signal}")));
        }
        let exists = if given.starts_with("ev") {
            self.events(snapshot).any(|(_, event)| event.id == given)
        } else {
            let seq = given.strip_prefix('e').and_then(|digits| digits.parse::<u64>().ok());
            seq.is_some_and(|seq| snapshot.past.iter().any(|row| row.seq == seq && self.targets.contains(&row.target)))
        };
        exists.then(|| EvidenceId(given.to_owned()))
    }

    /// Events about the dialogue's targets whose id is of the known form, with the target's alias, oldest first.
    #[must_use]
    pub fn events<'a>(&'a self, snapshot: &'a Snapshot) -> impl DoubleEndedIterator<Item = (String, &'a Event)> {
        let well_formed = |id: &str| id.strip_prefix("ev").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        snapshot.facts.events.iter().filter(move |e| well_formed(&e.id)).filter_map(|e| Some((self.of_target(&e.target)?, e)))
    }

    /// What each alias stands for, for people who read the record.
    #[must_use]
    pub fn legend(&self) -> BTreeMap<String, String> {
        let targets = self.targets.iter().enumerate().map(|(i, key)| (format!("w{}", i + 1), key.to_string()));
        let pods = self.pods.iter().enumerate().map(|(i, (_, name))| (format!("p{}", i + 1), name.to_string()));
        let nodes = self.nodes.iter().enumerate().map(|(i, name)| (format!("n{}", i + 1), name.to_string()));
        let signals = self.signals.iter().enumerate().map(|(i, signal)| (format!("s{}", i + 1), signal.name.to_string()));
        let fleets = self.fleets.iter().enumerate().map(|(i, name)| (format!("f{}", i + 1), name.to_string()));
        let pools = self.pools.iter().enumerate().map(|(i, (_, name))| (format!("np{}", i + 1), name.to_string()));
        targets.chain(pods).chain(nodes).chain(signals).chain(fleets).chain(pools).collect()
    }
}

/// How much a target needs a look, as an ordered key: trouble first, then how much the plan would change, then how much it matters.
fn relevance(snapshot: &Snapshot, plan: &Plan, group: &Group, target: &GroupTarget) -> (bool, u32, u8) {
    let Some(workload) = snapshot.workload(&target.key) else { return (false, 0, 0) };
    let replicas = workload.replicas;
    let slow = group.slo.zip(snapshot.fresh(&target.key, &SignalName::Latency)).is_some_and(|(slo, p95)| p95 > slo.latency.seconds());
    let failing = snapshot.fresh(&target.key, &SignalName::Errors).is_some_and(|share| share > 0.01);
    let trouble = slow || failing || replicas.ready < replicas.desired || workload.rollout == Rollout::Stalled;
    let planned = plan.targets.get(&target.key).map_or(replicas.desired, |p| p.replicas);
    let change_percent = 100 * u64::from(planned.abs_diff(replicas.desired)) / u64::from(replicas.desired.max(1));
    (trouble, u32::try_from(change_percent).unwrap_or(u32::MAX), target.criticality as u8)
}

fn index_of(alias: &str, prefix: &str) -> Option<usize> {
    let digits = alias.strip_prefix(prefix)?;
    let number: usize = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))?;
    number.checked_sub(1)
}

fn range_of(prefix: &str, count: usize) -> String {
    match count {
        0 => "none".to_owned(),
        1 => format!("{prefix}1"),
        count => format!("{prefix}1 to {prefix}{count}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Shop, plain};
    use super::*;

    #[test]
    fn what_needs_a_look_comes_first() {
        let shop = Shop::new(plain);
        let aliases = shop.aliases();
        assert_eq!(aliases.of_target(&shop.key("web")).as_deref(), Some("w1"), "slow, and the plan wants more");
        assert_eq!(aliases.targets().len(), 3);
        assert_eq!(aliases.target(&TargetAlias("w1".into())), Ok(&shop.key("web")));
    }

    #[test]
    fn an_alias_that_stands_for_nothing_is_answered_with_what_there_is() {
        let shop = Shop::new(plain);
        let aliases = shop.aliases();
        for bad in ["w0", "w4", "web", "w-1", "w+1", ""] {
            let mistake = aliases.target(&TargetAlias(bad.into())).unwrap_err();
            assert_eq!(mistake, Mistake::unknown_name("target", bad, "w1 to w3"));
        }
    }

    #[test]
    fn only_evidence_that_exists_counts() {
        let shop = Shop::new(plain);
        let aliases = shop.aliases();
        let ask = |id: &str| aliases.evidence(&shop.snapshot, &[EvidenceAlias(id.into())]);
        let target = &aliases.targets()[0];
        let custom = aliases.signal(&SignalAlias("s1".into())).unwrap();
        for (good, outside) in [
            ("e41", "e41".to_owned()),
            ("ev1", "ev1".to_owned()),
            ("w1.latency", format!("{target}.latency")),
            ("w1.s1", format!("{target}.{custom}")),
        ] {
            assert_eq!(ask(good), Ok(vec![EvidenceId(outside)]), "{good}");
        }
        for bad in ["e999", "ev99", "w1.gpu_duty", "w9.latency", "w1.s2", "latency"] {
            assert!(ask(bad).is_err(), "{bad}");
        }
    }
}
