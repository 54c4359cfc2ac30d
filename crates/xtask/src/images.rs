//! `cargo xtask images`: builds every service's image from the Dockerfile, runs the whole from them, and tries each.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::process::Command;

use crate::{
    down, ports,
    root::{self, Root},
    services::{self, STRIPE_DOUBLE},
    stop::Stop,
    trial::{self, Tried},
    up::INTERRUPTED,
};

#[derive(Args)]
#[command(after_help = "\
Needs Docker on this machine, and root: what the kernel says about a container is only told to root.
Where no registry of images can be reached, infra/images/bases makes stand-ins of the base images.")]
pub struct Options {
    /// Take the images as they were built
    #[arg(long)]
    no_build: bool,
    /// Handed on to `docker build`, such as `-- --build-arg RUST_IMAGE=…`
    #[arg(last = true, value_name = "ARGUMENTS")]
    build: Vec<OsString>,
}

/// What is built from the Dockerfile.
pub struct Image {
    /// Of its folder and its binary.
    pub program: String,
    folder: String,
    /// What `up` calls its process.
    pub process: String,
}

impl Image {
    pub fn tag(&self) -> String {
        format!("ticketing/{}", self.program)
    }

    /// What infra/images/run calls it.
    pub fn container(&self) -> String {
        format!("ticketing-{}", self.program)
    }
}

pub async fn run(options: Options) -> Result<ExitCode> {
    let mut stop = Stop::listen()?;
    let images = images()?;
    let root = Root::open(None, ".dev/images")?;
    let tried = tokio::select! {
        tried = build_and_try(&options, &images, &root) => tried,
        () = stop.requested() => {
            down::run(down::Options { root: Some(root.dir().to_owned()) }).await?;
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    // Also what has gone wrong in the middle is stopped.
    down::run(down::Options { root: Some(root.dir().to_owned()) }).await?;
    let tried = tried?;
    println!("\n{}", table(&tried));
    Ok(if tried.len() == images.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn images() -> Result<Vec<Image>> {
    let service = |name: String| Image {
        folder: format!("services/{name}"),
        process: name.clone(),
        program: name,
    };
    let mut images: Vec<Image> = services::names()?.into_iter().map(service).collect();
    images.push(Image {
        program: STRIPE_DOUBLE.to_owned(),
        folder: format!("crates/{STRIPE_DOUBLE}"),
        process: "stripe".to_owned(),
    });
    Ok(images)
}

async fn build_and_try(options: &Options, images: &[Image], root: &Root) -> Result<Vec<Tried>> {
    if !options.no_build {
        for image in images {
            let begun = Instant::now();
            build(image, &options.build).await?;
            println!("{} was built in {:.1} s", image.tag(), begun.elapsed().as_secs_f64());
        }
    }
    up(images, root).await?;
    let mut tried = Vec::new();
    for image in images {
        let (port, ready) = ports::of_process(&root.run(), &image.process)
            .with_context(|| format!("{} has no port", image.process))?;
        // One that fails keeps the others from nothing.
        match trial::of(image, root, port, ready).await {
            Ok(this) => tried.push(this),
            Err(error) => eprintln!("error: {}: {error:#}", image.tag()),
        }
    }
    Ok(tried)
}

async fn build(image: &Image, arguments: &[OsString]) -> Result<()> {
    let status = Command::new("docker")
        .env("DOCKER_BUILDKIT", "1")
        .args(["build", "--tag", &image.tag()])
        .args(["--build-arg", &format!("SERVICE={}", image.program)])
        .args(["--build-arg", &format!("FOLDER={}", image.folder)])
        .args(arguments)
        .arg(root::workspace())
        .kill_on_drop(true)
        .status()
        .await
        .context("running docker")?;
    ensure!(status.success(), "{} was not built", image.tag());
    Ok(())
}

/// `cargo xtask up`, with a container in the place of each program.
async fn up(images: &[Image], root: &Root) -> Result<()> {
    let programs = root.dir().join("bin");
    fs::create_dir_all(&programs)?;
    for image in images {
        let link = programs.join(&image.program);
        // There is one from the last time.
        _ = fs::remove_file(&link);
        symlink(root::workspace().join("infra/images/run"), link)?;
    }
    // Written by the containers' own user.
    for folder in [root.keys(), root.data_of("stripe")?] {
        open_to_all(&folder)?;
    }
    let status = Command::new("/proc/self/exe")
        .args(["up", "--detach", "--no-build", "--port", "0", "--root"])
        .arg(root.dir())
        .arg("--bin-dir")
        .arg(&programs)
        .env_remove("STRIPE_KEY")
        .stdin(Stdio::null())
        .status()
        .await
        .context("running `up`")?;
    ensure!(status.success(), "the images don't make a running system");
    Ok(())
}

fn open_to_all(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777))
        .with_context(|| format!("opening {} to all", folder.display()))
}

fn table(tried: &[Tried]) -> String {
    let head =
        "image                      program  image    ready   stopped  answered  after SIGTERM"
            .to_owned();
    let line = |tried: &Tried| {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        format!(
            "{:<25} {:5.1} MB {:5.1} MB {:5.1} s  {:5.2} s  {:>8}  {:>13}",
            tried.tag,
            megabytes(tried.program),
            megabytes(tried.image),
            tried.ready.as_secs_f64(),
            tried.stopped.as_secs_f64(),
            tried.load.answered,
            tried.load.answered_late,
        )
    };
    let lines: Vec<String> = [head].into_iter().chain(tried.iter().map(line)).collect();
    lines.join("\n")
}
