//! Sorts what a server answers instead of a completion into the classes that each have one behaviour.

use http::StatusCode;
use serde_json::Value;

use crate::agent::messages::ModelFailure;

/// Most characters of a server's own words that are kept for the operator.
const MESSAGE_CHARACTERS: usize = 200;

/// Codes with which providers say that money or quota is used up: waiting a second does not help.
const BILLING_CODES: [&str; 8] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "project_spend_limit_exceeded",
    "organization_spend_limit_exceeded",
    "insufficient_balance",
    "insufficient_credits",
    "credit_balance_too_low",
];

/// What a server's error body says, wherever it puts it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    codes: Vec<String>,
    message: String,
}

/// The class of an answer that is an error, by status and body.
#[must_use]
pub fn classify(status: StatusCode, body: &[u8]) -> ModelFailure {
    let told = told(body);
    let shown = shown(status, &told);
    let has = |wanted: &[&str]| told.codes.iter().any(|code| wanted.contains(&code.as_str()));
    if has(&BILLING_CODES) || status == StatusCode::PAYMENT_REQUIRED {
        return ModelFailure::BillingStopped(shown);
    }
    let lower = told.message.to_lowercase();
    let too_long = has(&["context_length_exceeded", "exceed_context_size_error"])
        || ["context length", "context size", "context window", "too many tokens"].iter().any(|words| lower.contains(words));
    match status.as_u16() {
        // What a server says about a key may quote the key.
        401 | 403 => ModelFailure::AuthFailed(format!("HTTP {}", status.as_u16())),
        413 => ModelFailure::ContextTooLong(shown),
        400 | 422 if too_long => ModelFailure::ContextTooLong(shown),
        404 | 410 => ModelFailure::NotFound(shown),
        407..=409 | 425 | 429 | 500..=599 => ModelFailure::Transient(shown),
        300..=399 => ModelFailure::Protocol(format!("{shown}: redirects are not followed, name the final URL in model.url")),
        _ => ModelFailure::Protocol(shown),
    }
}

/// Whether the same call may succeed if it is simply made again.
#[must_use]
pub fn may_pass(failure: &ModelFailure) -> bool {
    matches!(failure, ModelFailure::Transient(_) | ModelFailure::Malformed(_))
}

/// An error inside an answer with status 200, as some gateways send it.
#[must_use]
pub fn error_in(answer: &Value) -> Option<ModelFailure> {
    let error = error_object(answer)?;
    let status = error.get("code").or_else(|| error.get("status")).and_then(Value::as_u64);
    let status = status.and_then(|code| u16::try_from(code).ok()).and_then(|code| StatusCode::from_u16(code).ok());
    let body = serde_json::to_vec(answer).unwrap_or_default();
    Some(classify(status.filter(|s| !s.is_success()).unwrap_or(StatusCode::BAD_GATEWAY), &body))
}

fn error_object(answer: &Value) -> Option<&Value> {
    let holder = answer.as_array().map_or(Some(answer), |items| items.first())?;
    holder.get("error").filter(|error| !error.is_null())
}

fn told(body: &[u8]) -> Told {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return Told::default() };
    let Some(error) = error_object(&answer) else {
        let message = ["message", "detail"].iter().find_map(|field| answer.get(field)?.as_str());
        return Told { codes: Vec::new(), message: message.unwrap_or_default().to_owned() };
    };
    let codes = ["code", "type", "status"].iter().filter_map(|field| error.get(field)?.as_str()).map(str::to_lowercase).collect();
    let message = error.get("message").and_then(Value::as_str).or(error.as_str()).unwrap_or_default().to_owned();
    Told { codes, message }
}

fn shown(status: StatusCode, told: &Told) -> String {
    let message: String = told.message.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARACTERS).collect();
    let parts = [format!("HTTP {}", status.as_u16()), told.codes.join("/"), message];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(status: u16, body: &str) -> &'static str {
        classify(StatusCode::from_u16(status).unwrap(), body.as_bytes()).reason()
    }

    #[test]
    fn statuses_and_codes_have_their_class() {
        for (status, body, class) in [
            (429, r#"{"error":{"code":"rate_limit_exceeded","message":"slow down"}}"#, "Transient"),
            (429, r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#, "BillingStopped"),
            (429, r#"{"error":{"code":"project_spend_limit_exceeded"}}"#, "BillingStopped"),
            (402, "", "BillingStopped"),
            (401, r#"{"error":{"message":"bad key sk-123"}}"#, "AuthFailed"),
            (403, "", "AuthFailed"),
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#, "ContextTooLong"),
            (400, r#"{"error":{"message":"This model's maximum context length is 8192 tokens"}}"#, "ContextTooLong"),
            (413, "", "ContextTooLong"),
            (400, r#"[{"error":{"code":400,"message":"missing thought_signature","status":"INVALID_ARGUMENT"}}]"#, "Protocol"),
            (404, "", "ModelNotFound"),
            (302, "", "Protocol"),
            (407, "", "Transient"),
            (408, "", "Transient"),
            (503, "<html>", "Transient"),
            (529, "", "Transient"),
        ] {
            assert_eq!(reason(status, body), class, "{status} {body}");
        }
    }

    #[test]
    fn what_is_said_about_a_key_is_not_kept() {
        let failure = classify(StatusCode::UNAUTHORIZED, br#"{"error":{"message":"bad key sk-123"}}"#);
        assert_eq!(failure, ModelFailure::AuthFailed("HTTP 401".into()));
    }

    #[test]
    fn an_error_inside_a_success_is_found() {
        let answer = serde_json::json!([{"error": {"code": 429, "message": "quota"}}]);
        assert_eq!(error_in(&answer).unwrap().reason(), "Transient");
        assert_eq!(error_in(&serde_json::json!({"choices": [], "error": null})), None);
    }
}
