//! Whatever is wrong with what a person typed or wrote: one line that names the flag or field and the mend, and exit code 2.

use std::fs;

use anyhow::{Result, ensure};

use super::ipa;

const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: here
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: here, context: {cluster: c, user: u}}]
";

/// Files that the cases name, by what is in them.
const FILES: [(&str, &str); 8] = [
    ("kubeconfig", KUBECONFIG),
    ("broken.yaml", "mode: [Auto\n"),
    ("field.yaml", "prometeus: {url: 'http://p:9090'}\n"),
    ("mode.yaml", "mode: Turbo\n"),
    ("gate.yaml", "gate: {coolDownAfterUp: soon}\n"),
    ("two-modes.yaml", "gate: {highestMode: Auto}\n"),
    ("matcher.yaml", "prometheus: {url: 'http://p:9090', matcher: 'cluster=x'}\n"),
    ("model.yaml", "prometheus: {url: 'http://p:9090'}\nmodel: {url: 'gopher://m', model: m}\n"),
];

/// Files that the cases name and nobody made.
const ABSENT: [&str; 3] = ["missing", "missing.yaml", "nowhere"];

/// What is typed, and what the line must name.
const CASES: [(&str, &[&str]); 27] = [
    // The cluster.
    ("tick --prometheus-url http://p --kubeconfig kubeconfig", &["http://127.0.0.1:1", "--context"]),
    ("run --prometheus-url http://p --kubeconfig kubeconfig", &["http://127.0.0.1:1", "--context"]),
    ("tick --prometheus-url http://p --kubeconfig missing", &["missing", "--kubeconfig"]),
    ("tick --prometheus-url http://p --kubeconfig kubeconfig --context there", &["there", "[here]", "--context"]),
    ("tick --prometheus-url http://p", &["--kubeconfig"]),
    ("adopt shop/web --kubeconfig kubeconfig", &["http://127.0.0.1:1"]),
    ("proposals list --kubeconfig missing", &["missing", "--kubeconfig"]),
    // The configuration.
    ("tick --config missing.yaml", &["--config", "missing.yaml"]),
    ("tick --config broken.yaml", &["--config", "broken.yaml"]),
    ("tick --config field.yaml", &["field.yaml", "prometeus"]),
    ("run --config mode.yaml", &["mode.yaml", "Turbo", "Recommend"]),
    ("run --config gate.yaml", &["gate.yaml", "gate", "soon"]),
    ("run --config two-modes.yaml", &["`gate.highestMode`", "`mode`"]),
    ("run --config matcher.yaml", &["`prometheus.matcher`"]),
    ("run --config model.yaml", &["model.url", "gopher://m"]),
    ("run --kubeconfig kubeconfig", &["--prometheus-url", "`prometheus.url`"]),
    ("run --prometheus-url ftp://p", &["`prometheus.url`", "ftp://p"]),
    // Flags.
    ("run --prometheus-url http://p --model-url http://m/v1", &["--model-url", "--model"]),
    ("run --prometheus-url http://p --interval 10ms", &["--interval", "60s"]),
    ("run --interval soon", &["--interval", "soon"]),
    ("run --listen everywhere", &["--listen", "everywhere"]),
    ("run --headles", &["--headles", "--help"]),
    ("why web", &["TARGET", "web", "NAMESPACE/NAME"]),
    ("why", &["TARGET", "ipa why --help"]),
    ("demo --headless", &["--headless", "--for 10m"]),
    ("audit verify --data-dir nowhere", &["nowhere", "--data-dir"]),
    ("tick --log ipa=loud", &["--log", "ipa=loud"]),
];

#[tokio::test]
async fn each_mistake_is_one_line_that_names_it_and_the_mend() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (name, content) in FILES {
        fs::write(folder.path().join(name), content)?;
    }
    let is_file = |word: &str| FILES.iter().any(|(name, _)| *name == word) || ABSENT.contains(&word);
    let mut wrong = Vec::new();
    for (typed, named) in CASES {
        let arguments = typed.split(' ').map(|word| if is_file(word) { folder.path().join(word).into_os_string() } else { word.into() });
        let ran = ipa(arguments).await?;
        let said = &ran.stderr;
        if ran.code != Some(2) || said.lines().count() != 1 || !named.iter().all(|word| said.contains(word)) {
            wrong.push(format!("`ipa {typed}` ended with {:?}, and not with a line that names {named:?}:\n{said}", ran.code));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
