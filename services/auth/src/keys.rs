//! `auth generate-keys` and `auth rotate-keys`: the pair of keys that session tokens are signed and verified with, and the key of the codes that open
//! doors, which auth itself doesn't use.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use tempfile::NamedTempFile;

pub mod rotation;

/// Creates private.pem and public.pem, an Ed25519 pair that signs sessions, and admissions.pem, which signs the codes that open
/// doors. Existing files stay as they are.
#[derive(Parser)]
#[command(name = "auth generate-keys")]
struct GenerateKeys {
    /// The folder to create them in
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A command that needs no settings: it creates the files that they name. None: it is another one.
pub fn main(command: &str) -> Option<ExitCode> {
    let args = std::env::args_os().skip(1);
    Some(match command {
        "generate-keys" => exit(generate(&GenerateKeys::parse_from(args).out)),
        "rotate-keys" => exit(rotation::run(rotation::RotateKeys::parse_from(args))),
        _ => return None,
    })
}

fn exit(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The public key is computed from the private one on disk, so the two match even after a crash in between or with two
/// concurrent runs.
pub fn generate(out: &Path) -> anyhow::Result<()> {
    let (private, public) = (out.join("private.pem"), out.join("public.pem"));
    fs::create_dir_all(out).with_context(|| format!("could not create {}", out.display()))?;
    for file in [&private, &out.join("admissions.pem")] {
        if !file.try_exists()? {
            create_private(file)?;
        }
    }
    if !public.try_exists()? {
        write(&public, public_half(&private)?.as_bytes(), PUBLIC, Existing::Stays)?;
    }
    Ok(())
}

/// A new private key, unless another process has created one meanwhile.
fn create_private(path: &Path) -> anyhow::Result<()> {
    let key = SigningKey::from_bytes(&rand::random());
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| anyhow!(error))?;
    write(path, pem.as_bytes(), PRIVATE, Existing::Stays)
}

/// The public key that belongs to a file's private one, as PEM.
fn public_half(private: &Path) -> anyhow::Result<String> {
    let pem = read(private)?;
    let key = SigningKey::from_pkcs8_pem(&pem)
        .map_err(|error| anyhow!("{}: {error}", private.display()))?;
    key.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|error| anyhow!(error))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))
}

/// The permissions of a private and of a public key.
const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// What becomes of a file that exists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Stays,
    IsReplaced,
}

/// Writes the file atomically.
fn write(path: &Path, text: &[u8], mode: u32, existing: Existing) -> anyhow::Result<()> {
    let attempt = || -> anyhow::Result<()> {
        let folder = path.parent().context("the path has no folder")?;
        // A temporary file is readable by its owner only, from the beginning.
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(text)?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        match existing {
            Existing::IsReplaced => drop(file.persist(path)?),
            Existing::Stays => match file.persist_noclobber(path) {
                Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
                result => drop(result?),
            },
        }
        Ok(File::open(folder)?.sync_all()?)
    };
    attempt().with_context(|| format!("could not write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_created_once_and_only_its_owner_can_read_the_private_key() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("keys");
        generate(&out).unwrap();
        let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
        let first = (read("private.pem"), read("public.pem"));
        assert!(first.0.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(first.1.starts_with("-----BEGIN PUBLIC KEY-----"));
        let mode = fs::metadata(out.join("private.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        generate(&out).unwrap();
        assert_eq!((read("private.pem"), read("public.pem")), first);
        assert_ne!(read("admissions.pem"), first.0);
        assert_eq!(fs::read_dir(&out).unwrap().count(), 3);
    }

    #[test]
    fn an_interrupted_run_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        generate(folder.path()).unwrap();
        let public = folder.path().join("public.pem");
        let first = fs::read(&public).unwrap();
        fs::remove_file(&public).unwrap();
        generate(folder.path()).unwrap();
        assert_eq!(fs::read(&public).unwrap(), first);
    }

    #[test]
    fn concurrent_runs_create_one_pair() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| generate(folder.path()).unwrap());
            }
        });
        let private = fs::read_to_string(folder.path().join("private.pem")).unwrap();
        let public = fs::read_to_string(folder.path().join("public.pem")).unwrap();
        let key = SigningKey::from_pkcs8_pem(&private).unwrap().verifying_key();
        assert_eq!(key.to_public_key_pem(LineEnding::LF).unwrap(), public);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
