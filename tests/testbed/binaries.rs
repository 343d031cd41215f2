//! Where the components' binaries come from: a folder that a person names, or a build of the pinned versions.
//!
//! `IPA_TESTBED_BIN` and then `KUBEBUILDER_ASSETS` name folders that are looked into first. What neither holds is built
//! by `go build` from `go/<group>/go.mod`, once, into `testbed/bin/` of cargo's target folder; a changed pin builds anew.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

const KUBERNETES_LDFLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36";

/// A program that the testbed runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers of the built-in kinds.
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// Plays the kubelet.
    Kwok,
    /// Karpenter with its kwok provider.
    Karpenter,
    /// The metrics store.
    Prometheus,
}

/// How a component is built.
struct Recipe {
    group: &'static str,
    package: &'static str,
    ldflags: &'static str,
    tags: &'static str,
    /// Measured without a build cache on two cores that had other work as well.
    estimate: Duration,
}

/// The folders that are looked into, in this order, and the one that is built into.
#[derive(Clone, Debug)]
pub struct Places {
    given: Vec<PathBuf>,
    built: PathBuf,
}

impl Component {
    /// The name of its file, which is also the name that `KUBEBUILDER_ASSETS` uses.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kwok => "kwok",
            Self::Karpenter => "karpenter",
            Self::Prometheus => "prometheus",
        }
    }

    fn recipe(self) -> Recipe {
        let recipe = |group, package, minutes: u64| Recipe {
            group,
            package,
            ldflags: if group == "kubernetes" { KUBERNETES_LDFLAGS } else { "-s -w" },
            // Without the clients of every cloud it takes half the time and half the size; targets come from a file here.
            tags: if group == "prometheus" { "remove_all_sd" } else { "" },
            estimate: Duration::from_secs(60 * minutes),
        };
        match self {
            Self::Etcd => recipe("etcd", "go.etcd.io/etcd/server/v3", 2),
            Self::ApiServer => recipe("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 9),
            Self::ControllerManager => recipe("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 3),
            Self::Scheduler => recipe("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 1),
            Self::Kwok => recipe("kwok", "sigs.k8s.io/kwok/cmd/kwok", 4),
            Self::Karpenter => recipe("karpenter", "sigs.k8s.io/karpenter/kwok", 5),
            Self::Prometheus => recipe("prometheus", "github.com/prometheus/prometheus/cmd/prometheus", 5),
        }
    }
}

impl Places {
    /// What the environment says, read through `variable`.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let given = ["IPA_TESTBED_BIN", "KUBEBUILDER_ASSETS"]
            .into_iter()
            .filter_map(&variable)
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from)
            .collect();
        Ok(Self { given, built: target_folder()?.join("testbed").join("bin") })
    }

    /// The binary in a named folder, if one has it.
    #[must_use]
    pub fn given(&self, component: Component) -> Option<PathBuf> {
        self.given.iter().map(|folder| folder.join(component.file_name())).find(|file| file.is_file())
    }

    /// Where the build of the pinned version lies, or will lie.
    pub fn built(&self, component: Component) -> Result<PathBuf> {
        Ok(self.built.join(stamp(&component.recipe())?).join(component.file_name()))
    }
}

/// The component's binary; builds it when nobody has yet, which takes minutes and is said on standard error.
pub async fn find(component: Component) -> Result<PathBuf> {
    let places = Places::read(|name| std::env::var_os(name))?;
    if let Some(given) = places.given(component) {
        return Ok(given);
    }
    let built = places.built(component)?;
    if built.is_file() {
        return Ok(built);
    }
    tokio::task::spawn_blocking(move || build(component, &built).map(|()| built)).await.context("the build was given up")?
}

/// The folder of a Go module that a group pins: CRDs and kwok stages are read from there.
pub async fn module_folder(group: &'static str, module: &'static str) -> Result<PathBuf> {
    let folder = tokio::task::spawn_blocking(move || {
        // `go list` only names the folder of a module that is there; `download` is instant when it is.
        go(group, &["mod", "download", module])?;
        go(group, &["list", "-m", "-f", "{{.Dir}}", module])
    });
    let folder = folder.await.context("the look-up was given up")?;
    Ok(PathBuf::from(folder?.trim()))
}

fn build(component: Component, built: &Path) -> Result<()> {
    let recipe = component.recipe();
    let name = component.file_name();
    let folder = built.parent().context("a binary lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    // One lock for all components: several builds side by side would only slow each other down.
    let lock_path = folder.with_file_name("lock");
    let lock = File::create(&lock_path).with_context(|| format!("failed to create {}", lock_path.display()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say(&format!("another process is building; waiting for it before looking for {name}"));
            lock.lock().context("failed to wait for the other build")?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("failed to lock {}", lock_path.display()));
        }
    }
    if built.is_file() {
        return Ok(());
    }

    say(&format!(
        "building {name} from tests/testbed/go/{}, once: about {} min without Go's build cache, seconds with it",
        recipe.group,
        recipe.estimate.as_secs() / 60,
    ));
    let start = Instant::now();
    let unfinished = built.with_extension("unfinished");
    let output = unfinished.display().to_string();
    go(
        recipe.group,
        &["build", "-trimpath", "-buildvcs=false", "-ldflags", recipe.ldflags, "-tags", recipe.tags, "-o", &output, recipe.package],
    )
    .with_context(|| format!("failed to build {name}; mend that, or set IPA_TESTBED_BIN to a folder that holds {name}"))?;
    fs::rename(&unfinished, built).with_context(|| format!("failed to move {output} to its place"))?;
    say(&format!("built {name} in {:.0} s", start.elapsed().as_secs_f64()));
    Ok(())
}

fn go(group: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new("go").args(arguments).current_dir(group_folder(group)).env("CGO_ENABLED", "0").env("GOWORK", "off").output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("the command `go` was not found: install Go 1.26.6 or later (https://go.dev/dl) and put it on PATH")
        }
        Err(error) => return Err(error).context("failed to run `go`"),
    };
    if !output.status.success() {
        bail!("`go {}` failed ({}): {}", arguments.join(" "), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn group_folder(group: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testbed/go").join(group)
}

/// The group and a digest of all that decides what is built: another pin or flag is another folder.
fn stamp(recipe: &Recipe) -> Result<String> {
    let folder = group_folder(recipe.group);
    let mut digest = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        let path = folder.join(file);
        digest.update(fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?);
    }
    digest.update(recipe.ldflags);
    digest.update(recipe.tags);
    let digest = hex::encode(digest.finalize());
    Ok(format!("{}-{}", recipe.group, &digest[..12]))
}

/// Cargo marks its target folder as a cache; this executable lies in it.
fn target_folder() -> Result<PathBuf> {
    let executable = std::env::current_exe().context("failed to find this executable")?;
    let target = executable
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .or_else(|| executable.ancestors().nth(3))
        .context("this executable lies in no target folder of cargo")?;
    Ok(target.to_path_buf())
}

/// Past the test harness, which holds back what tests print: a person waits for this.
fn say(line: &str) {
    // Nothing to be done where standard error is closed.
    let _ = writeln!(io::stderr(), "testbed: {line}");
}
