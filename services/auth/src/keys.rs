//! `auth generate-keys` and `auth rotate-keys`: the pair of keys that session tokens are signed and verified with, the key of the
//! links that users are mailed, and that of the codes that open doors, which auth itself doesn't use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::key_files::{Existing, PRIVATE, PUBLIC, create_private, public_half, write};

pub mod rotation;

/// Creates private.pem and public.pem, an Ed25519 pair that signs sessions, admissions.pem, which signs the codes that open doors,
/// and links.key, the key of the links that users are mailed. Existing files stay as they are.
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
    let links = out.join("links.key");
    if !links.try_exists()? {
        write(
            &links,
            account_links::generate(rand::random()).as_bytes(),
            PRIVATE,
            Existing::Stays,
        )?;
    }
    if !public.try_exists()? {
        write(&public, public_half(&private)?.as_bytes(), PUBLIC, Existing::Stays)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use ed25519_dalek::SigningKey;
    use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
    use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePublicKey};

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
        assert_eq!(fs::read_dir(&out).unwrap().count(), 4);
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
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
