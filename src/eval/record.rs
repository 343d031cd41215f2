//! A live stretch, made an incident: what a metrics source and the ledger kept of one group, as the directory that [`Incident::read`] reads and a
//! suite replays.
//!
//! ```text
//! subject    which group, which of its workloads, and what each is called          (pure)
//! ledger     what its ticks saw and did                                            (world)
//! seen       its signals by the minute, demand with a fortnight of past            (world)
//! demand     what came from outside: measured, less what its callers brought       (pure)
//! learn      what the signals teach of a service                                   (pure)
//! workload   one workload as the incident has it                                   (pure)
//! resources  `ipa.yaml`                                                            (pure)
//! happened   events and faults                                                     (pure)
//! write      the directory, read back before it stands                             (world)
//! ```
//!
//! Nothing is invented. What is not known is taken by the format's own default and said ([`Recording::assumed`]), or refused where there is none.
//! Left out: nodes (a replay always has room), the group's own PromQL, every name of an object outside the group, and all free text.

mod account;
mod demand;
mod error;
mod happened;
mod learn;
mod ledger;
mod resources;
mod seen;
mod subject;
mod workload;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use self::account::Account;
use self::subject::Subject;
use super::incident::document::{API_VERSION, IncidentDocument, KIND, MetadataDocument, SpecDocument, WorkloadDocument};
use crate::crd::target_ref::is_object_name;
use crate::domain::memory::PlannerMemory;
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::snapshot::ClusterFacts;
use crate::domain::units::GoDuration;
use crate::ports::{Archive, Ledger};

pub use account::Assumed;
pub use error::RecordError;
pub use write::is_free;

#[cfg(doc)]
use super::incident::Incident;

/// A scored part is longer than this: its first ten minutes are not scored.
const SHORTEST: SignedDuration = SignedDuration::from_secs(601);

/// Whom a recording asks.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The cluster as it is now.
    pub facts: &'a ClusterFacts,
    /// What metrics were kept.
    pub archive: &'a dyn Archive,
    /// What ticks wrote, where there is a ledger.
    pub ledger: Option<&'a dyn Ledger>,
    /// What was learned, where it was kept.
    pub memory: Option<&'a PlannerMemory>,
}

/// What is to be recorded.
#[derive(Clone, Debug)]
pub struct Request {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// What the incident is called, as Kubernetes names objects.
    pub name: String,
    /// Which group; the only one where none is named.
    pub group: Option<GroupId>,
    /// Where the scored part begins; the fraction of a minute is dropped.
    pub from: Timestamp,
    /// Where it ends; the fraction of a minute is dropped.
    pub until: Timestamp,
    /// Units/s that one replica serves, by workload, where somebody knows better than the record.
    pub capacities: BTreeMap<String, f64>,
    /// Whether names are replaced by `w1`, `w2`, ...
    pub anonymize: bool,
}

/// An incident that was recorded and not yet written.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Texts by file name.
    pub files: BTreeMap<String, String>,
    /// What the workloads are called.
    pub workloads: Vec<String>,
    /// The past before the scored part.
    pub history: GoDuration,
    /// The scored part.
    pub duration: GoDuration,
    /// Ticks of the scored part that the ledger holds.
    pub ticks: usize,
    /// Events that were noted.
    pub events: usize,
    /// Faults that the record proves.
    pub faults: usize,
    /// What was not known and was taken by default.
    pub assumed: Vec<Assumed>,
    /// What differs from what there was, or was left out, a sentence each.
    pub notes: Vec<String>,
}

