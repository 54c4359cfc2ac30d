//! promtool, which checks the alerts (infra/observability): the one on the PATH, else from Debian's package, which isn't
//! installed but unpacked.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{report::Report, root, servers::on_path, wheels};

const NAME: &str = "promtool";
const PACKAGE: &str = "prometheus";

/// `None` where it can't be had, which is logged: its tests are skipped there.
pub async fn find(path: &OsStr, report: &Report) -> Result<Option<PathBuf>> {
    if let Some(installed) = on_path(path, NAME) {
        return Ok(Some(installed));
    }
    let servers = root::downloaded_servers();
    let folder = servers.join(PACKAGE);
    let program = folder.join("usr/bin").join(NAME);
    if program.is_file() {
        return Ok(Some(program));
    }
    fs::create_dir_all(&servers)?;
    let lock = wheels::lock(&servers, report).await?;
    if program.is_file() {
        return Ok(Some(program));
    }
    report.log(&format!(
        "Downloading {NAME}, of Debian's package {PACKAGE}, into {}",
        folder.display()
    ));
    // A folder with the final name is complete: it is renamed last.
    let unfinished = servers.join(format!("{}{}", wheels::UNFINISHED, std::process::id()));
    fs::create_dir_all(&unfinished)?;
    if let Err(error) = unpack(&unfinished).await {
        fs::remove_dir_all(&unfinished)?;
        report.log(&format!(
            "The tests of the alerts are skipped, without {NAME} on the PATH: {error:#}"
        ));
        return Ok(None);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::rename(&unfinished, &folder)?;
    drop(lock);
    Ok(Some(program))
}

async fn unpack(folder: &Path) -> Result<()> {
    run(folder, "apt-get", &["--quiet", "--quiet", "download", PACKAGE]).await?;
    let files = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let package = files.first().context("apt-get has downloaded nothing")?.path();
    run(folder, "dpkg-deb", &["--extract", &package.to_string_lossy(), "."]).await?;
    fs::remove_file(package)?;
    Ok(())
}

async fn run(folder: &Path, program: &str, args: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("running {program}"))?;
    ensure!(status.success(), "{program} {} has failed", args.join(" "));
    Ok(())
}
