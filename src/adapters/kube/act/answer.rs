//! What the API server's answer to a write means. Each class has its own mend, so none is thrown together with another.

use kube::core::Status;

use super::Try;
use crate::domain::outcome::OutcomeResult;

/// Longest text of the server's that goes into a record.
const DETAIL_LENGTH: usize = 300;

/// Classifies a failed write.
pub fn classify(error: &kube::Error) -> Try {
    match error {
        kube::Error::Api(status) => by_status(status),
        // The request never left: nothing can have been written.
        kube::Error::BuildRequest(_) | kube::Error::Auth(_) => {
            Try::Done(OutcomeResult::Forbidden { detail: shortened(&error.to_string()) })
        }
        other => Try::Lost(shortened(&other.to_string())),
    }
}

fn by_status(status: &Status) -> Try {
    let detail = shortened(&status.message);
    match status.code {
        409 => match conflicting_manager(status) {
            Some(manager) => Try::Done(conflict(&manager)),
            None => Try::Again(detail),
        },
        401 => Try::Done(OutcomeResult::Forbidden { detail }),
        403 if is_rbac(&status.message) => Try::Done(OutcomeResult::Forbidden { detail }),
        404 | 410 => Try::Done(OutcomeResult::Gone),
        429 => {
            let wait = status.details.as_ref().map_or(0, |d| d.retry_after_seconds);
            Try::Done(OutcomeResult::Unknown { detail: format!("the server asked to wait {wait} s, and nothing was written: {detail}") })
        }
        400..=499 => Try::Done(OutcomeResult::Denied { detail }),
        _ => Try::Lost(detail),
    }
}

/// A conflict with a manager by name.
pub fn conflict(manager: &str) -> OutcomeResult {
    OutcomeResult::Conflicted {
        manager: manager.into(),
        advice: "it wrote the field a moment ago; find out why, then run `ipa adopt`".into(),
    }
}

/// The manager that a server-side apply conflicts with; `None` for a conflict of resource versions.
fn conflicting_manager(status: &Status) -> Option<String> {
    let cause = status.details.as_ref()?.causes.iter().find(|c| c.reason == "FieldManagerConflict")?;
    // conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas
    let manager = cause.message.split('"').nth(1).unwrap_or("another manager");
    Some(shortened(manager))
}

/// RBAC's words; every other 403 is an admission policy's, a webhook's or a quota's.
fn is_rbac(message: &str) -> bool {
    message.contains("User \"") && message.contains(" cannot ")
}

/// A server's text, one line and bounded.
pub fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(DETAIL_LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
