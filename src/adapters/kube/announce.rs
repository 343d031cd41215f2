//! Events on the group's resource and on the target, as `kubectl describe` shows them.
//!
//! An event's name follows from what it says, so the same one is not stored twice within the hour that the API server keeps it, not even
//! across a restart. Nothing that goes wrong here goes further: an event is told, never relied on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};

use crate::domain::names::Digest;
use crate::domain::status::StatusEvent;

/// The API server refuses a longer note.
const NOTE_BYTES: usize = 1024;
/// The same event is not told again for so long.
const QUIET: SignedDuration = SignedDuration::from_mins(30);
/// Who tells.
const CONTROLLER: &str = "ipa.dev/ipa";

/// Tells events, each once.
pub struct Announcer {
    client: Client,
    instance: String,
    told: Mutex<BTreeMap<Digest, Timestamp>>,
}

impl Announcer {
    /// An announcer that signs as `instance` (a pod's name).
    pub fn new(client: Client, instance: &str) -> Self {
        Self { client, instance: instance.into(), told: Mutex::new(BTreeMap::new()) }
    }

    /// Tells `event` about `regarding`.
    pub async fn tell(&self, event: &StatusEvent, regarding: &ObjectReference, now: Timestamp) {
        let reason = format!("{:?}", event.reason);
        let note = cut(&event.note);
        let Ok(digest) = Digest::of(&(&regarding.uid, &regarding.name, &reason, note)) else { return };
        if self.was_told(&digest, now) {
            return;
        }
        let object = regarding.name.as_deref().unwrap_or("ipa");
        let event = Event {
            metadata: ObjectMeta { name: Some(format!("{object:.240}.{}", digest.short())), ..ObjectMeta::default() },
            action: Some(reason.clone()),
            reason: Some(reason),
            note: Some(note.to_owned()),
            type_: Some(if event.warning { "Warning" } else { "Normal" }.into()),
            event_time: Some(MicroTime(now)),
            regarding: Some(regarding.clone()),
            reporting_controller: Some(CONTROLLER.into()),
            reporting_instance: Some(self.instance.chars().take(128).collect()),
            ..Event::default()
        };
        // Events about what has no namespace lie in `default`.
        let api = Api::<Event>::namespaced(self.client.clone(), regarding.namespace.as_deref().unwrap_or("default"));
        match api.create(&PostParams::default(), &event).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => tracing::warn!(object, %error, "failed to record an event"),
        }
    }

    /// Whether it was told a while ago; if not, it is now.
    fn was_told(&self, digest: &Digest, now: Timestamp) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.duration_since(*at) < QUIET);
        if told.contains_key(digest) {
            return true;
        }
        told.insert(digest.clone(), now);
        false
    }
}

/// As much of a note as the API server takes, ending between two characters.
fn cut(note: &str) -> &str {
    &note[..note.floor_char_boundary(NOTE_BYTES)]
}

/// A reference as events need it.
pub fn reference(api_version: &str, kind: &str, namespace: &str, name: &str, uid: &Arc<str>) -> ObjectReference {
    ObjectReference {
        api_version: Some(api_version.into()),
        kind: Some(kind.into()),
        namespace: Some(namespace.to_owned()).filter(|n| !n.is_empty()),
        name: Some(name.into()),
        uid: Some(uid.to_string()).filter(|u| !u.is_empty()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_k09_a_note_is_cut_between_two_characters() {
        assert_eq!(cut("short"), "short");
        let long = "ü".repeat(600);
        assert_eq!(cut(&long).len(), 1024);
        let odd = format!("x{long}");
        assert_eq!((cut(&odd).len(), cut(&odd).chars().count()), (1023, 512));
    }
}
