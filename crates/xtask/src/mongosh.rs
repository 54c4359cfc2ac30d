//! mongosh, which initiates MongoDB in a cluster (infra/k8s/data/mongodb) and in its tests: the one on the PATH, else from npm.

use std::{ffi::OsStr, fs, path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{report::Report, root, servers::on_path, wheels};

const NAME: &str = "mongosh";
const VERSION: &str = "2.12.0";
/// Its dependencies are those of that day.
const BEFORE: &str = "2026-11-20";

/// `None` where it can't be had, which is logged: its tests are skipped there.
pub async fn find(path: &OsStr, report: &Report) -> Result<Option<PathBuf>> {
    let Some(program) = find_or_install(path, report).await? else {
        report.log(
            "The tests of MongoDB's initiation are skipped: neither mongosh nor npm is on the PATH",
        );
        return Ok(None);
    };
    // One from npm needs a recent Node.js.
    let output = Command::new(&program).arg("--version").output().await?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = why.lines().next().unwrap_or_default();
        report.log(&format!(
            "The tests of MongoDB's initiation are skipped: mongosh can't run here ({why})"
        ));
        return Ok(None);
    }
    Ok(Some(program))
}

async fn find_or_install(path: &OsStr, report: &Report) -> Result<Option<PathBuf>> {
    if let Some(installed) = on_path(path, NAME) {
        return Ok(Some(installed));
    }
    let folder = root::downloaded_servers().join(format!("{NAME}-{VERSION}"));
    let program = folder.join("node_modules/.bin").join(NAME);
    if program.is_file() {
        return Ok(Some(program));
    }
    let Some(npm) = on_path(path, "npm") else {
        report.log(
            "The tests of MongoDB's initiation are skipped: neither mongosh nor npm is on the PATH",
        );
        return Ok(None);
    };
    let servers = root::downloaded_servers();
    fs::create_dir_all(&servers)?;
    let lock = wheels::lock(&servers, report).await?;
    if program.is_file() {
        return Ok(Some(program));
    }
    report.log(&format!("Downloading {NAME} {VERSION} into {}", folder.display()));
    // A folder with the final name is complete: it is renamed last.
    let unfinished = servers.join(format!("{}{}", wheels::UNFINISHED, std::process::id()));
    let status = Command::new(npm)
        .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .args(["--before", BEFORE, &format!("{NAME}@{VERSION}"), "--prefix"])
        .arg(&unfinished)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("running npm")?;
    ensure!(status.success(), "npm couldn't install {NAME} {VERSION}; its message is above");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::rename(&unfinished, &folder)?;
    drop(lock);
    Ok(Some(program))
}
