//! The committed scoreboard is held on a few incidents by every test run. The whole of it is held by the command that the README names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::engine::{Engine, PRICE_LISTS};
use super::super::incident::Incident;
use super::super::policy::Policy;
use super::super::progress::Progress;
use super::super::score::score;
use super::super::suite::Suite;
use super::Scoreboard;
use crate::adapters::prices::{BuiltinPrices, BuiltinPricesConfig, ListConfig};

/// An ordinary day, bursts at replicas that load for five minutes, metrics that lie and a budget that ends: of the incidents those that run quickly.
const QUICK: [&str; 4] =
    ["readers-wake-up", "conversations-come-in-bursts", "demand-reads-zero-at-the-peak", "budget-ends-before-the-evening-does"];
/// One price, so that it is quick.
const PRICE: u32 = 10;

fn evals() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("evals")
}

#[test]
fn the_floor_has_not_fallen_below_the_committed_scoreboard_on_a_few_incidents() {
    let text = std::fs::read_to_string(evals().join("scoreboard.json")).unwrap();
    let committed = Scoreboard::parse(&text).unwrap();
    let held = committed.incidents.iter().filter(|single| single.price == PRICE && QUICK.contains(&single.incident.as_str())).count();
    assert_eq!(held, QUICK.len(), "the scoreboard does not have {QUICK:?} at price {PRICE}: write it anew");
    let suite = Suite {
        incidents: QUICK.map(|name| Incident::read(&evals().join(name)).unwrap()).to_vec(),
        policies: vec![Policy::Ipa],
        seeds: committed.seeds.clone(),
        prices: vec![PRICE],
        model: String::new(),
    };
    let lists = PRICE_LISTS.map(|list| ListConfig { list, zones: Vec::new() }).to_vec();
    let engine = Engine::new(Arc::new(BuiltinPrices::new(&BuiltinPricesConfig { lists }).unwrap()));
    let cells = suite.run(&engine, None, 2, &Progress::new(suite.size())).unwrap();
    let now = Scoreboard::of(&suite, &score(&suite, &cells), "", committed.tolerance);
    assert_eq!(now.incidents.len(), QUICK.len());
    let losses: Vec<String> = committed.losses(&now).unwrap().iter().map(ToString::to_string).collect();
    assert!(losses.is_empty(), "the floor does worse than the committed scoreboard:\n{}", losses.join("\n"));
}
