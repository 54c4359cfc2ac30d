//! Running cargo, with its own progress on the terminal.

use std::ffi::OsString;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{environment::Environment, root};

/// What `cargo run` sets for this program's own package. Build scripts (ring's) depend on some of them, so half of the dependencies
/// would be recompiled whenever a `cargo check` in a terminal and a build from here take turns.
const PACKAGE_VARIABLES: [&str; 16] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_AUTHORS",
    "CARGO_PKG_DESCRIPTION",
    "CARGO_PKG_HOMEPAGE",
    "CARGO_PKG_LICENSE",
    "CARGO_PKG_LICENSE_FILE",
    "CARGO_PKG_NAME",
    "CARGO_PKG_README",
    "CARGO_PKG_REPOSITORY",
    "CARGO_PKG_RUST_VERSION",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// A cargo process, killed when it is dropped.
pub fn command(environment: &Environment, args: &[OsString]) -> Command {
    let mut command = Command::new(&environment.cargo);
    command.args(args).current_dir(root::workspace()).kill_on_drop(true);
    for name in PACKAGE_VARIABLES {
        command.env_remove(name);
    }
    command
}

/// Builds the programs of the whole workspace. cargo unifies the features of dependencies over the selected packages, so that
/// selecting fewer would compile the dependencies a second time. So would the tests, but for `--examples`: there are none, but
/// selecting them unifies the features with those that tests need. A release has the features of an image's programs.
pub async fn build_programs(environment: &Environment, release: bool) -> Result<()> {
    let flag = if release { "--release" } else { "--examples" };
    let args = ["build", "--workspace", "--bins", flag].map(OsString::from);
    let status = command(environment, &args).status().await.context("running cargo")?;
    anyhow::ensure!(status.success(), "the build failed; cargo's message is above");
    Ok(())
}
