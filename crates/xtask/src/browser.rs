//! What the browser tests need: Debian's Chromium with its WebDriver, and axe-core out of a pinned wheel.

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

/// The names that Chromium goes by.
const CHROMIUM: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const CHROMEDRIVER: [&str; 1] = ["chromedriver"];
/// The fonts stand in for those of Windows that the pages ask for, so that pictures look as the pages do there.
const DEBIAN_PACKAGES: [&str; 4] =
    ["chromium", "chromium-driver", "fonts-crosextra-carlito", "fonts-urw-base35"];

pub struct Browser {
    chromium: PathBuf,
    chromedriver: PathBuf,
    axe: PathBuf,
}

impl Browser {
    /// Installs what is missing where it may: as root, on Debian. Elsewhere it says how to.
    pub async fn find(path: &OsStr, report: &Report) -> Result<Self> {
        let axe = Wheel::pinned(AXE)?.file("axe.min.js", report).await?;
        let (chromium, chromedriver) = match installed(path) {
            Some(both) => both,
            None => {
                let can_install = is_root() && is_debian() && on_path(path, "apt-get").is_some();
                ensure!(can_install, "{MISSING}");
                install(report).await?;
                installed(path).context(MISSING)?
            }
        };
        Ok(Self { chromium, chromedriver, axe })
    }

    /// How the tests are told.
    pub fn variables(&self) -> [(&'static str, &Path); 3] {
        [
            ("TEST_CHROMIUM", &self.chromium),
            ("TEST_CHROMEDRIVER", &self.chromedriver),
            ("TEST_AXE", &self.axe),
        ]
    }
}

const MISSING: &str = "the browser tests need Chromium and its WebDriver on the PATH (on Debian: sudo apt-get install chromium chromium-driver); \
                       `cargo xtask test -- --test it` runs the others";

fn installed(path: &OsStr) -> Option<(PathBuf, PathBuf)> {
    let find = |names: &[&str]| names.iter().find_map(|name| on_path(path, name));
    Some((find(&CHROMIUM)?, find(&CHROMEDRIVER)?))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Ubuntu's packages of these names only lead to the Snap store.
fn is_debian() -> bool {
    let about = fs::read_to_string("/etc/os-release").unwrap_or_default();
    about.lines().any(|line| line == "ID=debian")
}

async fn install(report: &Report) -> Result<()> {
    report.say(&format!(
        "Installing {} for the browser tests, by apt-get",
        DEBIAN_PACKAGES.join(", ")
    ));
    // A machine that has never asked has no lists yet. Old ones may do, so that this may fail.
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

/// Whether `cargo test` with these options runs the browser tests: the target `browser` of the package system-tests.
pub fn is_needed_by(options: &[OsString]) -> bool {
    let options: Vec<_> = options.iter().map(|option| option.to_string_lossy()).collect();
    let words: Vec<&str> = options.iter().flat_map(|option| option.split('=')).collect();
    let named = |flags: &[&str]| -> Vec<&str> {
        words.windows(2).filter(|pair| flags.contains(&pair[0])).map(|pair| pair[1]).collect()
    };
    let (packages, targets) = (named(&["-p", "--package"]), named(&["--test"]));
    let others = ["--lib", "--bin", "--bins", "--doc", "--bench", "--benches"];
    let is_of_package = packages.is_empty() || packages.contains(&"system-tests");
    let is_of_other_targets = words.iter().any(|word| others.contains(word));
    is_of_package && (targets.contains(&"browser") || targets.is_empty() && !is_of_other_targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_needed(options: &str) -> bool {
        is_needed_by(&options.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_browser_is_needed_unless_the_tests_were_narrowed_to_others() {
        for options in [
            "",
            "reserving",
            "--release",
            "--test browser",
            "--test=browser live",
            "-p system-tests",
            "--test it --test browser",
        ] {
            assert!(is_needed(options), "{options}");
        }
        for options in [
            "-p orders",
            "--package=orders",
            "--test it",
            "-p system-tests --bench hold_to_reserved",
            "--lib",
            "-p common --test browser",
        ] {
            assert!(!is_needed(options), "{options}");
        }
    }
}
