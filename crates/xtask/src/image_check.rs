//! Checks one image: the user and the privileges of its container, and that it shuts down without dropping a request.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use crate::{
    elf,
    image::Image,
    load::{Load, Outcome},
    probe::Probe,
    root::Root,
    routes,
    services::{MAIL_DOUBLE, STRIPE_DOUBLE},
};

/// The limit for a binary, in bytes.
const MAX_SIZE: u64 = 20_000_000;
/// The services' limit for a graceful shutdown.
const GRACE: Duration = Duration::from_secs(20);
/// The user of the image.
const NONROOT: &str = "65532";

pub struct Checked {
    pub tag: String,
    /// The size of the program, and of the whole image, in bytes.
    pub program: u64,
    pub image: u64,
    /// From SIGTERM to the container's exit.
    pub stopped: Duration,
    /// From then on until a new container was ready.
    pub ready: Duration,
    pub load: Outcome,
}

/// Checks the image's running container, which listens on the port.
pub async fn check(image: &Image, root: &Root, port: u16, ready: Probe) -> Result<Checked> {
    let pid = pid_of(image).await?;
    let process = Path::new("/proc").join(pid.to_string());
    is_confined(&process)?;
    has_no_shell_and_has_ca_certificates(&process.join("root"))?;
    let program = is_small_and_auditable(&process.join("exe"))?;

    let hold = root.run().join(format!("{}.hold", image.process));
    fs::write(&hold, "")?;
    let outcome = stop_under_load(image, pid, port).await;
    fs::remove_file(&hold)?;
    let (stopped, load) = outcome?;

    let begun = Instant::now();
    while let Err(why) = ready.check().await {
        ensure!(begun.elapsed() < GRACE, "it doesn't restart: {why}");
        sleep(Duration::from_millis(20)).await;
    }
    let ready = begun.elapsed();
    let image_size = docker(&["image", "inspect", "--format", "{{.Size}}", &image.tag()]).await?;
    Ok(Checked { tag: image.tag(), program, image: image_size.parse()?, stopped, ready, load })
}

async fn pid_of(image: &Image) -> Result<Pid> {
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &image.container()]).await?;
    Ok(Pid::from_raw(pid.parse()?))
}

async fn docker(arguments: &[&str]) -> Result<String> {
    let output = Command::new("docker").args(arguments).output().await.context("running docker")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "docker {}: {}", arguments.join(" "), stderr.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// According to the kernel: neither root nor able to become root, no capabilities, system calls filtered, a read-only root file
/// system.
fn is_confined(process: &Path) -> Result<()> {
    let status = fs::read_to_string(process.join("status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|values| values.split_whitespace().collect::<Vec<_>>()).unwrap_or_default()
    };
    for ids in ["Uid:", "Gid:"] {
        ensure!(field(ids) == [NONROOT; 4], "{ids} {:?}", field(ids));
    }
    for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        ensure!(
            field(capabilities) == ["0000000000000000"],
            "{capabilities} {:?}",
            field(capabilities)
        );
    }
    ensure!(field("NoNewPrivs:") == ["1"], "it can gain privileges");
    ensure!(field("Seccomp:") == ["2"], "its system calls aren't filtered");

    let mounts = fs::read_to_string(process.join("mountinfo"))?;
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    // The fifth field is where, the sixth how.
    let root = mounts.find(|mount| mount[4] == "/").context("no root is mounted")?;
    ensure!(
        root[5].split(',').any(|option| option == "ro"),
        "its root file system is writable: {}",
        root[5]
    );
    Ok(())
}

fn has_no_shell_and_has_ca_certificates(files: &Path) -> Result<()> {
    for folder in ["bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin"] {
        for shell in ["sh", "bash", "dash", "ash", "busybox"] {
            let shell = files.join(folder).join(shell);
            ensure!(!shell.exists(), "there is a shell: {}", shell.display());
        }
    }
    let certificates = fs::read_to_string(files.join("etc/ssl/certs/ca-certificates.crt"))
        .context("the CA certificates")?;
    ensure!(certificates.contains("BEGIN CERTIFICATE"), "there are no CA certificates");
    Ok(())
}

fn is_small_and_auditable(program: &Path) -> Result<u64> {
    let bytes = fs::read(program)?;
    let size = u64::try_from(bytes.len())?;
    ensure!(size < MAX_SIZE, "the program has {size} bytes");
    let sections = elf::sections(&bytes).context("the program is no ELF file")?;
    ensure!(!sections.contains(&".symtab"), "the program isn't stripped");
    // Written by cargo auditable.
    ensure!(sections.contains(&".dep-v0"), "the program has no list of its dependencies");
    Ok(size)
}

async fn stop_under_load(image: &Image, pid: Pid, port: u16) -> Result<(Duration, Outcome)> {
    let end = Command::new("docker")
        .args(["wait", &image.container()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let load = path_of(&image.program)?.map(|path| Load::on(port, &path));
    sleep(Duration::from_secs(2)).await;
    load.iter().for_each(Load::stopping);
    let signalled = Instant::now();
    // As `docker stop` and a cluster do.
    kill(pid, Signal::SIGTERM)?;
    let end = timeout(GRACE, end.wait_with_output()).await.context("it doesn't stop")??;
    let stopped = signalled.elapsed();
    let code = String::from_utf8_lossy(&end.stdout).trim().to_owned();
    ensure!(code == "0", "it exited with {code:?}");
    let Some(load) = load else { return Ok((stopped, Outcome::default())) };
    // It is on hold, so nothing listens there any more.
    sleep(Duration::from_millis(500)).await;
    let outcome = load.end().await;
    let Outcome { completed, refused, dropped, .. } = &outcome;
    ensure!(
        dropped.is_empty(),
        "{} requests were dropped ({}), {completed} completed",
        dropped.len(),
        dropped[0]
    );
    ensure!(
        *completed > 0 && *refused > 0,
        "{completed} requests were completed, {refused} refused"
    );
    Ok((stopped, outcome))
}

/// A path of the service, for requests without a session. None for the doubles: the services retry what they send to them.
fn path_of(program: &str) -> Result<Option<String>> {
    if [STRIPE_DOUBLE, MAIL_DOUBLE].contains(&program) {
        return Ok(None);
    }
    let route = routes::read()?.into_iter().find(|route| route.service == program);
    Ok(Some(route.map_or_else(|| "/".to_owned(), |route| route.path)))
}
