//! Why a stretch cannot be recorded: one line that names the field or the flag, and the mend.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::domain::units::GoDuration;
use crate::eval::incident::IncidentError;
use crate::ports::PortError;

/// A stretch that cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It ends before it begins.
    #[error("--from {from} is not before --to {until}; name an earlier time, such as --from -2h")]
    Backwards {
        /// The beginning.
        from: Timestamp,
        /// The end.
        until: Timestamp,
    },
    /// Nothing of it would be scored.
    #[error("from {from} to {until} is too short: the first ten minutes are not scored; name a stretch of eleven minutes at least")]
    Short {
        /// The beginning.
        from: Timestamp,
        /// The end.
        until: Timestamp,
    },
    /// The directory's name is none of an incident.
    #[error("`{name}` is no name of an incident; call the directory by lower-case letters, digits and -")]
    Name {
        /// The name.
        name: String,
    },
    /// There is nothing to record.
    #[error("no IntelligentPodAutoscaler was found: create one for the workloads to record (see deploy/samples)")]
    NoGroup,
    /// There are several, and none was named.
    #[error("there are several groups: name one with --group: {}", groups.join(", "))]
    WhichGroup {
        /// All there are.
        groups: Vec<String>,
    },
    /// The named one is not there.
    #[error("--group {group} is not in the cluster: name one of {}", groups.join(", "))]
    UnknownGroup {
        /// The one that was named.
        group: String,
        /// All there are.
        groups: Vec<String>,
    },
    /// Two workloads would be one.
    #[error("two workloads are called {name}, of different kinds, and an incident has one of a name: record with --anonymize")]
    SameName {
        /// The name.
        name: String,
    },
    /// A capacity was given for nobody.
    #[error("--capacity {name}: the group has no such workload; name one of {}", workloads.join(", "))]
    UnknownCapacity {
        /// The name.
        name: String,
        /// All there are.
        workloads: Vec<String>,
    },
    /// No demand was kept.
    #[error(
        "no demand of {group} is kept from {from} to {until} ({ticks} ticks in the ledger): name a stretch that the metrics source has"
    )]
    Nothing {
        /// The group.
        group: String,
        /// The beginning.
        from: Timestamp,
        /// The end.
        until: Timestamp,
        /// Ticks of the stretch in the ledger.
        ticks: usize,
    },
    /// A replay would begin without demand.
    #[error("demand of {workload} begins at {first}, after --from {from}: begin there, with --from {first}")]
    DemandBeginsLate {
        /// Whose.
        workload: String,
        /// Its first minute.
        first: Timestamp,
        /// The beginning.
        from: Timestamp,
    },
    /// Nobody knows what a replica serves.
    #[error(
        "what one replica of {workload} serves is neither declared nor learned: give it with --capacity {workload}=UNITS, or set capacityPerReplica of the target"
    )]
    Capacity {
        /// Whose.
        workload: String,
    },
    /// Cost and utilisation are measured by requests.
    #[error("{workload} has no {resource} request, by which use and cost are measured: set resources.requests.{resource} of its container")]
    Request {
        /// Whose.
        workload: String,
        /// `cpu` or `memory`.
        resource: &'static str,
    },
    /// No answer came in time.
    #[error(
        "latency of {workload} was never below {least}, and {promised} is promised: name a stretch in which it is kept, or raise slo.latency"
    )]
    PromiseNeverKept {
        /// Whose.
        workload: String,
        /// The quickest answers.
        least: GoDuration,
        /// What is promised.
        promised: GoDuration,
    },
    /// Metrics or the ledger did not answer.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The directory holds something.
    #[error("{} is not empty: name a new directory", directory.display())]
    NotEmpty {
        /// Which.
        directory: PathBuf,
    },
    /// A file could not be written.
    #[error("failed to write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A document could not be put into words.
    #[error("failed to write YAML: {0}")]
    Yaml(String),
    /// What was recorded is no incident.
    #[error("what was recorded is no incident, and was not kept: {0}")]
    Unreadable(#[from] IncidentError),
}
