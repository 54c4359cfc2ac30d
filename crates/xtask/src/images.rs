//! `cargo xtask images`: builds every service's image from the Dockerfile, runs the system from them, and checks each.

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
    down,
    image::Image,
    image_check::{self, Checked},
    ports,
    root::{self, Root},
    services::{self, MAIL_DOUBLE, STRIPE_DOUBLE},
    stop::{INTERRUPTED, Stop},
};

#[derive(Args)]
#[command(after_help = "\
Needs Docker on this machine, and root, to read a container's state from /proc.
Without access to a registry of images, infra/images/bases makes stand-ins of the base images.")]
pub struct Options {
    /// Use the images as they were last built
    #[arg(long)]
    no_build: bool,
    /// Passed on to `docker build`, such as `-- --build-arg RUST_IMAGE=…`
    #[arg(last = true, value_name = "ARGUMENTS")]
    build: Vec<OsString>,
}

pub async fn run(options: Options) -> Result<ExitCode> {
    let mut stop = Stop::listen()?;
    let images = images()?;
    let root = Root::open(None, ".dev/images")?;
    let checked = tokio::select! {
        checked = build_and_check(&options, &images, &root) => checked,
        () = stop.requested() => {
            down::run(down::Options { root: Some(root.dir().to_owned()) }).await?;
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    // After a failure too.
    down::run(down::Options { root: Some(root.dir().to_owned()) }).await?;
    let checked = checked?;
    println!("\n{}", table(&checked));
    Ok(if checked.len() == images.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn images() -> Result<Vec<Image>> {
    let service = |name: String| Image {
        folder: format!("services/{name}"),
        process: name.clone(),
        program: name,
    };
    let mut images: Vec<Image> = services::names()?.into_iter().map(service).collect();
    images.extend([(STRIPE_DOUBLE, "stripe"), (MAIL_DOUBLE, "mail")].map(|(program, process)| {
        Image {
            program: program.to_owned(),
            folder: format!("crates/{program}"),
            process: process.to_owned(),
        }
    }));
    Ok(images)
}

async fn build_and_check(options: &Options, images: &[Image], root: &Root) -> Result<Vec<Checked>> {
    if !options.no_build {
        for image in images {
            let begun = Instant::now();
            build(image, &options.build).await?;
            println!("{} was built in {:.1} s", image.tag(), begun.elapsed().as_secs_f64());
        }
    }
    up(images, root).await?;
    let mut checked = Vec::new();
    for image in images {
        let (port, ready) = ports::of_process(&root.run(), &image.process)
            .with_context(|| format!("{} has no port", image.process))?;
        // The others are checked after a failure too.
        match image_check::check(image, root, port, ready).await {
            Ok(this) => checked.push(this),
            Err(error) => eprintln!("error: {}: {error:#}", image.tag()),
        }
    }
    Ok(checked)
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
        // Of the previous run.
        _ = fs::remove_file(&link);
        symlink(root::workspace().join("infra/images/run"), link)?;
    }
    // The containers' user writes to them.
    for folder in [root.keys(), root.data_of("stripe")?, root.data_of("mail")?] {
        make_writable(&folder)?;
    }
    let status = Command::new("/proc/self/exe")
        .args(["up", "--detach", "--no-build", "--port", "0", "--root"])
        .arg(root.dir())
        .arg("--bin-dir")
        .arg(&programs)
        .env_remove("STRIPE_KEY")
        .env_remove("SMTP_URL")
        .env_remove("SENDGRID_API_KEY")
        .stdin(Stdio::null())
        .status()
        .await
        .context("running `up`")?;
    ensure!(status.success(), "the system doesn't start from the images");
    Ok(())
}

fn make_writable(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777))
        .with_context(|| format!("making {} writable for everyone", folder.display()))
}

fn table(checked: &[Checked]) -> String {
    let head =
        "image                      program  image    ready   stopped  responses  after SIGTERM"
            .to_owned();
    let line = |checked: &Checked| {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        format!(
            "{:<25} {:5.1} MB {:5.1} MB {:5.1} s  {:5.2} s  {:>9}  {:>13}",
            checked.tag,
            megabytes(checked.program),
            megabytes(checked.image),
            checked.ready.as_secs_f64(),
            checked.stopped.as_secs_f64(),
            checked.load.completed,
            checked.load.completed_late,
        )
    };
    let lines: Vec<String> = [head].into_iter().chain(checked.iter().map(line)).collect();
    lines.join("\n")
}
