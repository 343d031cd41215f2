//! `ipa.yaml`: the group and its guardrail as a replay takes them. (pure)
//!
//! What people set stands as they set it, but for what would keep a replay from acting or that it cannot know: modes are Auto and pauses are left
//! out, since an eval measures what would be done; the team's own PromQL is left out, since nothing answers it.

use super::account::Account;
use super::subject::{Subject, Target};
use super::{RecordError, write};
use crate::crd::autoscaler::windows::{FreezeWindowSpec, SurgeSpec};
use crate::crd::autoscaler::{
    DependencySpec, ForecastSpec, IntelligentPodAutoscaler, IntelligentPodAutoscalerSpec, ModeSpec, ModelSpec, SloSpec, TargetSpec,
    TeamCostBudget,
};
use crate::crd::guardrail::{
    GUARDRAIL_NAME, NamespaceCostBudget, ResourceBoundsSpec, ScalingGuardrail, ScalingGuardrailSpec, TargetLimitsSpec,
};
use crate::crd::target_ref::TargetRef;
use crate::crd::text::{DecimalText, DurationText, MoneyText, QuantityText};
use crate::domain::limits::{Actuation, Criticality, FreezeWindow, Group, Mode, Paused, ResourceBounds, Slo, Surge, TargetLimits};
use crate::domain::units::GoDuration;

/// Name of a group whose own is not told.
const ANONYMOUS: &str = "recorded";

/// The file's text.
pub(super) fn text(subject: &Subject<'_>, anonymize: bool, account: &mut Account) -> Result<String, RecordError> {
    tell_differences(subject.group, account);
    let name = if anonymize { ANONYMOUS } else { &*subject.group.id.name };
    let group = IntelligentPodAutoscaler::new(name, autoscaler(subject, anonymize));
    let guardrail = ScalingGuardrail::new(GUARDRAIL_NAME, guardrail(subject, account));
    Ok(format!("{}---\n{}", write::yaml(&group)?, write::yaml(&guardrail)?))
}

fn tell_differences(group: &Group, account: &mut Account) {
    let modes = group.modes;
    if modes.scale_up != Mode::Auto || modes.scale_down != Mode::Auto {
        account.note(format!(
            "ipa.yaml sets mode Auto for replicas, so that a replay acts (there it was {:?} up and {:?} down)",
            modes.scale_up, modes.scale_down
        ));
    }
    if group.paused != Paused::default() {
        account.note("ipa.yaml leaves the pause out, so that a replay acts".to_owned());
    }
    if group.actuation != Actuation::Replicas {
        account.note("ipa.yaml sets actuation Replicas: a replay has no HPA whose bounds could be moved".to_owned());
    }
    if !group.signals.is_empty() {
        account.note(format!(
            "ipa.yaml leaves out {} signals of the group's own: a replay has nothing that answers them",
            group.signals.len()
        ));
    }
}

fn autoscaler(subject: &Subject<'_>, anonymize: bool) -> IntelligentPodAutoscalerSpec {
    let group = subject.group;
    IntelligentPodAutoscalerSpec {
        targets: subject.targets.iter().map(target).collect(),
        mode: ModeSpec { scale_up: Mode::Auto, scale_down: Mode::Auto, resources: group.modes.resources, nodes: group.modes.nodes },
        signals: Vec::new(),
        slo: group.slo.as_ref().map(slo),
        cost_budget: group.cost_budget_per_hour.map(|budget| TeamCostBudget { per_hour: MoneyText::write(budget) }),
        time_zone: group.time_zone.name().to_owned(),
        freeze_windows: group.freeze_windows.iter().map(freeze_window).collect(),
        surges: (1..).zip(&group.surges).map(|(index, surge)| surge_spec(surge, anonymize.then(|| format!("s{index}")))).collect(),
        depends_on: subject
            .calls()
            .filter_map(|call| {
                let (from, to) = (reference(subject.called(&call.from)?), reference(subject.called(&call.to)?));
                Some(DependencySpec { from, to, to_namespace: None, ratio: decimal(u64::from(call.ratio_milli)) })
            })
            .collect(),
        actuation: Actuation::Replicas,
        human_hold: duration(group.human_hold),
        forecast: ForecastSpec { model: group.forecast_model.clone() },
        model: ModelSpec { enabled: group.model_enabled },
    }
}

