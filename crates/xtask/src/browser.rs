//! What the browser tests need: Debian's Chromium with its WebDriver, and axe-core from a pinned wheel.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{report::Report, servers::on_path, wheels::Wheel};

/// The wheel that carries axe-core.
pub const AXE: &str = "axe-playwright-python";

/// Chromium without windows, which takes half the processor time.
const HEADLESS_SHELL: &str = "chromium-headless-shell";
/// The names of Chromium's program.
const CHROMIUM: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const CHROMEDRIVER: &str = "chromedriver";
/// The fonts have the metrics of the ones from Windows that the style sheet names, so that screenshots look as the pages do there.
const DEBIAN_PACKAGES: [&str; 5] =
    ["chromium", HEADLESS_SHELL, "chromium-driver", "fonts-crosextra-carlito", "fonts-urw-base35"];

pub struct Browser {
    /// The other Chromium where it isn't installed.
    headless_shell: PathBuf,
    chromium: PathBuf,
    chromedriver: PathBuf,
    axe: PathBuf,
}

impl Browser {
    /// Installs what is missing where it can: as root, on Debian. Elsewhere the error explains how to install it.
    pub async fn find(path: &OsStr, report: &Report) -> Result<Self> {
        let axe = Wheel::pinned(AXE)?.file("axe.min.js", report).await?;
        let can_install = is_root() && is_debian() && on_path(path, "apt-get").is_some();
        let shell = || on_path(path, HEADLESS_SHELL);
        if can_install && (shell().is_none() || installed(path).is_none()) {
            let outcome = install(report).await;
            // Without a network, the tests do without the shell.
            if installed(path).is_none() {
                outcome?;
            }
        }
        let (chromium, chromedriver) = installed(path).context(MISSING)?;
        let headless_shell = shell().unwrap_or_else(|| chromium.clone());
        Ok(Self { headless_shell, chromium, chromedriver, axe })
    }

    /// The environment variables that the tests read.
    pub fn variables(&self) -> [(&'static str, &Path); 4] {
        [
            ("TEST_HEADLESS_SHELL", &self.headless_shell),
            ("TEST_CHROMIUM", &self.chromium),
            ("TEST_CHROMEDRIVER", &self.chromedriver),
            ("TEST_AXE", &self.axe),
        ]
    }
}

const MISSING: &str = "the browser tests need Chromium and its WebDriver on the PATH (on Debian: sudo apt-get install chromium chromium-headless-shell chromium-driver); \
                       `cargo xtask test -- -p system-tests --test it` runs the others";

fn installed(path: &OsStr) -> Option<(PathBuf, PathBuf)> {
    let chromium = CHROMIUM.iter().find_map(|name| on_path(path, name))?;
    Some((chromium, on_path(path, CHROMEDRIVER)?))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Ubuntu's packages of these names only install a Snap.
fn is_debian() -> bool {
    let about = fs::read_to_string("/etc/os-release").unwrap_or_default();
    about.lines().any(|line| line == "ID=debian")
}

async fn install(report: &Report) -> Result<()> {
    report.log(&format!(
        "Installing {} for the browser tests, by apt-get",
        DEBIAN_PACKAGES.join(", ")
    ));
    // A fresh machine has no package lists yet. Old ones may be good enough, so a failure is ignored.
    _ = apt_get(&["update".into()]).await;
    let mut args: Vec<OsString> =
        vec!["install".into(), "--yes".into(), "--no-install-recommends".into()];
    args.extend(DEBIAN_PACKAGES.map(OsString::from));
    apt_get(&args).await
}

async fn apt_get(args: &[OsString]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(["--quiet", "--quiet", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .kill_on_drop(true)
        .status()
        .await
        .context("running apt-get")?;
    ensure!(status.success(), "apt-get has failed; its own message is above");
    Ok(())
}
