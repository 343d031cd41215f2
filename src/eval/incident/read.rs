//! Reads an incident's directory: the document, the series it names, the events and the custom resources, each checked where it says itself.

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::check::{name, whole_seconds};
use super::document::{API_VERSION, IncidentDocument, KIND, MetadataDocument, SpecDocument, WorkloadDocument};
use super::samples::Span;
use super::{Incident, IncidentError, IncidentWorkload, derive, events, expect, faults, limits, pools, samples, workload, yaml};
use crate::crd::SpecError;
use crate::crd::error::quoted;
use crate::domain::limits::TimeZoneName;
use crate::domain::units::GoDuration;

/// The incident itself.
const INCIDENT_FILE: &str = "incident.yaml";
/// The custom resources under test.
const LIMITS_FILE: &str = "ipa.yaml";
/// What the cluster noted.
const EVENTS_FILE: &str = "events.jsonl";
/// The scored part's first minutes are not scored.
const UNSCORED_S: u32 = 600;
/// Longest history, and longest scored part.
const LONGEST_S: u32 = 400 * 86_400;

impl Incident {
    /// Reads the incident in a directory.
    ///
    /// # Errors
    /// [`IncidentError`]: one line with the file, its line where it has rows, the field, and the mend.
    pub fn read(dir: &Path) -> Result<Self, IncidentError> {
        let file = dir.join(INCIDENT_FILE);
        let refuse = |error| IncidentError::field(&file, error);
        let IncidentDocument { api_version, kind, metadata, spec } = yaml::document(&text(&file)?).map_err(refuse)?;
        check_head(&api_version, &kind, &metadata).map_err(refuse)?;
        let (span, time_zone) = span(&spec).map_err(refuse)?;
        let SpecDocument { start: _, time_zone: _, history: _, duration: _, workloads, nodes, faults, expect } = spec;
        workload::check_list(&workloads).map_err(refuse)?;
        super::calls::check(&workloads).map_err(refuse)?;
        let workloads: Vec<IncidentWorkload> = (0..)
            .zip(&workloads)
            .map(|(index, document)| read_workload(dir, document, &format!("spec.workloads[{index}]"), span, &refuse))
            .collect::<Result<_, _>>()?;
        let pools = pools::pools(nodes.as_ref(), &workloads).map_err(refuse)?;
        let struck = faults::Struck { workloads: &workloads, pools: &pools, duration_s: span.duration_s };
        let faults = faults::faults(&faults, struck).map_err(refuse)?;
        let expect = expect::expect(expect.as_ref(), span.duration_s, faults.len()).map_err(refuse)?;
        let pieces = derive::Pieces { start: span.start, time_zone: &time_zone, workloads: &workloads, pools: &pools };
        let limits::Limits { groups, guardrails, fleets } = read_limits(dir, pieces)?;
        Ok(Self {
            directory: dir.to_owned(),
            title: if metadata.title.is_empty() { metadata.name.clone() } else { metadata.title },
            name: metadata.name.into(),
            source: metadata.source,
            license: metadata.license,
            tags: metadata.tags,
            start: span.start,
            history_s: span.history_s,
            duration_s: span.duration_s,
            events: read_events(dir, span)?,
            time_zone,
            workloads,
            pools,
            faults,
            groups,
            guardrails,
            fleets,
            expect,
        })
    }
}

fn check_head(api_version: &str, kind: &str, metadata: &MetadataDocument) -> Result<(), SpecError> {
    if api_version != API_VERSION {
        return Err(SpecError::new(&"apiVersion", format_args!("{} is not known; write {API_VERSION}", quoted(api_version))));
    }
    if kind != KIND {
        return Err(SpecError::new(&"kind", format_args!("{} is no incident; write {KIND}", quoted(kind))));
    }
    name(&metadata.name, &"metadata.name")?;
    for (index, tag) in metadata.tags.iter().enumerate() {
        name(tag, &format_args!("metadata.tags[{index}]"))?;
    }
    Ok(())
}

fn span(spec: &SpecDocument) -> Result<(Span, TimeZoneName), SpecError> {
    let read = |duration: GoDuration, path: &str, least: u32| {
        let seconds = whole_seconds(duration, &path)?;
        if (least..=LONGEST_S).contains(&seconds) {
            return Ok(seconds);
        }
        let (least, most) = (GoDuration::from_secs(least.into()), GoDuration::from_secs(LONGEST_S.into()));
        Err(SpecError::new(&path, format_args!("{duration} is out of range; write a time from {least} to {most}")))
    };
    let history_s = read(spec.history, "spec.history", 0)?;
    let duration_s = read(spec.duration, "spec.duration", UNSCORED_S + 1)?;
    let zone = spec.time_zone.clone().map_or_else(|| Ok(TimeZoneName::utc()), TimeZoneName::try_from);
    let time_zone = zone.map_err(|error| SpecError::new(&"spec.timeZone", error))?;
    let start = spec.start;
    if start.subsec_nanosecond() != 0 {
        return Err(SpecError::new(&"spec.start", format_args!("{start} is no whole second; leave the fraction out")));
    }
    // Time zones are known for these years, and no sum of times leaves them.
    let year = start.to_zoned(TimeZone::UTC).year();
    if !(1970..=2900).contains(&year) {
        return Err(SpecError::new(&"spec.start", format_args!("{start} is out of range; write a time from 1970 to 2900")));
    }
    Ok((Span { start, history_s, duration_s }, time_zone))
}

fn read_workload(
    dir: &Path,
    document: &WorkloadDocument,
    at: &str,
    span: Span,
    refuse: &impl Fn(SpecError) -> IncidentError,
) -> Result<IncidentWorkload, IncidentError> {
    let samples = match &document.demand {
        None => None,
        Some(demand) => {
            let file = dir.join(workload::series_file(demand, at).map_err(refuse)?);
            Some(samples::read(&text(&file)?, span).map_err(|error| IncidentError::line(&file, error))?)
        }
    };
    workload::workload(document, at, samples).map_err(refuse)
}

fn read_events(dir: &Path, span: Span) -> Result<Vec<super::IncidentEvent>, IncidentError> {
    let file = dir.join(EVENTS_FILE);
    if !file.exists() {
        return Ok(Vec::new());
    }
    events::read(&text(&file)?, span.start).map_err(|error| IncidentError::line(&file, error))
}

fn read_limits(dir: &Path, pieces: derive::Pieces<'_>) -> Result<limits::Limits, IncidentError> {
    let file = dir.join(LIMITS_FILE);
    if !file.exists() {
        return Ok(derive::limits(pieces));
    }
    let known: Vec<_> = pieces.workloads.iter().map(|workload| derive::key(&workload.name)).collect();
    limits::read(&text(&file)?, &known).map_err(|error| IncidentError::field(&file, error))
}

/// A file's text. Bytes that are no UTF-8 are an error of reading, as a missing file is.
fn text(file: &Path) -> Result<Arc<str>, IncidentError> {
    std::fs::read_to_string(file).map(Arc::from).map_err(|source| IncidentError::File { path: file.to_owned(), source })
}