fn target(target: &Target<'_>) -> TargetSpec {
    let bounds = target.named.bounds;
    TargetSpec {
        target: reference(&target.called),
        // A replay's pods have one container.
        container: None,
        min: bounds.min.cast_signed(),
        max: bounds.max.cast_signed(),
        criticality: target.named.criticality,
        capacity_per_replica: target.named.capacity_per_replica.map(|units| decimal((units * 1000.0).round() as u64)),
    }
}

/// An incident's workloads are Deployments.
fn reference(called: &str) -> TargetRef {
    TargetRef { api_version: "apps/v1".to_owned(), kind: "Deployment".to_owned(), name: called.to_owned() }
}

fn slo(slo: &Slo) -> SloSpec {
    SloSpec {
        latency: duration(slo.latency),
        objective: decimal(u64::from(slo.objective_bp) * 10),
        bad_minute_cost: slo.bad_minute_cost.cast_signed(),
    }
}

fn freeze_window(window: &FreezeWindow) -> FreezeWindowSpec {
    FreezeWindowSpec {
        days: window.days.clone(),
        start: format!("{:02}:{:02}", window.start.hour(), window.start.minute()),
        duration: duration(window.duration),
        scale_ups_too: window.scale_ups_too,
    }
}

fn surge_spec(surge: &Surge, called: Option<String>) -> SurgeSpec {
    SurgeSpec {
        name: called.unwrap_or_else(|| surge.name.clone()),
        start: surge.start.to_string(),
        duration: duration(surge.duration),
        percent: surge.percent.cast_signed(),
    }
}

fn guardrail(subject: &Subject<'_>, account: &mut Account) -> ScalingGuardrailSpec {
    let targets = subject.targets.iter().map(|target| {
        if let Some(limits) = target.limits {
            return limits_spec(&target.called, limits);
        }
        let field = format!("ScalingGuardrail.targets[{}]", target.called);
        account.assume(field, "the group's own bounds", "the platform's guardrail does not list it");
        within_its_bounds(target)
    });
    let targets = targets.collect();
    let budget = subject.guardrail.map(|guardrail| NamespaceCostBudget {
        per_hour: guardrail.cost_budget_per_hour.map(MoneyText::write),
        per_month: guardrail.cost_budget_per_month.map(MoneyText::write),
    });
    ScalingGuardrailSpec {
        targets,
        freeze: subject.guardrail.is_some_and(|guardrail| guardrail.freeze),
        highest_mode: Mode::Auto,
        cost_budget: budget.filter(|budget| *budget != NamespaceCostBudget::default()),
    }
}

fn limits_spec(called: &str, limits: &TargetLimits) -> TargetLimitsSpec {
    let TargetLimits { bounds, max_step_up, max_step_down, resources, highest_criticality, allow_zero } = limits;
    let ResourceBounds { min_cpu, max_cpu, min_memory, max_memory } = resources;
    let quantity = |text: String| QuantityText(text);
    TargetLimitsSpec {
        group: "apps".to_owned(),
        resource: "deployments".to_owned(),
        name: called.to_owned(),
        min: bounds.min.cast_signed(),
        max: bounds.max.cast_signed(),
        max_step_up: max_step_up.cast_signed(),
        max_step_down: max_step_down.cast_signed(),
        resources: ResourceBoundsSpec {
            min_cpu: min_cpu.map(|cpu| quantity(cpu.quantity())),
            max_cpu: max_cpu.map(|cpu| quantity(cpu.quantity())),
            min_memory: min_memory.map(|memory| quantity(memory.quantity())),
            max_memory: max_memory.map(|memory| quantity(memory.quantity())),
        },
        highest_criticality: *highest_criticality,
        allow_zero: *allow_zero,
    }
}

/// What the team's bounds allow, in one step where need be.
fn within_its_bounds(target: &Target<'_>) -> TargetLimitsSpec {
    let bounds = target.bounds();
    let step = (bounds.max - bounds.min).max(1);
    let limits = TargetLimits {
        bounds,
        max_step_up: step,
        max_step_down: step,
        resources: ResourceBounds::default(),
        highest_criticality: Criticality::Critical,
        allow_zero: false,
    };
    limits_spec(&target.called, &limits)
}

fn duration(duration: GoDuration) -> DurationText {
    DurationText(duration.to_string())
}

fn decimal(thousandths: u64) -> DecimalText {
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    DecimalText(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}
