//! Binaries are found, failures explain themselves, and nothing is left behind.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::Testbed;
use super::super::binaries::{self, Component, Places};
use super::super::folder::Folder;
use super::super::process::{Process, Program};
use super::super::wait::wait_until;

const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_component_that_cannot_start_shows_the_end_of_its_log() -> Result<()> {
    let folder = Folder::new()?;
    let program = Program {
        name: "etcd",
        binary: &binaries::find(Component::Etcd).await?,
        arguments: vec!["--no-such-flag".to_owned()],
        environment: vec![],
    };
    let mut process = Process::start(program, folder.path())?;
    let error = process.wait_until_answers("http://127.0.0.1:1/health").await.unwrap_err();
    assert!(format!("{error:#}").contains("no-such-flag"), "{error:#}");
    Ok(())
}

#[test]
fn named_folders_are_looked_into_before_anything_is_built() -> Result<()> {
    let (first, second) = (tempfile::tempdir()?, tempfile::tempdir()?);
    fs::write(first.path().join("etcd"), "")?;
    fs::write(second.path().join("etcd"), "")?;
    fs::write(second.path().join("kube-apiserver"), "")?;
    let environment: BTreeMap<&str, OsString> =
        [("IPA_TESTBED_BIN", first.path().into()), ("KUBEBUILDER_ASSETS", second.path().into())].into();
    let places = Places::read(|name| environment.get(name).cloned())?;
    assert_eq!(places.given(Component::Etcd), Some(first.path().join("etcd")));
    assert_eq!(places.given(Component::ApiServer), Some(second.path().join("kube-apiserver")));
    assert_eq!(places.given(Component::Kwok), None);
    Ok(())
}

#[test]
fn the_binary_of_a_named_folder_is_the_one_that_runs() -> Result<()> {
    let variables = ["IPA_TESTBED_BIN", "KUBEBUILDER_ASSETS"];
    for variable in variables {
        let folder = tempfile::tempdir()?;
        let etcd = folder.path().join("etcd");
        fs::write(&etcd, "#!/bin/sh\necho this is the given etcd >&2\nexit 3\n")?;
        fs::set_permissions(&etcd, fs::Permissions::from_mode(0o755))?;
        let mut child = Command::new(std::env::current_exe()?);
        for other in variables {
            child.env_remove(other);
        }
        let output = child
            .args(["--exact", "testbed::selftest::cluster::a_control_plane_answers_and_gives_each_test_a_namespace"])
            .env(variable, folder.path())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{variable} is not looked at");
        assert!(said.contains("this is the given etcd"), "{variable}: {said}");
    }
    Ok(())
}

/// Names the file that the child of the two tests below writes its process ids to.
const CHILD: &str = "IPA_SELFTEST_CHILD";

#[tokio::test]
async fn a_panic_ends_every_process_and_removes_the_folder() -> Result<()> {
    if let Some(report) = std::env::var_os(CHILD) {
        let testbed = Testbed::builder().controllers().start().await?;
        write_report(Path::new(&report), testbed.folder(), &testbed.process_ids().await)?;
        panic!("as a failing test does");
    }
    let (folder, ids) = run_child("a_panic_ends_every_process_and_removes_the_folder", |child| child.wait().map(drop))?;
    assert_eq!(ids.len(), 3);
    expect_gone(&folder, &ids).await
}

#[tokio::test]
async fn a_kill_of_the_test_process_ends_every_process_and_removes_the_folder() -> Result<()> {
    if let Some(report) = std::env::var_os(CHILD) {
        let testbed = Testbed::builder().shared().await?;
        write_report(Path::new(&report), testbed.folder(), &testbed.process_ids().await)?;
        loop {
            tokio::time::sleep(SOON).await;
        }
    }
    let (folder, ids) = run_child("a_kill_of_the_test_process_ends_every_process_and_removes_the_folder", Child::kill)?;
    assert_eq!(ids.len(), 2);
    expect_gone(&folder, &ids).await
}

/// Runs one test of this binary in a process of its own until it has written its report, then ends it in the given way.
fn run_child(test: &str, end: impl FnOnce(&mut Child) -> std::io::Result<()>) -> Result<(PathBuf, Vec<u32>)> {
    let place = tempfile::tempdir()?;
    let report = place.path().join("report");
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", &format!("testbed::selftest::processes::{test}")])
        .env(CHILD, &report)
        .env_remove("IPA_TESTBED_KEEP")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    while !report.is_file() {
        if let Some(status) = child.try_wait()? {
            ensure!(report.is_file(), "the child ended ({status}) before its report");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    end(&mut child)?;
    child.wait()?;
    let written = fs::read_to_string(&report)?;
    let mut lines = written.lines();
    let folder = PathBuf::from(lines.next().context("the report is empty")?);
    let ids = lines.map(str::parse).collect::<Result<_, _>>()?;
    Ok((folder, ids))
}

fn write_report(report: &Path, folder: &Path, ids: &[u32]) -> Result<()> {
    let mut lines = vec![folder.display().to_string()];
    lines.extend(ids.iter().map(u32::to_string));
    // Renamed into place, so that the parent never reads half of it.
    let unfinished = report.with_extension("unfinished");
    fs::write(&unfinished, lines.join("\n"))?;
    Ok(fs::rename(&unfinished, report)?)
}

async fn expect_gone(folder: &Path, ids: &[u32]) -> Result<()> {
    wait_until("nothing is left", SOON, async || {
        for id in ids {
            let alive = Command::new("kill").args(["-0", &id.to_string()]).output()?;
            ensure!(!alive.status.success(), "process {id} still runs");
        }
        ensure!(!folder.exists(), "{} is still there", folder.display());
        Ok(())
    })
    .await
}
