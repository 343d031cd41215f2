//! Faults: each with the parameters of its kind and no other, of a target that is there, within the scored part.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use super::check::{above_zero, whole_seconds, within};
use super::document::{FaultDocument, FaultName};
use super::{IncidentFault, IncidentFaultKind, IncidentWorkload, PoolSpec};
use crate::crd::SpecError;
use crate::crd::error::quoted;
use crate::domain::fleet::CapacityType;
use crate::domain::signal::SignalName;
use crate::domain::units::GoDuration;
use crate::sim::FaultKind;

/// Largest factor of a fault.
const MOST_FACTOR: f64 = 1000.0;
/// Largest surge in percent, as an announced surge of a group has it.
const MOST_PERCENT: f64 = 10_000.0;

/// What a fault may strike.
#[derive(Clone, Copy)]
pub(super) struct Struck<'a> {
    pub(super) workloads: &'a [IncidentWorkload],
    pub(super) pools: &'a [PoolSpec],
    pub(super) duration_s: u32,
}

/// The faults, in order of time.
///
/// # Errors
/// [`SpecError`] for the first field that cannot be taken.
pub(super) fn faults(documents: &[FaultDocument], struck: Struck<'_>) -> Result<Vec<IncidentFault>, SpecError> {
    let mut faults = Vec::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        faults.push(fault(document, &format!("spec.faults[{index}]"), struck)?);
    }
    faults.sort_by_key(|fault| fault.at_s);
    Ok(faults)
}

fn fault(document: &FaultDocument, at: &str, struck: Struck<'_>) -> Result<IncidentFault, SpecError> {
    let at_s = whole_seconds(document.at, &format_args!("{at}.at"))?;
    let Some(left) = struck.duration_s.checked_sub(at_s).filter(|left| *left > 0) else {
        return Err(SpecError::new(
            &format_args!("{at}.at"),
            format_args!("{} is beyond the end; times are from the scored part's begin, which lasts {} s", document.at, struck.duration_s),
        ));
    };
    let for_s = match document.lasts {
        None => left,
        Some(lasts) => {
            let for_s = whole_seconds(lasts, &format_args!("{at}.for"))?;
            if for_s > left {
                return Err(SpecError::new(
                    &format_args!("{at}.for"),
                    format_args!("{lasts} from {} on passes the end; write {left}s at most, or leave it out", document.at),
                ));
            }
            for_s
        }
    };
    let mut given = Parameters::of(document, at);
    let kind = kind(document.kind, &mut given)?;
    given.nothing_left(document.kind)?;
    if let IncidentFaultKind::Cluster(FaultKind::CompetingWriter { replicas, .. } | FaultKind::HumanScale { replicas }) = kind {
        within(f64::from(replicas), &format_args!("{at}.replicas"), 0.0, 100_000.0)?;
    }
    let target = target(document, at, struck)?;
    Ok(IncidentFault { at_s, for_s, target, kind })
}

