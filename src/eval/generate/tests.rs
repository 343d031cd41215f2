//! The suite as a whole: it is what is committed, it is read, and it covers what it should.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::incident::Incident;
use super::*;

/// Most bytes of all files: a checkout should stay small.
const MOST_BYTES: usize = 15 << 20;

fn evals() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("evals")
}

fn shipped() -> Vec<Incident> {
    let names: BTreeSet<String> =
        suite(SHIPPED_SEED).unwrap().into_keys().filter_map(|path| Some(path.split_once('/')?.0.to_owned())).collect();
    names.iter().map(|name| Incident::read(&evals().join(name)).unwrap_or_else(|error| panic!("{error}"))).collect()
}

#[test]
fn the_committed_files_are_what_the_generator_writes() {
    let written = suite(SHIPPED_SEED).unwrap();
    let mut differing: Vec<String> = Vec::new();
    for (path, text) in &written {
        if std::fs::read_to_string(evals().join(path)).ok().as_ref() != Some(text) {
            differing.push(path.clone());
        }
    }
    for entry in std::fs::read_dir(evals()).unwrap() {
        let directory = entry.unwrap();
        let name = directory.file_name().into_string().unwrap();
        if directory.path().join("incident.yaml").exists() {
            let files = std::fs::read_dir(directory.path()).unwrap();
            differing.extend(
                files.map(|f| format!("{name}/{}", f.unwrap().file_name().into_string().unwrap())).filter(|f| !written.contains_key(f)),
            );
        }
    }
    assert!(differing.is_empty(), "run `cargo run --example incidents -- evals`: {differing:?}");
    assert!(written.values().map(String::len).sum::<usize>() < MOST_BYTES);
}

#[test]
fn each_is_read_without_an_error_and_says_what_it_is() {
    let incidents = shipped();
    assert!(incidents.len() >= 40, "{}", incidents.len());
    for incident in &incidents {
        let name = &incident.name;
        assert!(!incident.title.is_empty() && !incident.source.is_empty() && incident.license == "Apache-2.0", "{name}");
        assert!(incident.tags.iter().any(|tag| ["seasonal", "spiky", "llm", "judgement"].contains(&tag.as_str())), "{name}");
        assert!(!incident.expect.never.is_empty(), "{name}");
        assert!(incident.workloads.iter().any(|workload| workload.demand.is_some()), "{name}");
    }
}

#[test]
fn all_kinds_of_faults_all_start_up_classes_and_most_causes_are_there() {
    let incidents = shipped();
    let faults: BTreeSet<String> = incidents
        .iter()
        .flat_map(|i| &i.faults)
        .map(|fault| format!("{:?}", fault.kind).split([' ', '{']).next().unwrap().to_owned())
        .collect();
    assert_eq!(faults.len(), 18, "{faults:?}");
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for incident in incidents.iter().filter(|i| i.history_s >= 7 * 86_400) {
        let slowest = incident.workloads.iter().map(|w| w.startup.p50_s).fold(0.0, f64::max);
        *classes
            .entry(if slowest <= 60.0 {
                "fast"
            } else if slowest <= 180.0 {
                "slow"
            } else {
                "very slow"
            })
            .or_default() += 1;
    }
    assert!(classes.len() == 3 && classes.values().all(|count| *count >= 5), "{classes:?}");
    let causes: BTreeSet<_> = incidents.iter().filter_map(|i| Some(i.expect.decision.as_ref()?.class)).collect();
    assert!(causes.len() >= 11, "{causes:?}");
}

#[test]
fn a_service_can_meet_its_demand_within_its_bounds_unless_that_is_the_story() {
    for incident in shipped().iter().filter(|i| i.pools.is_empty() && i.faults.is_empty()) {
        for workload in incident.workloads.iter().filter(|w| w.service.contention == 0.0) {
            let Some(demand) = &workload.demand else { continue };
            let most = demand.samples.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
            let capacity = workload.service.capacity * f64::from(workload.bounds.max);
            assert!(most <= capacity, "{} {}: {most} of {capacity}", incident.name, workload.name);
            let begin = demand.samples.iter().rfind(|(at, _)| *at < incident.history_s).unwrap().1;
            let ready = workload.service.capacity * f64::from(workload.replicas);
            assert!(begin <= 1.2 * ready, "{} {}: begins at {begin} of {ready}", incident.name, workload.name);
        }
    }
}

#[test]
fn no_two_series_are_alike_and_another_seed_writes_others() {
    let series = |seed| -> Vec<String> {
        suite(seed)
            .unwrap()
            .into_iter()
            .filter(|(path, _)| Path::new(path).extension().is_some_and(|e| e == "csv"))
            .map(|(_, text)| text)
            .collect()
    };
    let (shipped, other) = (series(SHIPPED_SEED), series(7));
    let all: BTreeSet<&String> = shipped.iter().chain(&other).collect();
    assert_eq!(all.len(), 2 * shipped.len());
}
