//! The API key: a mounted file, read at each call, never kept, never printed.

use std::path::Path;

use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};

/// Longest key that is believed to be one.
const MOST_BYTES: usize = 8192;

/// Reads the key.
///
/// # Errors
/// One sentence that names the file and the mend, and nothing of its content.
pub async fn read(path: &Path) -> Result<SecretString, String> {
    let shown = path.display();
    let text = tokio::fs::read_to_string(path).await.map_err(|error| format!("failed to read key file {shown}: {}", error.kind()))?;
    let key = text.trim();
    if key.is_empty() || key.len() > MOST_BYTES || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("key file {shown} holds no key: put one line of visible ASCII into it"));
    }
    Ok(SecretString::from(key))
}

/// The header that carries it, marked so that no client prints it.
pub fn headers(key: &SecretString) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // `read` has taken nothing but visible ASCII, which every header value may hold.
    if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret())) {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    headers
}

/// A server's text with the key taken out, should it echo it.
pub fn redacted(text: &str, key: Option<&SecretString>) -> String {
    key.map_or_else(|| text.to_owned(), |key| text.replace(key.expose_secret(), "[key]"))
}