fn kind(name: FaultName, given: &mut Parameters<'_>) -> Result<IncidentFaultKind, SpecError> {
    let kind = match name {
        FaultName::MetricsOutage => FaultKind::MetricsOutage,
        FaultName::MetricsLie => FaultKind::MetricsLie { signals: given.signals()?, factor: given.number("factor", 0.0, MOST_FACTOR)? },
        FaultName::MetricsDelay => FaultKind::MetricsDelay { by_s: given.time("by", None)? },
        FaultName::ModelOutage => return Ok(IncidentFaultKind::ModelOutage),
        FaultName::ModelHostile => return Ok(IncidentFaultKind::ModelHostile),
        FaultName::SpotReclaim => {
            FaultKind::SpotReclaim { share: given.share()?, notice_s: given.time("notice", Some(GoDuration::from_mins(2)))? }
        }
        FaultName::ProvisioningFailure => FaultKind::ProvisioningFailure,
        FaultName::ZoneLoss => FaultKind::ZoneLoss,
        FaultName::NodeSlow => FaultKind::NodeSlow { share: given.share()?, factor: given.number("factor", 0.001, 1.0)? },
        FaultName::PodCrash => FaultKind::PodCrash { share: given.share()? },
        FaultName::DependencyBrownout => FaultKind::DependencyBrownout {
            factor: given.number("factor", 0.0, 1.0)?,
            cpu_factor: given.number_or("cpuFactor", 0.0, MOST_FACTOR, 1.0)?,
        },
        FaultName::ServiceTimeChange => FaultKind::ServiceTimeChange { factor: given.factor()? },
        FaultName::Rollout => FaultKind::Rollout { factor: given.factor()? },
        FaultName::PriceChange => FaultKind::PriceChange { factor: given.factor()? },
        FaultName::ApiConflict => FaultKind::ApiConflict { share: given.share()? },
        FaultName::CompetingWriter => FaultKind::CompetingWriter {
            replicas: given.count("replicas")?,
            every_s: given.time("every", Some(GoDuration::from_mins(3)))?.max(1),
        },
        FaultName::HumanScale => FaultKind::HumanScale { replicas: given.count("replicas")? },
        FaultName::SurgeAnnounced => {
            let percent = given.count("percent")?;
            within(f64::from(percent), &given.path("percent"), 1.0, MOST_PERCENT)?;
            FaultKind::SurgeAnnounced { ahead_s: given.time("ahead", Some(GoDuration::from_mins(60)))?, percent }
        }
    };
    Ok(IncidentFaultKind::Cluster(kind))
}

/// What a fault strikes, which its kind says: a workload, a pool or a zone.
fn target(document: &FaultDocument, at: &str, struck: Struck<'_>) -> Result<Option<Arc<str>>, SpecError> {
    let workloads = || struck.workloads.iter().map(|workload| workload.name.clone()).collect::<Vec<_>>();
    let pools = || struck.pools.iter().map(|pool| pool.name.clone()).collect::<Vec<_>>();
    let zones = || struck.pools.iter().flat_map(|pool| &pool.zones).cloned().collect::<Vec<_>>();
    let (what, there): (&str, Vec<Arc<str>>) = match document.kind {
        FaultName::ModelOutage | FaultName::ModelHostile => ("target: it strikes all", Vec::new()),
        FaultName::SpotReclaim => {
            let buys_spot = |pool: &&PoolSpec| pool.capacity_types.contains(&CapacityType::Spot);
            let pools: Vec<_> = struck.pools.iter().filter(buys_spot).map(|pool| pool.name.clone()).collect();
            if pools.is_empty() {
                return Err(SpecError::new(
                    &format_args!("{at}.kind"),
                    "no pool buys spot machines; add spot to the capacityTypes of one in spec.nodes.pools",
                ));
            }
            ("pool that buys spot machines", pools)
        }
        FaultName::ProvisioningFailure | FaultName::NodeSlow | FaultName::PriceChange => ("pool of spec.nodes.pools", pools()),
        FaultName::ZoneLoss => ("zone of a pool in spec.nodes.pools", zones()),
        FaultName::MetricsOutage
        | FaultName::MetricsLie
        | FaultName::MetricsDelay
        | FaultName::PodCrash
        | FaultName::DependencyBrownout
        | FaultName::ServiceTimeChange
        | FaultName::Rollout
        | FaultName::ApiConflict
        | FaultName::CompetingWriter
        | FaultName::HumanScale
        | FaultName::SurgeAnnounced => ("workload of spec.workloads", workloads()),
    };
    match document.target.as_deref() {
        None if document.kind == FaultName::ZoneLoss => {
            Err(SpecError::new(&format_args!("{at}.target"), "a zone is lost, not all of them; name one that a pool has"))
        }
        None => Ok(None),
        Some(target) => there.into_iter().find(|name| **name == *target).map(Some).ok_or_else(|| {
            SpecError::new(&format_args!("{at}.target"), format_args!("{} is no {what}; correct it, or leave it out", quoted(target)))
        }),
    }
}

