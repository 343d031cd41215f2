//! A connection to the API server, or one line that says which flag to mend. Holds no state of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// How long the first request may take before the server counts as unreachable.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// Why there is no connection. Each text names the flag and the mend.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file that was named is not there, or cannot be read as a kubeconfig.
    #[error("failed to read the kubeconfig {path}: {detail}: give a readable file with --kubeconfig")]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// Neither a kubeconfig nor a service account was found.
    #[error("found no cluster to talk to ({0}): give a kubeconfig with --kubeconfig, or set KUBECONFIG")]
    NoConfig(String),
    /// The kubeconfig has no such context, or the context names what is not there.
    #[error("failed to use the context {context}: {detail}: give one of [{known}] with --context")]
    Context {
        /// The context that was asked for.
        context: String,
        /// What was wrong.
        detail: String,
        /// The contexts there are.
        known: String,
    },
    /// The credentials or certificates could not be made into a client.
    #[error("failed to build a client for {server}: {detail}: check the certificates and credentials of this context")]
    Credentials {
        /// The server's address.
        server: String,
        /// What was wrong.
        detail: String,
    },
    /// Nobody answered.
    #[error("failed to reach the API server at {server}: {detail}: check that it runs, or choose another with --context")]
    Unreachable {
        /// The server's address.
        server: String,
        /// What was seen.
        detail: String,
    },
    /// Somebody answered, and did not know us.
    #[error("the API server at {server} refused the credentials: {detail}: renew them, or choose another context with --context")]
    Refused {
        /// The server's address.
        server: String,
        /// What was seen.
        detail: String,
    },
}

/// Connects as kubectl would: the named file, or `KUBECONFIG`, or `~/.kube/config`, or the pod's service account; and asks the server for its
/// version, so that a wrong address is found here and not in the middle of a tick.
///
/// # Errors
/// [`ConnectError`], one line that names the flag and the mend.
pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, ConnectError> {
    let config = connect_config(kubeconfig, context).await?;
    let server = config.cluster_url.to_string();
    let client =
        Client::try_from(config).map_err(|error| ConnectError::Credentials { server: server.clone(), detail: one_line(&error) })?;
    let answer = tokio::time::timeout(FIRST_ANSWER, client.apiserver_version()).await;
    match answer {
        Err(_) => Err(ConnectError::Unreachable { server, detail: format!("no answer within {} s", FIRST_ANSWER.as_secs()) }),
        Ok(Err(kube::Error::Api(status))) if status.code == 401 => Err(ConnectError::Refused { server, detail: status.message.clone() }),
        // A server that hides its version still answered.
        Ok(Err(kube::Error::Api(_)) | Ok(_)) => Ok(client),
        Ok(Err(error)) => Err(ConnectError::Unreachable { server, detail: one_line(&error) }),
    }
}

/// The way to a cluster, found as [`connect`] finds it: for clients that carry another's credentials there.
///
/// # Errors
/// [`ConnectError`], one line that names the flag and the mend.
pub async fn connect_config(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, ConnectError> {
    if kubeconfig.is_none() && context.is_none() {
        return Config::infer().await.map_err(|error| ConnectError::NoConfig(one_line(&error)));
    }
    let parsed = match kubeconfig {
        Some(path) => {
            Kubeconfig::read_from(path).map_err(|error| {
                // The path is said once.
                let detail = if let KubeconfigError::ReadConfig(error, _) = &error { error.to_string() } else { one_line(&error) };
                ConnectError::File { path: path.to_owned(), detail }
            })?
        }
        None => Kubeconfig::read().map_err(|error| ConnectError::NoConfig(one_line(&error)))?,
    };
    let known: Vec<&str> = parsed.contexts.iter().map(|c| c.name.as_str()).collect();
    let asked = context.or(parsed.current_context.as_deref()).unwrap_or("(none is current)").to_owned();
    let known = known.join(", ");
    let options = KubeConfigOptions { context: context.map(ToOwned::to_owned), ..KubeConfigOptions::default() };
    let broken = |detail: String| ConnectError::Context { context: asked.clone(), detail, known: known.clone() };
    let config = Config::from_custom_kubeconfig(parsed, &options).await.map_err(|error| broken(one_line(&error)))?;
    // The client takes for granted that there is a scheme.
    if config.cluster_url.scheme().is_none() {
        return Err(broken(format!("its server `{}` is no URL: write one such as https://127.0.0.1:6443", config.cluster_url)));
    }
    Ok(config)
}

/// An error with its causes, on one line: of each the first line, which is what it says; a parser draws the text below it.
pub(super) fn one_line(error: &dyn std::error::Error) -> String {
    let said = |error: &dyn std::error::Error| error.to_string().lines().next().unwrap_or_default().trim().to_owned();
    let mut line = said(error);
    let mut source = error.source();
    while let Some(cause) = source {
        let text = said(cause);
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    // The client's own word for "the request failed" says nothing to a person.
    line.strip_prefix("ServiceError: ").unwrap_or(&line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: here
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: here, context: {cluster: c, user: u}}, {name: broken, context: {cluster: gone, user: u}}]
";

    async fn failure(file: Option<&str>, context: Option<&str>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        if let Some(content) = file {
            std::fs::write(&path, content).unwrap();
        }
        connect(Some(&path), context).await.err().unwrap().to_string()
    }

    #[tokio::test]
    async fn each_way_to_fail_is_one_line_that_names_the_flag() {
        for (file, context, flag, word) in [
            (None, None, "--kubeconfig", "failed to read"),
            (Some("{not yaml"), None, "--kubeconfig", "failed to read"),
            (Some(KUBECONFIG), Some("elsewhere"), "--context", "[here, broken]"),
            (Some(KUBECONFIG), Some("broken"), "--context", "broken"),
            (Some(&KUBECONFIG.replace("http://127.0.0.1:1", "nowhere")), None, "--context", "its server `nowhere` is no URL"),
            (Some(KUBECONFIG), None, "--context", "failed to reach the API server at http://127.0.0.1:1/"),
        ] {
            let line = failure(file, context).await;
            assert!(line.contains(flag) && line.contains(word) && !line.contains('\n'), "{line}");
            assert!(!line.contains("ServiceError") && !line.contains("-->"), "{line}");
        }
    }
}