/// Records a stretch.
///
/// # Errors
/// [`RecordError`]: one line with the mend.
pub async fn record(sources: Sources<'_>, request: &Request) -> Result<Recording, RecordError> {
    let (from, until) = request.stretch()?;
    let mut account = Account::default();
    let subject = Subject::choose(sources.facts, request, &mut account)?;
    let kept = match sources.ledger {
        Some(ledger) => ledger::read(ledger, &subject.group.id, from, until).await?,
        None => ledger::Kept::default(),
    };
    let seen = seen::read(sources.archive, &subject, from, until).await?;
    let ticks = kept.ticks(from);
    let own = demand::own(&subject, &seen);
    let subject = subject.only(&own, &mut account);
    if subject.targets.is_empty() {
        return Err(RecordError::Nothing { group: subject.group.id.to_string(), from, until, ticks });
    }
    let start = demand::start(&own, from);
    for target in &subject.targets {
        if let Some(first) = own.get(target.key).and_then(demand::Own::first).filter(|first| *first > from) {
            return Err(RecordError::DemandBeginsLate { workload: target.called.clone(), first, from });
        }
    }
    let context =
        workload::Context { subject: &subject, kept: &kept, seen: &seen, own: &own, request, memory: sources.memory, from, until };
    let workloads: Vec<WorkloadDocument> =
        subject.targets.iter().map(|target| context.document(target, &mut account)).collect::<Result<_, _>>()?;
    let faults = happened::faults(&kept, from, until);
    let proven = faults.len();
    let events = happened::events(&kept, &subject, start, from, until);

    let mut files = BTreeMap::new();
    for target in &subject.targets {
        if let Some(own) = own.get(target.key).filter(|own| own.has_any()) {
            files.insert(workload::series_file(&target.called), own.csv(start));
        }
    }
    files.insert(write::LIMITS_FILE.to_owned(), resources::text(&subject, request.anonymize, &mut account)?);
    if !events.is_empty() {
        files.insert(write::EVENTS_FILE.to_owned(), events.concat());
    }
    account.assume("spec.nodes", "none", "nodes are not recorded: there is always room");
    let span = |from: Timestamp, until: Timestamp| GoDuration(until.duration_since(from).try_into().unwrap_or_default());
    let (history, duration) = (span(start, from), span(from, until));
    let document = IncidentDocument {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        metadata: metadata(&subject, request, from, until),
        spec: SpecDocument {
            start,
            time_zone: Some(subject.group.time_zone.name().to_owned()),
            history,
            duration,
            workloads,
            nodes: None,
            faults,
            expect: None,
        },
    };
    files.insert(write::INCIDENT_FILE.to_owned(), write::yaml(&document)?);
    Ok(Recording {
        files,
        workloads: subject.targets.iter().map(|target| target.called.clone()).collect(),
        history,
        duration,
        ticks,
        events: events.len(),
        faults: proven,
        assumed: account.assumed,
        notes: account.notes,
    })
}

impl Request {
    /// The stretch in whole minutes, for a request that makes sense by itself; worth knowing before anybody is asked.
    ///
    /// # Errors
    /// [`RecordError`] where it ends before it begins, is too short, or has no name.
    pub fn stretch(&self) -> Result<(Timestamp, Timestamp), RecordError> {
        let minute = |at: Timestamp| Timestamp::from_second(at.as_second().div_euclid(60) * 60).unwrap_or(at);
        let (from, until) = (minute(self.from), minute(self.until));
        if from >= until {
            return Err(RecordError::Backwards { from: self.from, until: self.until });
        }
        if until.duration_since(from) < SHORTEST {
            return Err(RecordError::Short { from, until });
        }
        if !is_object_name(&self.name) {
            return Err(RecordError::Name { name: self.name.clone() });
        }
        Ok((from, until))
    }
}

fn metadata(subject: &Subject<'_>, request: &Request, from: Timestamp, until: Timestamp) -> MetadataDocument {
    let (title, source) = if request.anonymize {
        (format!("Recorded from {from} to {until}"), "recorded from a cluster".to_owned())
    } else {
        (format!("{} from {from} to {until}", subject.group.id), format!("recorded from the cluster {}", request.cluster))
    };
    MetadataDocument { name: request.name.clone(), title, source, license: String::new(), tags: vec!["recorded".to_owned()] }
}

/// A value for each target.
type ByTarget<T> = BTreeMap<TargetKey, T>;