/// The parameters that a fault was given and that nobody has taken yet.
struct Parameters<'a> {
    at: &'a str,
    numbers: BTreeMap<&'static str, f64>,
    counts: BTreeMap<&'static str, u32>,
    times: BTreeMap<&'static str, GoDuration>,
    signals: Option<&'a [String]>,
}

impl<'a> Parameters<'a> {
    fn of(document: &'a FaultDocument, at: &'a str) -> Self {
        // Destructured whole: a parameter that is added to the document must be taken here.
        let FaultDocument {
            at: _,
            lasts: _,
            kind: _,
            target: _,
            signals,
            factor,
            cpu_factor,
            by,
            share,
            notice,
            replicas,
            every,
            ahead,
            percent,
        } = document;
        Self {
            at,
            numbers: present([("factor", *factor), ("cpuFactor", *cpu_factor), ("share", *share)]),
            counts: present([("replicas", *replicas), ("percent", *percent)]),
            times: present([("by", *by), ("notice", *notice), ("every", *every), ("ahead", *ahead)]),
            signals: signals.as_deref(),
        }
    }

    fn path(&self, name: &str) -> impl Display + use<> {
        format!("{}.{name}", self.at)
    }

    fn missing(&self, name: &str) -> SpecError {
        SpecError::new(&self.path(name), "it is missing, and this kind of fault needs it; write it beside kind")
    }

    fn number(&mut self, name: &str, least: f64, most: f64) -> Result<f64, SpecError> {
        let value = self.numbers.remove(name).ok_or_else(|| self.missing(name))?;
        within(value, &self.path(name), least, most)
    }

    fn number_or(&mut self, name: &str, least: f64, most: f64, otherwise: f64) -> Result<f64, SpecError> {
        within(self.numbers.remove(name).unwrap_or(otherwise), &self.path(name), least, most)
    }

    fn factor(&mut self) -> Result<f64, SpecError> {
        let value = self.numbers.remove("factor").ok_or_else(|| self.missing("factor"))?;
        above_zero(value, &self.path("factor"), MOST_FACTOR)
    }

    fn share(&mut self) -> Result<f64, SpecError> {
        self.number_or("share", 0.0, 1.0, 1.0)
    }

    fn count(&mut self, name: &str) -> Result<u32, SpecError> {
        self.counts.remove(name).ok_or_else(|| self.missing(name))
    }

    fn time(&mut self, name: &str, otherwise: Option<GoDuration>) -> Result<u32, SpecError> {
        let time = self.times.remove(name).or(otherwise).ok_or_else(|| self.missing(name))?;
        whole_seconds(time, &self.path(name))
    }

    /// Signals by name; demand where none is named.
    fn signals(&mut self) -> Result<Vec<SignalName>, SpecError> {
        let signals = self.signals.take().unwrap_or_default();
        if signals.is_empty() {
            return Ok(vec![SignalName::Demand]);
        }
        signals.iter().enumerate().map(|(index, name)| signal(name, &self.path(&format!("signals[{index}]")))).collect()
    }

    fn nothing_left(&self, kind: FaultName) -> Result<(), SpecError> {
        let left = self.numbers.keys().chain(self.counts.keys()).chain(self.times.keys()).copied();
        match left.chain(self.signals.map(|_| "signals")).next() {
            None => Ok(()),
            Some(name) => Err(SpecError::new(&self.path(name), format_args!("{kind:?} has no such parameter; remove it"))),
        }
    }
}

fn present<V>(values: impl IntoIterator<Item = (&'static str, Option<V>)>) -> BTreeMap<&'static str, V> {
    values.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
}

/// A signal as metrics name it.
pub(super) fn signal(text: &str, path: &dyn Display) -> Result<SignalName, SpecError> {
    if let Some(shipped) = SignalName::SHIPPED.into_iter().find(|shipped| shipped.as_str() == text) {
        return Ok(shipped);
    }
    let names: Vec<&str> = SignalName::SHIPPED.iter().map(SignalName::as_str).collect();
    Err(SpecError::new(path, format_args!("{} is no signal; write one of {}", quoted(text), names.join(", "))))
}
