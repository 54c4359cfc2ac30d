//! Passwords: argon2id on blocking threads, with bounded concurrency.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use argon2::password_hash::SaltString;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

/// The cost of one hash (OWASP's first recommendation for argon2id): 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes and verifies passwords. A hundred concurrent sign-ins would need 1.9 GiB, so they wait for a permit.
#[derive(Clone)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    /// The hash of a random password, verified in place of an unknown user's.
    dummy_hash: Arc<str>,
}

impl Passwords {
    pub async fn start() -> anyhow::Result<Self> {
        let concurrency = std::thread::available_parallelism().map_or(2, usize::from);
        let mut passwords =
            Passwords { permits: Arc::new(Semaphore::new(concurrency)), dummy_hash: Arc::from("") };
        let unknown = rand::random::<[u8; 32]>().map(|byte| format!("{byte:02x}")).concat();
        passwords.dummy_hash = passwords.hash(unknown).await?.into();
        Ok(passwords)
    }

    /// The hash to be stored, in the PHC string format.
    pub async fn hash(&self, password: String) -> anyhow::Result<String> {
        self.run_blocking(move || {
            let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>())
                .map_err(|error| anyhow!("could not create a salt: {error}"))?;
            let hash = argon2id()?.hash_password(password.as_bytes(), &salt);
            Ok(hash.map_err(|error| anyhow!("could not hash a password: {error}"))?.to_string())
        })
        .await
    }

    /// Whether the hash is of this password; false without a hash. That takes equally long: the response time must not
    /// disclose whether the user exists.
    pub async fn verify(&self, password: String, hash: Option<&str>) -> anyhow::Result<bool> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy_hash).to_owned();
        self.run_blocking(move || {
            let hash = PasswordHash::new(&hash)
                .map_err(|error| anyhow!("a stored password hash is malformed: {error}"))?;
            let is_correct = argon2id()?.verify_password(password.as_bytes(), &hash).is_ok();
            Ok(is_correct && known)
        })
        .await
    }

    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let _permit = self.permits.acquire().await.context("the semaphore is closed")?;
        tokio::task::spawn_blocking(work).await.context("the blocking task failed")?
    }
}

fn argon2id() -> anyhow::Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| anyhow!("invalid argon2 parameters: {error}"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_only_its_own_hash() {
        let passwords = Passwords::start().await.unwrap();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse".to_owned(), Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct hors".to_owned(), Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct horse".to_owned(), None).await.unwrap());
        assert_ne!(hash, passwords.hash("correct horse".to_owned()).await.unwrap());
    }
}
