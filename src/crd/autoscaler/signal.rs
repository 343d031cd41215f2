//! Signals that a team names with its own PromQL.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::domain::limits::{Aggregate, JoinKey, SignalUse};

/// A signal of the team's own. The installation's matcher is added to every selector of its query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = (
    "!(self.name in ['demand', 'cpu', 'throttling', 'memory', 'latency', 'errors', \
     'queue', 'restarts', 'oom_kills', 'gpu_duty', 'llm_waiting', 'llm_running', 'ready'])",
    "this is the name of a shipped signal; choose another"
))]
#[serde(rename_all = "camelCase")]
pub struct SignalSpec {
    /// Name, unique in this resource: lower-case letters, digits and underscores. Not a shipped signal's name. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub name: String,
    /// What it is for: Demand sizes replicas (at most one), Leading rises before demand, Guard forbids scale-down. Required.
    #[serde(rename = "use")]
    pub role: SignalUse,
    /// Unit of its values, shown to people and to the model, such as 1/s, messages or s. Required.
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[A-Za-z0-9/%._-]+$"))]
    pub unit: String,
    /// PromQL that answers for all targets together: one series each, with the join label. Never a URL. Required.
    #[schemars(length(min = 1, max = 2048))]
    pub query: String,
    /// Label that joins its series to targets: Pod, Service, Ingress or Workload. Default: Workload.
    #[serde(default = "by_workload")]
    pub join: JoinKey,
    /// How several series of one target become one value: Sum, Avg or Max. Default: Sum.
    #[serde(default = "by_sum")]
    pub aggregate: Aggregate,
}

const fn by_workload() -> JoinKey {
    JoinKey::Workload
}

const fn by_sum() -> Aggregate {
    Aggregate::Sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signal::SignalName;

    #[test]
    fn the_rule_knows_every_shipped_signal() {
        let schema = serde_json::to_string(&schemars::schema_for!(SignalSpec)).unwrap();
        for name in SignalName::SHIPPED {
            assert!(schema.contains(&format!("'{name}'")), "the CEL rule of signal names lacks {name}");
        }
    }
}
