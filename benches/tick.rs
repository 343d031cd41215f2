//! One tick without a model, in memory: three pods and five signals a target, a hundred targets a group's worth of ten.
//!
//! `cargo bench --bench tick` prints the time of a tick at 1,000 and 10,000 targets, an hour after they were first seen; `cargo bench --bench tick -- --memory 10000` prints the
//! resident memory after ten ticks instead (Linux), and what the ledger grew by.

#![allow(clippy::expect_used, reason = "a benchmark fails by panicking")]

mod world;

use criterion::{BenchmarkId, Criterion};

/// Ticks before any is measured.
const MINUTES_BEFORE: u32 = 60;

fn ticks(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts");
    let mut group = criterion.benchmark_group("tick");
    group.sample_size(10);
    for targets in [1_000, 10_000] {
        // One world for all samples. After its first hour a fleet of 1,000 has a model for each target, and models are updated from then on; one
        // of 10,000 takes longer, and is measured while first models are still fitted.
        let mut running = runtime.block_on(world::Running::start(targets));
        runtime.block_on(async {
            for _ in 0..MINUTES_BEFORE {
                running.next_minute();
                running.tick().await;
            }
        });
        group.bench_function(BenchmarkId::from_parameter(targets), |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let mut total = std::time::Duration::ZERO;
                    for _ in 0..times {
                        running.next_minute();
                        let begun = std::time::Instant::now();
                        running.tick().await;
                        total += begun.elapsed();
                    }
                    total
                })
            });
        });
    }
    group.finish();
}

fn memory(targets: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let before = world::resident_bytes();
        let mut running = world::Running::start(targets).await;
        for _ in 0..10 {
            running.next_minute();
            running.tick().await;
        }
        let (entries, bodies) = running.ledger_bytes().await;
        println!("targets            {targets}");
        println!("resident           {:.0} MB (before: {:.0} MB)", world::resident_bytes() / 1e6, before / 1e6);
        println!("ledger, chain      {:.0} bytes a target and tick", entries as f64 / 11.0 / targets as f64);
        println!("ledger, bodies     {:.0} bytes a target and tick", bodies as f64 / 11.0 / targets as f64);
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(position) = arguments.iter().position(|a| a == "--memory") {
        let targets = arguments.get(position + 1).and_then(|n| n.parse().ok()).unwrap_or(1_000);
        memory(targets);
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    ticks(&mut criterion);
    criterion.final_summary();
}
