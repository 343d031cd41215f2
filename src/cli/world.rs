//! A real cluster, Prometheus and model, put behind the ports as the configuration says.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use jiff::Timestamp;

use super::{ClusterArgs, Config};
use crate::adapters::kube::{self, KubeActuator, KubeLease, KubeQueue, KubeStatus, LeaseSettings, Watches};
use crate::adapters::ledger::SqliteLedger;
use crate::adapters::llm;
use crate::adapters::prices::BuiltinPrices;
use crate::adapters::prometheus::Prometheus;
use crate::domain::snapshot::ClusterFacts;
use crate::ports::{Archive, Clock, Cluster, Model, PortError, Ports, Prices};

/// How long the watches may take to fill at the start.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// Everything that is reached over the network.
pub(super) struct World {
    /// The cluster's name.
    pub(super) name: Arc<str>,
    client: ::kube::Client,
    /// For the lease alone: a slow write must not hold a renewal up.
    renewals: ::kube::Client,
    namespace: String,
    watches: Arc<Watches>,
    metrics: Arc<Prometheus>,
    prices: Arc<dyn Prices>,
    model: Option<Arc<dyn Model>>,
    clock: Arc<dyn Clock>,
}

/// Connects to the cluster and sets up the rest; only the cluster has to answer now.
pub(super) async fn connect(cluster: &ClusterArgs, config: &Config) -> anyhow::Result<World> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let Some(prometheus) = config.prometheus.clone() else {
        bail!("no metrics source is set: name one with --prometheus-url, or `prometheus.url` in --config");
    };
    let metrics = Arc::new(Prometheus::new(prometheus)?);
    let prices = Arc::new(BuiltinPrices::new(&config.prices).context("`prices`")?);
    let model = config.model.clone().map(|model| llm::connect(model, clock.clone())).transpose()?;
    let client = kube::connect(cluster.kubeconfig.as_deref(), cluster.context.as_deref()).await?;
    let renewals = kube::connect(cluster.kubeconfig.as_deref(), cluster.context.as_deref()).await?;
    let name = config.cluster.clone().or_else(|| cluster.context.clone()).unwrap_or_else(|| current_context(cluster));
    Ok(World {
        name: name.into(),
        watches: Arc::new(Watches::start(client.clone())),
        namespace: config.namespace.clone().unwrap_or_else(|| "ipa-system".into()),
        client,
        renewals,
        metrics,
        prices,
        model,
        clock,
    })
}

/// The kubeconfig's current context; `in-cluster` where there is no kubeconfig.
fn current_context(cluster: &ClusterArgs) -> String {
    let read = match &cluster.kubeconfig {
        Some(path) => ::kube::config::Kubeconfig::read_from(path),
        None => ::kube::config::Kubeconfig::read(),
    };
    read.ok().and_then(|config| config.current_context).unwrap_or_else(|| "in-cluster".into())
}

impl World {
    /// Waits until every watch has been listed once.
    ///
    /// # Errors
    /// What is still missing, and the mend.
    pub(super) async fn ready(&self) -> anyhow::Result<()> {
        let begun = std::time::Instant::now();
        loop {
            match self.watches.observe(self.clock.now()).await {
                Ok(_) => return Ok(()),
                Err(PortError::NotReady { .. }) if begun.elapsed() < READY_WITHIN => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What the cluster shows now.
    ///
    /// # Errors
    /// What is not there yet, or cannot be read.
    pub(super) async fn facts(&self, now: Timestamp) -> Result<ClusterFacts, PortError> {
        self.watches.observe(now).await
    }

    /// What the metrics source has kept.
    pub(super) fn archive(&self) -> Arc<dyn Archive> {
        self.metrics.clone()
    }

    /// Ports that only look: for a tick that changes nothing. What writes is filled in by the caller.
    pub(super) fn looking(&self, ledger: Arc<SqliteLedger>) -> Ports {
        let dry = Arc::new(crate::adapters::dry::Dry);
        Ports {
            cluster: self.watches.clone(),
            metrics: self.metrics.clone(),
            prices: self.prices.clone(),
            model: self.model.clone(),
            actuator: dry.clone(),
            lease: dry.clone(),
            status: dry.clone(),
            queue: dry.clone(),
            state: dry,
            ledger,
            clock: self.clock.clone(),
        }
    }

    /// All ports, and the lease that this process competes for from now on.
    pub(super) fn acting(&self, ledger: Arc<SqliteLedger>) -> (Ports, Arc<KubeLease>) {
        let identity = std::env::var("HOSTNAME").unwrap_or_else(|_| "ipa".into());
        let identity = format!("{identity}-{}", std::process::id());
        let settings = LeaseSettings::new(&self.namespace, "ipa-actuator", &identity);
        let lease = Arc::new(KubeLease::start(self.renewals.clone(), settings));
        let ports = Ports {
            actuator: Arc::new(KubeActuator::new(self.client.clone(), lease.clone(), self.watches.clone())),
            lease: lease.clone(),
            status: Arc::new(KubeStatus::new(self.client.clone(), self.watches.clone(), &identity)),
            queue: Arc::new(KubeQueue::new(self.client.clone(), self.watches.clone(), &self.namespace)),
            state: ledger.clone(),
            ..self.looking(ledger)
        };
        (ports, lease)
    }
}

/// The system's clock.
struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, until: Timestamp) {
        // In short steps: the wall clock may be set, and a suspended machine wakes late.
        while let Ok(left) = Duration::try_from(until.duration_since(Timestamp::now())) {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_secs(5))).await;
        }
    }
}
