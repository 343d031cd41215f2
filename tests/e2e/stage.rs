//! A cluster with IPA installed from `deploy/`, a Prometheus, and the operator running as its own service account.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};
use serde::Deserialize;

use super::operator::Operator;
use super::repository;
use super::shop::{LIMIT, Shop};
use crate::testbed::apply::apply_file;
use crate::testbed::exporter::load::Load;
use crate::testbed::prometheus::{Prometheus, ScrapeTarget};
use crate::testbed::wait::wait_until;
use crate::testbed::{READY_WITHIN, Testbed};

/// IPA's own namespace and account, as `deploy/base` names them.
const SYSTEM: &str = "ipa-system";
const ACCOUNT: &str = "ipa-actuator";

/// Manager of what an administrator installs.
const INSTALLER: &str = "kubectl";

/// A configuration that sets no mode, which is Observe, and whose URL gives way to the flag's.
pub const OBSERVING: &str = "prometheus: {scrapeInterval: 1s}\n";

/// Share of a load from which on its rate counts as measured.
const ALL_BUT_NOISE: f64 = 0.97;

/// The part of `deploy/base` that would run IPA in a pod; here it runs as a process.
const IN_A_POD: &str = "deployment.yaml";

static ACTING_STAGE: tokio::sync::OnceCell<Acting> = tokio::sync::OnceCell::const_new();

/// What is read of a kustomization: its patches are about the Deployment, which is not applied here.
#[derive(Deserialize)]
struct Kustomization {
    resources: Vec<String>,
}

/// A cluster with nodes, and a Prometheus that watches what is put on stage.
pub struct Stage {
    pub testbed: Testbed,
    pub prometheus: Prometheus,
    scraped: Mutex<Vec<ScrapeTarget>>,
}

/// A stage with an operator that may act.
pub struct Acting {
    pub stage: Stage,
    pub operator: Operator,
}

impl Stage {
    /// Starts one with the definitions, accounts and roles of an overlay of `deploy/`.
    async fn start(overlay: &str) -> Result<Self> {
        let testbed = Testbed::builder().controllers().scheduler().kwok(3).start().await?;
        let client = testbed.client()?;
        for file in resources(&repository("deploy/overlays").join(overlay))? {
            apply_file(&client, &file, None, INSTALLER).await?;
        }
        let prometheus = testbed.prometheus(&[]).await?;
        Ok(Self { testbed, prometheus, scraped: Mutex::default() })
    }

    /// Starts an operator with this configuration as IPA's own service account.
    async fn operator(&self, config: &str) -> Result<Operator> {
        Operator::start(self.testbed.folder(), "ipa", &self.kubeconfig().await?, self.prometheus.url(), config)
    }

    /// A kubeconfig that is IPA's own service account, whose roles are in force.
    pub async fn kubeconfig(&self) -> Result<PathBuf> {
        self.wait_for_roles().await?;
        self.testbed.kubeconfig_as(SYSTEM, ACCOUNT).await
    }

    /// A client that is IPA's own service account.
    pub async fn account(&self) -> Result<Client> {
        self.testbed.client_as(SYSTEM, ACCOUNT).await
    }

    /// The API server learns of new roles by a watch, a moment after they were written.
    async fn wait_for_roles(&self) -> Result<()> {
        let client = self.account().await?;
        let attributes = ResourceAttributes {
            group: Some("ipa.dev".into()),
            resource: Some("intelligentpodautoscalers".into()),
            verb: Some("watch".into()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        wait_until("the roles are in force", READY_WITHIN, async || {
            let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
            ensure!(answer.status.is_some_and(|status| status.allowed), "{ACCOUNT} may not watch yet");
            Ok(())
        })
        .await
    }

    /// Waits until rates show this load: they look back over a minute, and what was before counts until then.
    pub async fn wait_until_measured(&self, shop: &Shop, requests_per_second: f64) -> Result<()> {
        let query = format!("sum(rate(nginx_ingress_controller_requests{{namespace=\"{}\"}}[1m]))", shop.namespace);
        wait_until(&format!("{requests_per_second} requests a second are measured"), READY_WITHIN, async || {
            let measured = self.prometheus.value(&query).await?;
            ensure!(measured > ALL_BUT_NOISE * requests_per_second, "{measured} are");
            Ok(())
        })
        .await
    }

    /// Puts a shop under load, in a namespace of its own. Its load ends with the calling test.
    pub async fn shop(&self, load: f64) -> Result<Shop> {
        let shop = Shop::open(&self.testbed, &Load::Constant(load)).await?;
        let mut scraped = self.scraped.lock().unwrap();
        scraped.push(ScrapeTarget::plain(shop.exporter_address()));
        self.prometheus.set_targets(&scraped)?;
        Ok(shop)
    }
}

/// The files that a kustomization names, in order.
fn resources(folder: &Path) -> Result<Vec<PathBuf>> {
    let file = folder.join("kustomization.yaml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
    let kustomization: Kustomization = serde_saphyr::from_str(&text).with_context(|| format!("{} is no kustomization", file.display()))?;
    let mut files = Vec::new();
    for name in kustomization.resources {
        let resource = folder.join(&name);
        if resource.is_dir() {
            files.extend(resources(&resource)?);
        } else if name != IN_A_POD {
            files.push(resource);
        }
    }
    Ok(files)
}

/// The stage on which IPA may act, with its operator; all tests share it. A model is configured and its server is dead: groups that are
/// not about that turn it off.
pub async fn acting() -> Result<&'static Acting> {
    ACTING_STAGE
        .get_or_try_init(async || {
            let stage = Stage::start("auto").await?;
            let dead = crate::testbed::process::free_port()?;
            let config = format!(
                "mode: Auto
prometheus: {{scrapeInterval: 1s}}
model: {{url: 'http://127.0.0.1:{dead}/v1', model: nobody-serves-this, deadline: 2s}}
gate: {{changeFloor: {LIMIT}, coolDownAfterUp: 10s, coolDownAfterDown: 10s}}
"
            );
            let operator = stage.operator(&config).await?;
            Ok(Acting { stage, operator })
        })
        .await
}

/// A stage on which IPA may only look, and has not begun to.
pub async fn observing() -> Result<Stage> {
    Stage::start("observe").await
}

/// An operator as `deploy/` configures it: no mode is set, which is Observe.
pub async fn observer(stage: &Stage) -> Result<Operator> {
    stage.operator(OBSERVING).await
}
