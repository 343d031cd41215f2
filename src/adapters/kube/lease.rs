//! The right to act: one `coordination.k8s.io` Lease, with the count of its transitions as the fencing epoch.
//!
//! Times of other machines are not compared: a holder counts as gone when its record has not changed for a whole lease on OUR clock, and what we
//! hold ends a lease after we SENT the renewal that was answered. Renewals have a client to themselves if the caller gives one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease as ApiLease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::ports::Lease;

/// Field manager of the Lease.
const MANAGER: &str = "ipa-lease";

/// What is competed for, and by whom.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Its name (`ipa-actuator`).
    pub name: String,
    /// Who we are; unique among those who compete (a pod's name).
    pub identity: String,
    /// How long it holds without renewal. Longer than a write and its confirmation take.
    pub duration: Duration,
    /// How often it is renewed, or asked for.
    pub renew_every: Duration,
}

impl LeaseSettings {
    /// Half a minute, renewed every five seconds.
    #[must_use]
    pub fn new(namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            duration: Duration::from_secs(30),
            renew_every: Duration::from_secs(5),
        }
    }
}

/// A Lease that is held, or competed for, while this lives.
pub struct KubeLease {
    held: Arc<Mutex<Option<Held>>>,
    api: Api<ApiLease>,
    settings: LeaseSettings,
    asked: watch::Receiver<bool>,
    competing: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    epoch: u64,
    until: Instant,
}

/// Another holder's record, and since when we have seen it unchanged.
struct Observed {
    resource_version: Option<String>,
    since: Instant,
}

impl KubeLease {
    /// Begins to compete.
    #[must_use]
    pub fn start(client: Client, settings: LeaseSettings) -> Self {
        let api = Api::namespaced(client, &settings.namespace);
        let held = Arc::new(Mutex::new(None));
        let (first_round, asked) = watch::channel(false);
        let competing = tokio::spawn(compete(api.clone(), settings.clone(), held.clone(), first_round));
        Self { held, api, settings, asked, competing }
    }

    /// Waits until the API server has been asked once, so that a first tick need not begin as nobody in particular. Gives up after a renewal's time.
    pub async fn asked_once(&self) {
        let _ = timeout(self.settings.renew_every, self.asked.clone().wait_for(|asked| *asked)).await;
    }

    /// Gives the Lease up, so that another need not wait for its end. Nothing is held from the first moment on.
    pub async fn vacate(&self) {
        self.competing.abort();
        let Some(_) = self.held.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let Ok(Some(mut lease)) = self.api.get_opt(&self.settings.name).await else { return };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(&self.settings.identity) {
            spec.holder_identity = None;
            spec.renew_time = None;
            if let Err(error) = self.api.replace(&self.settings.name, &params(), &lease).await {
                tracing::warn!(%error, "failed to vacate the lease; it ends by itself");
            }
        }
    }
}

impl Drop for KubeLease {
    fn drop(&mut self) {
        self.competing.abort();
    }
}

#[async_trait]
impl Lease for KubeLease {
    async fn epoch(&self, until: Timestamp) -> Option<u64> {
        let held = (*self.held.lock().unwrap_or_else(PoisonError::into_inner))?;
        let left = SignedDuration::try_from(held.until.checked_duration_since(Instant::now())?).ok()?;
        (until.duration_since(Timestamp::now()) <= left).then_some(held.epoch)
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() }
}

/// Renews or asks, again and again. What was held runs out by itself when renewals fail.
async fn compete(api: Api<ApiLease>, settings: LeaseSettings, held: Arc<Mutex<Option<Held>>>, first_round: watch::Sender<bool>) {
    let mut observed: Option<Observed> = None;
    loop {
        let present = *held.lock().unwrap_or_else(PoisonError::into_inner);
        // An answer after the end of what is held would come too late to be of use.
        let round = timeout(settings.duration, take_or_renew(&api, &settings, present, &mut observed)).await;
        match round {
            Ok(Ok(result)) => *held.lock().unwrap_or_else(PoisonError::into_inner) = result,
            Ok(Err(error)) => tracing::warn!(lease = settings.name, %error, "failed to renew or take the lease"),
            Err(_) => tracing::warn!(lease = settings.name, "the API server did not answer about the lease"),
        }
        first_round.send_replace(true);
        sleep(settings.renew_every).await;
    }
}

async fn take_or_renew(
    api: &Api<ApiLease>,
    settings: &LeaseSettings,
    held: Option<Held>,
    observed: &mut Option<Observed>,
) -> Result<Option<Held>, kube::Error> {
    let sent = Instant::now();
    let Some(lease) = api.get_opt(&settings.name).await? else {
        let wanted = record(settings, 1, None);
        let metadata = ObjectMeta { name: Some(settings.name.clone()), ..ObjectMeta::default() };
        return answered(api.create(&params(), &ApiLease { metadata, spec: Some(wanted) }).await, settings, sent);
    };
    let spec = lease.spec.clone().unwrap_or_default();
    let transitions = spec.lease_transitions.unwrap_or(0);
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    // Under our name but not held by this process: a predecessor of ours, whose writes the next epoch fences off.
    let renews = holder == settings.identity && held.is_some_and(|h| Ok(h.epoch) == u64::try_from(transitions));
    if !renews && !holder.is_empty() && holder != settings.identity && !is_over(&lease, &spec, settings, observed) {
        return Ok(None);
    }
    let wanted =
        if renews { record(settings, transitions, spec.acquire_time) } else { record(settings, transitions.saturating_add(1), None) };
    // The resource version that was read goes with it: of two that take it at once the server refuses one.
    answered(api.replace(&settings.name, &params(), &ApiLease { metadata: lease.metadata, spec: Some(wanted) }).await, settings, sent)
}

fn record(settings: &LeaseSettings, transitions: i32, acquired: Option<MicroTime>) -> LeaseSpec {
    let now = MicroTime(Timestamp::now());
    LeaseSpec {
        holder_identity: Some(settings.identity.clone()),
        lease_duration_seconds: Some(i32::try_from(settings.duration.as_secs()).unwrap_or(i32::MAX).max(1)),
        lease_transitions: Some(transitions),
        acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
        renew_time: Some(now),
        ..LeaseSpec::default()
    }
}

fn answered(answer: Result<ApiLease, kube::Error>, settings: &LeaseSettings, sent: Instant) -> Result<Option<Held>, kube::Error> {
    match answer {
        Ok(lease) => {
            let transitions = lease.spec.and_then(|s| s.lease_transitions).unwrap_or(0);
            Ok(u64::try_from(transitions).ok().map(|epoch| Held { epoch, until: sent + settings.duration }))
        }
        // Another was quicker.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether another's record has stood unchanged for as long as it said it would hold.
fn is_over(lease: &ApiLease, spec: &LeaseSpec, settings: &LeaseSettings, observed: &mut Option<Observed>) -> bool {
    let resource_version = lease.metadata.resource_version.clone();
    let holds_for = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).map_or(settings.duration, Duration::from_secs);
    match observed {
        Some(seen) if seen.resource_version == resource_version => seen.since.elapsed() >= holds_for,
        _ => {
            *observed = Some(Observed { resource_version, since: Instant::now() });
            false
        }
    }
}
