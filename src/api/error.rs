//! What a request is answered when it cannot be served: always JSON, always with the mend.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::ports::PortError;

/// An error and what a person can do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ApiError {
    #[serde(skip)]
    pub(super) status: StatusCode,
    pub(super) error: String,
    pub(super) mend: String,
}

/// How much of a caller's words an error repeats.
const QUOTED: usize = 120;

impl ApiError {
    pub(super) fn new(status: StatusCode, error: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { status, error: error.into(), mend: mend.into() }
    }

    pub(super) fn not_found(what: &str, name: &str, mend: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} `{}`", quoted(name)), mend)
    }
}

/// The beginning of a caller's words.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let unauthorized = self.status == StatusCode::UNAUTHORIZED;
        let mut response = (self.status, Json(self)).into_response();
        if unauthorized {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ipa\""));
        }
        response
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let mend = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "send at most 64 KiB",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "send JSON with `content-type: application/json`",
            _ => "send the JSON object that this path documents, and no other fields",
        };
        Self::new(rejection.status(), quoted(&rejection.body_text()), mend)
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), quoted(&rejection.body_text()), "use the parameters that this path documents")
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), quoted(&rejection.body_text()), "write names as the cluster does, and a tick as its number")
    }
}

impl From<PortError> for ApiError {
    fn from(error: PortError) -> Self {
        let (status, mend) = match &error {
            PortError::NotReady { .. } => (StatusCode::SERVICE_UNAVAILABLE, "try again in a moment"),
            PortError::Failed { .. } => (StatusCode::BAD_GATEWAY, "mend what is named, then try again; nothing was changed"),
            PortError::Corrupt { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "run `ipa audit verify` on the data directory"),
        };
        tracing::warn!(%error, "a request could not be served");
        Self::new(status, error.to_string(), mend)
    }
}

/// Nothing is served under this path.
pub(super) async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::not_found("path", uri.path(), "the page is at /, the API under /api/v1, metrics at /metrics")
}

/// Something is, but not with this method.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let error = format!("{method} is not served at `{}`", quoted(uri.path()));
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, error, "read with GET, decide with POST")
}
