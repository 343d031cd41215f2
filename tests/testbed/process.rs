//! A child process that ends with its owner: dropped, panicking, or killed.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::http;
use super::wait::wait_until;

/// Becomes the program, and leaves a watcher behind that kills it when standard input closes, which the kernel does
/// when this process ends in whatever way. (A parent-death signal would be tied to the thread of one test.)
const WATCHED: &str = r#"exec 3<&0
(cat <&3; kill -KILL $$) >/dev/null 2>&1 &
exec 3<&-
exec "$@" </dev/null"#;

/// How much of a log an error shows.
const TAIL_LINES: usize = 25;

/// A running component and its log.
pub struct Process {
    name: String,
    child: Child,
    lifeline: Option<ChildStdin>,
    log: PathBuf,
}

/// What to start.
pub struct Program<'a> {
    /// Its name in messages and the name of its log.
    pub name: &'a str,
    /// The binary.
    pub binary: &'a Path,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables it gets beside those of this process.
    pub environment: Vec<(&'a str, String)>,
}

impl Process {
    /// Starts it with its output in `<folder>/<name>.log`.
    pub fn start(program: Program<'_>, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{}.log", program.name));
        let output = File::create(&log).with_context(|| format!("failed to create {}", log.display()))?;
        let errors = output.try_clone().context("failed to share a log file")?;
        let mut child = Command::new("sh")
            .args(["-c", WATCHED, "sh"])
            .arg(program.binary)
            .args(&program.arguments)
            .envs(program.environment)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C in the terminal goes to the owner alone, which then ends its components in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("failed to start {}", program.binary.display()))?;
        let lifeline = child.stdin.take();
        Ok(Self { name: program.name.to_owned(), child, lifeline, log })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until an HTTP GET of this address succeeds; says why, with the log's end, when it does not.
    pub async fn wait_until_answers(&mut self, url: &str) -> Result<()> {
        let client = http::loopback_client()?;
        let what = format!("{} answers", self.name);
        let answered = wait_until(&what, super::READY_WITHIN, async || {
            if let Some(status) = self.child.try_wait()? {
                // An answer as well: a process that has ended need not be waited for.
                return Ok(Some(status));
            }
            http::get(&client, url).await?;
            Ok(None)
        })
        .await;
        match answered {
            Ok(None) => Ok(()),
            Ok(Some(status)) => bail!("{} ended while starting ({status}); its log ends with:\n{}", self.name, self.log_tail()),
            Err(error) => {
                Err(error).with_context(|| format!("{} did not become ready; its log ends with:\n{}", self.name, self.log_tail()))
            }
        }
    }

    /// The last lines it wrote.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        drop(self.lifeline.take());
        let _ = self.child.wait();
    }
}

/// A port of the loopback interface that nothing listens on just now.
pub fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("failed to find a free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}
