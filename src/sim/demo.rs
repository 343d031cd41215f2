//! What `ipa demo` shows: a web shop on a Friday morning, and what happens to it within the first hour.
//!
//! | after | what | where |
//! |---|---|---|
//! | 0 min | too few replicas, in a group that asks before it acts: a change waits for approval | `ml/recommendations` |
//! | 0 min | too many replicas while its group is frozen, until 11:00 local time (30 min): the scale-down is held | `shop/payments` |
//! | 15 min | an announced sale: the demand of the shop rises to 2.4 times within two minutes, for 40 minutes | `shop/frontend` and all it calls |
//! | 15 min | nobody announced the sale to the group of the orders, and its cost budget is spent: more replicas are refused | `batch/orders-worker` |
//! | 18 min | its exporter reports no demand, for 35 minutes, while CPU and latency go on | `shop/inventory-api` |
//! | 20 to 60 min | the oldest replicas have leaked up to their memory limit and are killed | `ml/image-resizer` |
//! | 30 min | the digest that it writes every hour, which the past knows; it takes 180 s to start | `ml/llm-assistant` |
//! | always | an HPA owns the replicas | `shop/search` |
//! | always | a group that only observes | `batch/nightly-reports` |

mod limits;
mod services;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::clock::Pace;
use super::scenario::{Fault, FaultKind, FaultTarget, PoolSpec, Scenario};
use super::simulation::Simulation;
use super::world::ScenarioError;
use crate::domain::fleet::CapacityType;
use crate::domain::limits::TimeZoneName;
use crate::domain::names::TargetKey;
use crate::domain::signal::SignalName;
use crate::ports::Prices;

/// Friday 6 March 2026, 10:30 in Vienna, in Unix seconds.
const START_S: i64 = 1_772_789_400;
/// When the sale begins, how long it lasts and how high it goes.
const SALE_AFTER: SignedDuration = SignedDuration::from_mins(15);
const SALE_FOR: SignedDuration = SignedDuration::from_mins(40);
const SALE_PERCENT: u32 = 240;
/// When the stock service's exporter begins to lie, and for how long.
const LIE_AFTER: SignedDuration = SignedDuration::from_mins(18);
const LIE_FOR: SignedDuration = SignedDuration::from_mins(35);

/// Starts the demo. `prices` must know `m6i.xlarge` and `m6i.2xlarge` on demand.
///
/// # Errors
/// [`ScenarioError`] when the catalogue lacks the types that the demo's nodes are of.
pub async fn demo(seed: u64, pace: Pace, prices: Arc<dyn Prices>) -> Result<Simulation, ScenarioError> {
    Simulation::start(scenario(), seed, pace, prices).await
}

/// The demo's scenario.
#[must_use]
pub fn scenario() -> Scenario {
    let start = Timestamp::from_second(START_S).unwrap_or(Timestamp::UNIX_EPOCH);
    let after = |offset: SignedDuration| start.saturating_add(offset).unwrap_or(Timestamp::MAX);
    Scenario {
        cluster: "demo".into(),
        start,
        time_zone: vienna(),
        workloads: services::all(after(SALE_AFTER)),
        pools: vec![PoolSpec {
            name: "general".into(),
            instance_types: vec!["m6i.xlarge".into(), "m6i.2xlarge".into()],
            zones: Vec::new(),
            capacity_types: vec![CapacityType::OnDemand],
            provisioning_s: 75,
            max: 40,
        }],
        groups: limits::groups(after(SALE_AFTER)),
        guardrails: limits::guardrails(),
        fleets: vec![limits::fleet()],
        quotas: std::collections::BTreeMap::new(),
        faults: vec![Fault {
            from: after(LIE_AFTER),
            until: after(LIE_AFTER + LIE_FOR),
            target: Some(FaultTarget::Workload(TargetKey::deployment("shop", "inventory-api"))),
            kind: FaultKind::MetricsLie { signals: vec![SignalName::Demand], factor: 0.0 },
        }],
    }
}

