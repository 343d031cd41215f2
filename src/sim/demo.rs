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
//! | 30 min | the hourly stock import, which the past knows | `shop/inventory-api` |
//! | always | an HPA owns the replicas | `shop/search` |
//! | always | a group that only observes | `batch/nightly-reports` |

mod limits;
mod services;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::clock::Pace;
use super::scenario::{Fault, FaultKind, PoolSpec, Scenario};
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
            target: Some(TargetKey::deployment("shop", "inventory-api")),
            kind: FaultKind::MetricsLie { signals: vec![SignalName::Demand], factor: 0.0 },
        }],
    }
}

fn vienna() -> TimeZoneName {
    TimeZoneName::try_from("Europe/Vienna".to_owned()).unwrap_or_else(|_| TimeZoneName::utc())
}
