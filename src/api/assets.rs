//! The page: files that are part of the binary, the same for everybody. Nothing is fetched from elsewhere and nothing is built.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::error::ApiError;

#[derive(RustEmbed)]
#[folder = "src/api/assets"]
struct Assets;

/// The page itself.
pub(super) async fn page(headers: HeaderMap) -> Result<Response, ApiError> {
    serve("index.html", &headers)
}

/// One of its parts.
pub(super) async fn file(path: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Result<Response, ApiError> {
    let Path(file) = path?;
    serve(&file, &headers)
}

fn serve(file: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    let not_found = || ApiError::not_found("asset", file, "open the page at /");
    let content_type = match file.rsplit_once('.').ok_or_else(not_found)?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return Err(not_found()),
    };
    let asset = Assets::get(file).ok_or_else(not_found)?;
    let tag = format!("\"{}\"", hex::encode(asset.metadata.sha256_hash()));
    let cached = [(ETAG, tag.clone()), (CACHE_CONTROL, "no-cache".to_owned())];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, cached).into_response());
    }
    Ok((cached, [(CONTENT_TYPE, content_type)], asset.data).into_response())
}

#[cfg(test)]
mod tests {
    use super::super::gate::CONTENT_SECURITY_POLICY;
    use super::super::testing::Fixture;
    use super::*;

    fn scripts_and_pages() -> Vec<(String, String)> {
        Assets::iter().map(|name| (name.to_string(), String::from_utf8(Assets::get(&name).unwrap().data.into_owned()).unwrap())).collect()
    }

    #[test]
    fn fault_t11_the_page_has_no_sink_that_turns_text_into_markup_or_script() {
        let sinks = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "createContextualFragment",
            "setHTML",
            "srcdoc",
            "eval(",
            "new Function",
            "javascript:",
        ];
        let assets = scripts_and_pages();
        assert!(assets.iter().any(|(name, _)| name == "app.js"));
        for (name, text) in &assets {
            for sink in sinks {
                assert!(!text.contains(sink), "{name} uses {sink}");
            }
        }
    }

    fn is(name: &str, ending: &str) -> bool {
        std::path::Path::new(name).extension().is_some_and(|e| e == ending)
    }

    #[test]
    fn the_page_has_nothing_inline_and_nothing_from_elsewhere() {
        for (name, text) in scripts_and_pages() {
            for foreign in ["http://", "https://", "//cdn", "@import", "url("] {
                let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!elsewhere.contains(foreign), "{name} names {foreign}");
            }
            if is(&name, "html") {
                assert!(!text.contains("<style") && !text.contains(" style=") && !text.contains(" onclick"), "{name} has inline parts");
                let with_source = text.matches("<script type=\"module\" src=\"/assets/").count();
                assert_eq!(text.matches("<script").count(), with_source, "{name} has an inline script");
            }
        }
    }

    #[test]
    fn every_module_that_is_imported_is_there() {
        let assets = scripts_and_pages();
        for (name, text) in assets.iter().filter(|(name, _)| is(name, "js")) {
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let module = line.split("\"./").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
                assert!(assets.iter().any(|(other, _)| other == module), "{name} imports {module}");
            }
        }
    }

    #[tokio::test]
    async fn fault_t11_every_answer_carries_the_policy_that_forbids_inline_script() {
        let api = Fixture::new().await.serve();
        for path in ["/", "/assets/app.js", "/api/v1/state", "/api/v1/nothing", "/healthz", "/metrics"] {
            let answer = api.get(path).await;
            assert_eq!(answer.header("content-security-policy"), CONTENT_SECURITY_POLICY, "{path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        }
        assert!(CONTENT_SECURITY_POLICY.contains("img-src 'self';") && !CONTENT_SECURITY_POLICY.contains("unsafe"));
    }

    #[tokio::test]
    async fn assets_are_served_with_their_type_and_only_by_name() {
        let api = Fixture::new().await.serve();
        assert_eq!(api.get("/").await.header("content-type"), "text/html; charset=utf-8");
        let script = api.get("/assets/app.js").await;
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        let again = api.get_with("/assets/app.js", &[("if-none-match", &script.header("etag"))]).await;
        assert_eq!(again.status, 304);
        for path in ["/assets/nothing.js", "/assets/..%2f..%2fapi.rs", "/assets/app", "/assets/%ff.js"] {
            let answer = api.get(path).await;
            assert!(matches!(answer.status, 400 | 404), "{path}");
            assert!(answer.json["mend"].is_string(), "{path}");
        }
    }
}