fn vienna() -> TimeZoneName {
    TimeZoneName::try_from("Europe/Vienna".to_owned()).unwrap_or_else(|_| TimeZoneName::utc())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::testing::{ListPrices, at, catalogue, replicas};
    use super::super::workload::{Minute, SIGNALS};
    use super::super::world::World;
    use super::*;
    use crate::domain::limits::{Group, Mode};
    use crate::domain::names::GroupId;
    use crate::domain::snapshot::EventReason;

    fn world() -> World {
        World::new(scenario(), catalogue(), 1).unwrap()
    }

    fn after_minutes(minutes: i64) -> Timestamp {
        at(START_S + minutes * 60)
    }

    /// Mean of a signal over minutes `from` to `to` after the start.
    fn mean(world: &World, target: (&str, &str), signal: &SignalName, from: usize, to: usize) -> f64 {
        let position = SIGNALS.iter().position(|s| s == signal).unwrap();
        let minutes: &[Minute] = &world.workloads[world.find(&TargetKey::deployment(target.0, target.1)).unwrap()].minutes[from..to];
        minutes.iter().map(|minute| f64::from(minute[position])).sum::<f64>() / minutes.len() as f64
    }

    /// Demand over what the replicas there are can serve.
    fn load(world: &World, target: (&str, &str), from: usize, to: usize) -> f64 {
        let workload = &world.workloads[world.find(&TargetKey::deployment(target.0, target.1)).unwrap()];
        mean(world, target, &SignalName::Demand, from, to) / (workload.spec.service.capacity * f64::from(workload.desired))
    }

    fn group(namespace: &str, name: &str) -> Group {
        scenario().groups.into_iter().find(|group| group.id == GroupId::new(namespace, name)).unwrap()
    }

    #[test]
    fn a_group_that_asks_first_has_too_few_replicas_from_the_start() {
        let mut world = world();
        world.advance_to(after_minutes(5));
        assert!(load(&world, ("ml", "recommendations"), 0, 5) > 0.85);
        assert_eq!(group("ml", "models").modes.scale_up, Mode::Recommend);
    }

    #[test]
    fn payments_has_too_many_replicas_while_it_is_frozen() {
        let mut world = world();
        world.advance_to(after_minutes(15));
        assert!(load(&world, ("shop", "payments"), 0, 15) < 0.4);
        let group = group("shop", "payments");
        let frozen = |minute| group.freeze_windows[0].covers(after_minutes(minute), group.time_zone.zone());
        assert_eq!([0, 29, 30, 59].map(frozen), [true, true, false, false]);
    }

    #[test]
    fn the_sale_is_announced_where_it_should_be_and_comes_when_it_should() {
        let announced = |group: &Group| group.surges.iter().any(|surge| surge.start == after_minutes(15) && surge.percent == SALE_PERCENT);
        let told: Vec<String> = scenario().groups.iter().filter(|group| announced(group)).map(|group| group.id.to_string()).collect();
        assert_eq!(told, ["shop/storefront", "shop/payments", "ml/models"]);
        let mut world = world();
        world.advance_to(after_minutes(59));
        let demand = |from, to| mean(&world, ("shop", "frontend"), &SignalName::Demand, from, to);
        // The morning rises meanwhile, and the level wanders.
        assert!((2.2..2.9).contains(&(demand(18, 52) / demand(0, 14))), "{} {}", demand(18, 52), demand(0, 14));
        assert!((0.9..1.2).contains(&(demand(56, 59) / demand(0, 14))));
        let errors = mean(&world, ("shop", "frontend"), &SignalName::Errors, 20, 50);
        assert!(errors > 0.2, "who does nothing loses requests: {errors}");
    }

    #[test]
    fn who_is_ahead_of_the_sale_loses_nothing() {
        let mut world = world();
        let frontend = TargetKey::deployment("shop", "frontend");
        for (minute, to) in [(11, 16), (12, 20)] {
            world.advance_to(after_minutes(minute));
            assert!(world.write(&replicas(&world, &frontend, to)).is_applied());
        }
        world.advance_to(after_minutes(55));
        assert_eq!(mean(&world, ("shop", "frontend"), &SignalName::Errors, 14, 55), 0.0);
        let latency = mean(&world, ("shop", "frontend"), &SignalName::Latency, 14, 55);
        assert!(latency < 0.1, "{latency} s");
        assert!(world.find(&frontend).is_some_and(|index| world.workloads[index].ready() == 20), "nodes came for all of them");
    }

    #[test]
    fn the_orders_team_needs_more_than_it_may_pay() {
        let mut world = world();
        world.advance_to(after_minutes(50));
        let load = load(&world, ("batch", "orders-worker"), 18, 50);
        assert!(load > 1.15, "{load}");
        let budget = group("batch", "orders").cost_budget_per_hour.unwrap();
        let requests = world.facts(Vec::new()).workloads[&TargetKey::deployment("batch", "orders-worker")].template.shape.requests.clone();
        let machine = catalogue().types["m6i.xlarge"].clone();
        let each = crate::service::pod_price(&requests, &machine.allocatable, machine.offerings[0].price_per_hour);
        assert!(each * 4 <= budget && each * 5 > budget, "a replica costs {each}");
    }

    #[tokio::test]
    async fn the_stock_exporter_lies_about_demand_and_nothing_else() {
        let demo = demo(1, Pace::Headless, Arc::new(ListPrices)).await.unwrap();
        let target = TargetKey::deployment("shop", "inventory-api");
        let ports = demo.ports(None, Arc::new(crate::sim::testing::NoLedger));
        let mut seen = BTreeMap::new();
        for minute in [17, 30, 52, 54] {
            let facts = ports.cluster.observe(after_minutes(minute)).await.unwrap();
            let (signals, _) = ports.metrics.signals(&facts.groups, &facts.workloads, after_minutes(minute)).await;
            let newest = |name| signals[&target][&name].latest().unwrap().1;
            seen.insert(minute, (newest(SignalName::Demand) > 100.0, newest(SignalName::Cpu) > 1.0, newest(SignalName::Latency) > 0.02));
        }
        let lie = (false, true, true);
        let truth = (true, true, true);
        assert_eq!(seen, BTreeMap::from([(17, truth), (30, lie), (52, lie), (54, truth)]));
    }

    #[test]
    fn the_leaking_replicas_are_killed_within_the_hour() {
        let mut world = world();
        world.advance_to(after_minutes(60));
        let killed: Vec<i64> = world
            .facts(Vec::new())
            .events
            .iter()
            .filter(|event| event.reason == EventReason::OOMKilling)
            .map(|event| {
                assert_eq!(&*event.target.name, "image-resizer");
                (event.at.as_second() - START_S) / 60
            })
            .collect();
        assert!(!killed.is_empty() && killed.iter().all(|minute| (20..60).contains(minute)), "{killed:?}");
    }

    #[test]
    fn the_hourly_digest_comes_in_the_past_and_in_the_present() {
        let mut world = world();
        world.advance_to(after_minutes(44));
        let demand = |from, to| mean(&world, ("ml", "llm-assistant"), &SignalName::Demand, from, to);
        assert!(demand(32, 44) / demand(0, 29) > 1.35);
        let index = world.find(&TargetKey::deployment("ml", "llm-assistant")).unwrap();
        let past = super::super::history::past_demand(&world, index, 61);
        let mean = |from: usize, to: usize| past.values[from..to].iter().sum::<f32>() / (to - from) as f32;
        assert!(mean(32, 45) / mean(0, 29) > 1.35, "10:00 is 30 minutes into the hour before the start");
    }

    #[test]
    fn search_belongs_to_an_hpa_and_reports_only_observes() {
        let facts = world().facts(Vec::new());
        let search = &facts.workloads[&TargetKey::deployment("shop", "search")];
        assert_eq!((search.autoscalers.len(), &*search.writers[0].manager), (1, "kube-controller-manager"));
        assert_eq!(group("batch", "reports").modes.scale_up, Mode::Observe);
        let covered: usize = facts.groups.values().map(|group| group.targets.len()).sum();
        assert_eq!((facts.workloads.len(), covered), (12, 12));
        assert!(facts.groups.values().flat_map(|g| &g.targets).all(|t| facts.workloads.contains_key(&t.key)));
        assert!(facts.workloads.keys().all(|key| facts.guardrails[&key.namespace].targets.contains_key(key)));
    }
}
