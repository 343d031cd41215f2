//! The folder of one testbed: logs, data, certificates. It goes when the testbed is dropped, or when the process ends.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Set to anything, the folder stays, so that logs can be read after a failure.
const KEEP: &str = "IPA_TESTBED_KEEP";

/// Waits until the testbed's process has ended, leaves the components a moment to go, and removes the folder.
/// A static (the shared testbed) is never dropped, and a killed process drops nothing: only another process can tidy.
/// On a busy machine a component may write once more in between, hence the second and third time.
const JANITOR: &str = r#"cat >/dev/null; for again in 1 2 3; do sleep 1; rm -rf -- "$1"; done"#;

/// A temporary folder that outlives no way of ending.
pub struct Folder {
    folder: TempDir,
    janitor: Option<(Child, ChildStdin)>,
}

impl Folder {
    /// Makes the folder.
    pub fn new() -> Result<Self> {
        let mut folder =
            tempfile::Builder::new().prefix("ipa-testbed-").tempdir().context("failed to make a temporary folder for the testbed")?;
        if std::env::var_os(KEEP).is_some() {
            folder.disable_cleanup(true);
            return Ok(Self { folder, janitor: None });
        }
        let mut janitor = Command::new("sh")
            .args(["-c", JANITOR, "sh"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in the terminal must not take it along.
            .process_group(0)
            .spawn()
            .context("failed to start `sh`, which tidies up after the testbed")?;
        let lifeline = janitor.stdin.take().context("`sh` has no standard input")?;
        Ok(Self { folder, janitor: Some((janitor, lifeline)) })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a folder in it.
    pub fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("failed to make the folder {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some((mut janitor, lifeline)) = self.janitor.take() {
            // The folder is about to be removed here, so the janitor has nothing to do. Failing only leaves it to do so.
            let _ = janitor.kill();
            drop(lifeline);
            let _ = janitor.wait();
        }
    }
}
