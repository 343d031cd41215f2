//! The cases: each takes one part of the algorithm up, down and to its edges.

use ipa::domain::limits::Bounds;
use ipa::hpa::{AverageTarget, Behaviour, HpaSpec, MetricSpec, Policy, Resource, ScalingRules, Select, Step as Change, ValueTarget};

use super::script::{Case, Step, cpu, external, external_name};

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        case("plain", 1, cpu_at(50, (1, 9), None), &[600, 100, 100, 20, 54, 55, 56, 50, 5].map(cpu)),
        case("saturated", 3, cpu_at(95, (1, 9), Some(at_once())), &[100, 100, 104, 105, 100, 95, 40].map(cpu)),
        case("tolerance", 4, cpu_at(50, (1, 12), Some(tolerant())), &[51, 52, 50, 36, 35, 34, 50].map(cpu)),
        case("too-few", 3, cpu_at(50, (2, 6), Some(at_once())), &[50, 5, 5, 50].map(cpu)),
        case("missing", 4, cpu_at(50, (1, 12), Some(at_once())), &missing()),
        Case { places: Some(1), ..case("pending", 1, cpu_at(50, (1, 8), Some(at_once())), &[200, 200, 300, 20, 50].map(cpu)) },
        case("policies", 3, cpu_at(50, (2, 12), Some(stepwise())), &[200, 200, 200, 200, 200, 50, 1, 1, 1, 1, 1, 100].map(cpu)),
        case("windows", 4, cpu_at(50, (1, 12), Some(windowed())), &[100, 100, 100, 60, 100, 20, 20, 20, 20, 20, 100].map(cpu)),
        case("upward-only", 3, cpu_at(50, (2, 7), Some(upward_only())), &[100, 5, 5, 100, 100, 50].map(cpu)),
        case("two-metrics", 2, two_metrics(), &two_resources()),
        case("average", 2, by_external("average", ValueTarget::AverageValue(10_000)), &outside(&[35, 43, 80, 15])),
        case("proportion", 2, by_external("proportion", ValueTarget::Value(100_000)), &outside(&[200, 105, 150, 20])),
    ]
}

fn case(name: &'static str, replicas: u32, spec: HpaSpec, steps: &[Step]) -> Case {
    Case { name, spec, replicas, places: None, steps: steps.to_vec() }
}

fn cpu_at(percent: u32, (min, max): (u32, u32), behaviour: Option<Behaviour>) -> HpaSpec {
    HpaSpec { behaviour, ..HpaSpec::cpu(percent, Bounds { min, max }) }
}

/// The defaults without a window before a scale-down.
fn at_once() -> Behaviour {
    Behaviour { scale_down: ScalingRules { window_s: Some(0), ..ScalingRules::scale_down() }, ..Behaviour::default() }
}

fn tolerant() -> Behaviour {
    let rules = at_once();
    Behaviour {
        scale_up: ScalingRules { tolerance: Some(0.02), ..rules.scale_up },
        scale_down: ScalingRules { tolerance: Some(0.3), ..rules.scale_down },
    }
}

/// Periods are no multiples of the sync period, so that no change lies on an edge.
fn stepwise() -> Behaviour {
    let policies = |policies: [(Change, u32); 2]| policies.map(|(step, period_s)| Policy { step, period_s }).to_vec();
    Behaviour {
        scale_up: ScalingRules {
            window_s: None,
            select: Select::Min,
            policies: policies([(Change::Pods(3), 5), (Change::Percent(50), 3)]),
            tolerance: None,
        },
        scale_down: ScalingRules {
            window_s: Some(3),
            select: Select::Max,
            policies: policies([(Change::Pods(1), 3), (Change::Percent(40), 5)]),
            tolerance: None,
        },
    }
}

fn windowed() -> Behaviour {
    Behaviour {
        scale_up: ScalingRules { window_s: Some(5), ..ScalingRules::scale_up() },
        scale_down: ScalingRules { window_s: Some(7), ..ScalingRules::scale_down() },
    }
}

fn upward_only() -> Behaviour {
    let rules = at_once();
    Behaviour { scale_down: ScalingRules { select: Select::Disabled, ..rules.scale_down }, ..rules }
}

/// Pods without metrics count as busy before a scale-down and as idle before a scale-up; young ones as idle before a scale-up.
fn missing() -> Vec<Step> {
    vec![
        cpu(100).missing(1),
        cpu(60).missing(3),
        cpu(20).missing(1),
        cpu(20).missing(2),
        cpu(50).missing(1),
        cpu(50).missing(4),
        cpu(70).young(2),
        cpu(120).young(1),
        cpu(40).young(1),
        cpu(90).young(1).missing(1),
    ]
}

fn two_metrics() -> HpaSpec {
    let memory = MetricSpec::Resource { resource: Resource::Memory, target: AverageTarget::Value(10 * 1024 * 1024 * 1000) };
    let mut spec = cpu_at(50, (1, 12), Some(at_once()));
    spec.metrics.push(memory);
    spec
}

fn two_resources() -> Vec<Step> {
    vec![
        cpu(50).memory(20),
        cpu(100).memory(10),
        // Memory is not shown: the way down is closed, the way up is not.
        cpu(20),
        cpu(60),
        cpu(20).memory(5),
        cpu(20).memory(12).missing(1),
    ]
}

fn by_external(name: &str, target: ValueTarget) -> HpaSpec {
    let metrics = vec![MetricSpec::External { name: external_name(name).into(), target }];
    HpaSpec { metrics, ..cpu_at(50, (1, 12), Some(at_once())) }
}

/// A metric that is not there is the last step.
fn outside(units: &[u32]) -> Vec<Step> {
    units.iter().copied().map(external).chain([Step::default()]).collect()
}
