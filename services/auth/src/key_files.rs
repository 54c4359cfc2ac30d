//! The files of the keys that sign and verify session tokens.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, anyhow};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use tempfile::NamedTempFile;

/// A new private key, unless another process has created one meanwhile.
pub fn create_private(path: &Path) -> anyhow::Result<()> {
    let key = SigningKey::from_bytes(&rand::random());
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| anyhow!(error))?;
    write(path, pem.as_bytes(), PRIVATE, Existing::Stays)
}

/// The public key that belongs to a file's private one, as PEM.
pub fn public_half(private: &Path) -> anyhow::Result<String> {
    let pem = read(private)?;
    let key = SigningKey::from_pkcs8_pem(&pem)
        .map_err(|error| anyhow!("{}: {error}", private.display()))?;
    key.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|error| anyhow!(error))
}

pub fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))
}

/// The permissions of a private and of a public key.
pub const PRIVATE: u32 = 0o600;
pub const PUBLIC: u32 = 0o644;

/// What becomes of a file that exists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    Stays,
    IsReplaced,
}

/// Writes the file atomically.
pub fn write(path: &Path, text: &[u8], mode: u32, existing: Existing) -> anyhow::Result<()> {
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
