//! Passwords: argon2id, off the runtime's threads, and only so many at once.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use argon2::password_hash::SaltString;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

/// What one hash takes (OWASP's first recommendation for argon2id): 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes and checks passwords. A hundred sign-ins at once would take 1.9 GiB, so they queue up.
#[derive(Clone)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    /// The hash of a password that nobody knows.
    nobodys: Arc<str>,
}

impl Passwords {
    pub async fn start() -> anyhow::Result<Self> {
        let at_once = std::thread::available_parallelism().map_or(2, usize::from);
        let mut passwords =
            Passwords { permits: Arc::new(Semaphore::new(at_once)), nobodys: Arc::from("") };
        let unknown = rand::random::<[u8; 32]>().map(|byte| format!("{byte:02x}")).concat();
        passwords.nobodys = passwords.hash(unknown).await?.into();
        Ok(passwords)
    }

    /// The hash to be stored, in the PHC string format.
    pub async fn hash(&self, password: String) -> anyhow::Result<String> {
        self.work(move || {
            let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>())
                .map_err(|error| anyhow!("making a salt: {error}"))?;
            let hash = argon2id()?.hash_password(password.as_bytes(), &salt);
            Ok(hash.map_err(|error| anyhow!("hashing a password: {error}"))?.to_string())
        })
        .await
    }

    /// Whether it is the password of that hash. Without a hash it isn't, which takes just as long: how
    /// long it took must not tell whether there is such a user.
    pub async fn verify(&self, password: String, hash: Option<&str>) -> anyhow::Result<bool> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.nobodys).to_owned();
        self.work(move || {
            let hash = PasswordHash::new(&hash)
                .map_err(|error| anyhow!("a stored password hash can't be read: {error}"))?;
            let fits = argon2id()?.verify_password(password.as_bytes(), &hash).is_ok();
            Ok(fits && known)
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let _permit = self.permits.acquire().await.context("no more passwords are taken")?;
        tokio::task::spawn_blocking(work).await.context("working on a password")?
    }
}

fn argon2id() -> anyhow::Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| anyhow!("argon2's parameters: {error}"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let passwords = Passwords::start().await.unwrap();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse".to_owned(), Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct hors".to_owned(), Some(&hash)).await.unwrap());
        assert!(!passwords.verify("correct horse".to_owned(), None).await.unwrap());
        assert_ne!(hash, passwords.hash("correct horse".to_owned()).await.unwrap());
    }
}
