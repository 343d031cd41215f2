//! A person's decision on a queued proposal, written with the PERSON's rights: their kubeconfig, or their token. Never the program's own.

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::config::AuthInfo;
use kube::{Client, Config, ResourceExt as _};
use serde_json::json;

use crate::crd::ScalingProposal;
use crate::crd::proposal::DecisionSpec;
use crate::domain::names::{Digest, ProposalId};
use crate::domain::snapshot::DecisionVerdict;
use crate::ports::{Decisions, PortError};

/// Field manager of decisions.
const MANAGER: &str = "ipa-decisions";
/// How often a decision is written anew when another was added meanwhile.
const TRIES: u32 = 3;

/// Where decisions go.
pub struct KubeDecisions {
    person: Person,
}

enum Person {
    /// Whoever the kubeconfig stands for: the command line.
    Caller(Client),
    /// Whoever brings a token to this cluster: the server.
    Bearer(Box<Config>),
}

impl KubeDecisions {
    /// Decides as whoever `client` is.
    #[must_use]
    pub fn of_caller(client: Client) -> Self {
        Self { person: Person::Caller(client) }
    }

    /// Decides as whoever's token is given; of `config` only the way to the cluster is used, none of its credentials.
    #[must_use]
    pub fn of_bearers(config: Config) -> Self {
        Self { person: Person::Bearer(Box::new(config)) }
    }

    fn client(&self, token: Option<&str>) -> Result<Client, PortError> {
        match (&self.person, token) {
            (Person::Caller(client), _) => Ok(client.clone()),
            (Person::Bearer(_), None) => Err(refused("a token is needed: sign in with one that may approve")),
            (Person::Bearer(config), Some(token)) => {
                let mut config = (**config).clone();
                config.auth_info = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
                Client::try_from(config).map_err(|error| refused(error.to_string()))
            }
        }
    }
}

fn refused(detail: impl Into<String>) -> PortError {
    PortError::Failed { action: "record the decision".into(), detail: detail.into() }
}

#[async_trait]
impl Decisions for KubeDecisions {
    async fn decide(
        &self,
        proposal: &ProposalId,
        verdict: DecisionVerdict,
        digest: &Digest,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let client = self.client(token)?;
        let by = whoami(&client).await?;
        for _ in 0..TRIES {
            let object = find(&client, proposal).await?;
            check(&object, digest, now)?;
            let decision = DecisionSpec { by: by.clone(), verdict, digest: digest.0.clone(), at: now.to_string() };
            let decisions: Vec<&DecisionSpec> = object.spec.decisions.iter().chain([&decision]).collect();
            let body = json!({"metadata": {"resourceVersion": object.resource_version()}, "spec": {"decisions": decisions}});
            let api = Api::<ScalingProposal>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
            let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
            match api.patch(&proposal.0, &params, &Patch::Merge(&body)).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(kube::Error::Api(status)) => return Err(refused(status.message)),
                Err(error) => return Err(refused(error.to_string())),
            }
        }
        Err(refused(format!("{proposal} was changed by others at the same time; try again")))
    }
}

/// The name under which the API server knows the person; its admission policy holds `by` to it.
async fn whoami(client: &Client) -> Result<String, PortError> {
    let review = Api::<SelfSubjectReview>::all(client.clone())
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .map_err(|error| refused(format!("the API server does not know this person: {error}")))?;
    review.status.and_then(|s| s.user_info).and_then(|u| u.username).ok_or_else(|| refused("the API server gave this person no name"))
}

/// The proposal by its name, which no other has: where the person usually works, or anywhere they may look.
async fn find(client: &Client, proposal: &ProposalId) -> Result<ScalingProposal, PortError> {
    let here = Api::<ScalingProposal>::default_namespaced(client.clone());
    if let Ok(Some(found)) = here.get_opt(&proposal.0).await {
        return Ok(found);
    }
    let everywhere = Api::<ScalingProposal>::all(client.clone());
    let named = ListParams::default().fields(&format!("metadata.name={}", proposal.0));
    let found = everywhere.list(&named).await.map_err(|error| refused(error.to_string()))?;
    found
        .items
        .into_iter()
        .next()
        .ok_or_else(|| refused(format!("there is no proposal {proposal}; `ipa proposals list` shows those that wait")))
}

fn check(object: &ScalingProposal, digest: &Digest, now: Timestamp) -> Result<(), PortError> {
    let name = object.name_any();
    if object.spec.digest != digest.0 {
        return Err(refused(format!("{name} is about another change than the one that was seen; read it again")));
    }
    if let Some(status) = object.status.as_ref().filter(|s| s.phase.is_closed()) {
        return Err(refused(format!("{name} has ended: {:?}", status.phase)));
    }
    if object.spec.expires.parse::<Timestamp>().is_ok_and(|expires| expires <= now) {
        return Err(refused(format!("{name} lapsed at {}", object.spec.expires)));
    }
    Ok(())
}
