//! `auth generate-keys`: the pair of keys that session tokens are signed and verified with, the key of the links that users are
//! mailed, and that of the codes that open doors, which auth itself doesn't use.

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

/// Creates private.pem and public.pem, an Ed25519 pair that signs sessions, admissions.pem, which signs the codes that open doors,
/// and links.key, the key of the links that users are mailed. Existing files stay as they are.
#[derive(Parser)]
#[command(name = "auth generate-keys")]
struct GenerateKeys {
    /// The folder to create them in
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// The command `auth generate-keys …`.
pub fn main() -> ExitCode {
    let GenerateKeys { out } = GenerateKeys::parse_from(std::env::args_os().skip(1));
    match generate(&out) {
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
            let key = SigningKey::from_bytes(&rand::random());
            let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| anyhow!(error))?;
            create(file, pem.as_bytes(), 0o600)?;
        }
    }
    let links = out.join("links.key");
    if !links.try_exists()? {
        create(&links, account_links::generate(rand::random()).as_bytes(), 0o600)?;
    }
    if !public.try_exists()? {
        let pem = fs::read_to_string(&private)
            .with_context(|| format!("could not read {}", private.display()))?;
        let key = SigningKey::from_pkcs8_pem(&pem)
            .map_err(|error| anyhow!("{}: {error}", private.display()))?;
        let pem = key.verifying_key().to_public_key_pem(LineEnding::LF);
        create(&public, pem.map_err(|error| anyhow!(error))?.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Creates the file atomically; one that another process has created meanwhile stays as it is.
fn create(path: &Path, text: &[u8], mode: u32) -> anyhow::Result<()> {
    let attempt = || -> anyhow::Result<()> {
        let folder = path.parent().context("the path has no folder")?;
        // A temporary file is readable by its owner only, from the beginning.
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(text)?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
            result => drop(result?),
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
