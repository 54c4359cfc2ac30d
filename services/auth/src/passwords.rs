//! Passwords: argon2id on a fixed set of threads, behind a bounded queue.
//!
//! A hash takes 19 MiB and 30 ms of a processor. Each worker owns its memory and reuses it: memory that is allocated per
//! hash, on whichever thread, stays with the allocator's arena of that thread. What no worker can begin in time is refused.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use argon2::password_hash::{Output, ParamsString, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use httpkit::{Caller, Error, Result};
use tokio::sync::{mpsc, oneshot};

/// The cost of one hash (OWASP's first recommendation for argon2id): 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How many passwords are hashed at once.
const WORKERS: usize = 2;
/// How many wait for a worker: no more than can be done within the time limit.
const QUEUE: usize = 128;
/// How long a request waits for its hash. Shorter than a request's time limit.
const TIMEOUT: Duration = Duration::from_secs(4);

type Job = Box<dyn FnOnce(&mut Hasher) + Send>;

/// Hashes and verifies passwords.
#[derive(Clone)]
pub struct Passwords {
    queue: mpsc::Sender<Job>,
    /// The hash of a random password, verified in place of an unknown user's.
    dummy_hash: Arc<str>,
}

impl Passwords {
    pub async fn start() -> anyhow::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..WORKERS {
            let (jobs, mut hasher) = (Arc::clone(&jobs), Hasher::new()?);
            let name = format!("password-worker-{number}");
            let worker = move || {
                while let Some(job) = next(&jobs) {
                    if catch_unwind(AssertUnwindSafe(|| job(&mut hasher))).is_err() {
                        tracing::error!("password worker panicked");
                    }
                }
            };
            thread::Builder::new().name(name).spawn(worker)?;
        }
        let mut passwords = Passwords { queue, dummy_hash: Arc::from("") };
        let unknown = rand::random::<[u8; 32]>().map(|byte| format!("{byte:02x}")).concat();
        let hash = passwords.hash(&Caller::default(), unknown).await;
        passwords.dummy_hash = hash.context("could not hash a password")?.into();
        Ok(passwords)
    }

    /// The hash to be stored, in the PHC string format.
    pub async fn hash(&self, caller: &Caller, password: String) -> Result<String> {
        self.run(caller, move |hasher| hasher.hash(&password)).await
    }

    /// Whether the hash is of this password; false without a hash. That takes equally long: the response time must not
    /// disclose whether the user exists.
    pub async fn verify(
        &self,
        caller: &Caller,
        password: String,
        hash: Option<&str>,
    ) -> Result<bool> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy_hash).to_owned();
        let is_correct = self.run(caller, move |hasher| hasher.verify(&password, &hash)).await?;
        Ok(is_correct && known)
    }

    /// Runs the work on a worker. Refused at once (503) if too much work waits already, and not begun once the caller is
    /// gone or has waited too long.
    async fn run<T: Send + 'static>(
        &self,
        caller: &Caller,
        work: impl FnOnce(&mut Hasher) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T> {
        let unavailable = |why: &str| Error::Unavailable(anyhow!("password not hashed: {why}"));
        if caller.is_gone() {
            metrics::counter!("password_work_skipped_total").increment(1);
            return Err(unavailable("the caller is gone"));
        }
        let (result, done) = oneshot::channel();
        let job = move |hasher: &mut Hasher| {
            if result.is_closed() {
                metrics::counter!("password_work_skipped_total").increment(1);
            } else {
                metrics::counter!("password_work_begun_total").increment(1);
                // The caller may have gone meanwhile.
                drop(result.send(work(hasher)));
            }
        };
        if self.queue.try_send(Box::new(job)).is_err() {
            metrics::counter!("password_work_refused_total").increment(1);
            return Err(unavailable("too many wait"));
        }
        tokio::select! {
            done = done => Ok(done.map_err(|_| unavailable("the worker failed"))??),
            () = caller.gone() => Err(unavailable("the caller is gone")),
            () = tokio::time::sleep(TIMEOUT) => Err(unavailable("the workers are too slow")),
        }
    }
}

/// The next job; none when the service has ended. While one worker waits for it, the others wait for that worker.
fn next(jobs: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
}

/// A worker's own memory.
struct Hasher {
    params: Params,
    memory: Vec<Block>,
}

impl Hasher {
    fn new() -> anyhow::Result<Self> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
            .map_err(|error| anyhow!("invalid argon2 parameters: {error}"))?;
        let memory = vec![Block::new(); params.block_count()];
        Ok(Hasher { params, memory })
    }

    fn hash(&mut self, password: &str) -> anyhow::Result<String> {
        let failed = |error| anyhow!("could not hash a password: {error}");
        let salt = rand::random::<[u8; 16]>();
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let params = self.params.clone();
        let output = self.output(algorithm, version, &params, password, &salt)?;
        let salt = SaltString::encode_b64(&salt).map_err(failed)?;
        let hash = PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params).map_err(failed)?,
            salt: Some(salt.as_salt()),
            hash: Some(output),
        };
        Ok(hash.to_string())
    }

    /// With the parameters that the hash names.
    fn verify(&mut self, password: &str, hash: &str) -> anyhow::Result<bool> {
        let malformed = |error| anyhow!("a stored password hash is malformed: {error}");
        let hash = PasswordHash::new(hash).map_err(malformed)?;
        let algorithm = Algorithm::try_from(hash.algorithm).map_err(malformed)?;
        let version = match hash.version {
            Some(version) => Version::try_from(version)
                .map_err(|error| anyhow!("a stored password hash is malformed: {error}"))?,
            None => Version::default(),
        };
        let params = Params::try_from(&hash).map_err(malformed)?;
        let salt = hash.salt.context("a stored password hash has no salt")?;
        let mut bytes = [0; 64];
        let salt = salt.decode_b64(&mut bytes).map_err(malformed)?;
        let output = self.output(algorithm, version, &params, password, salt)?;
        // Outputs are compared in constant time.
        Ok(hash.hash == Some(output))
    }

    fn output(
        &mut self,
        algorithm: Algorithm,
        version: Version,
        params: &Params,
        password: &str,
        salt: &[u8],
    ) -> anyhow::Result<Output> {
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            self.memory.resize(blocks, Block::new());
        }
        let argon2 = Argon2::new(algorithm, version, params.clone());
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let memory = &mut self.memory;
        let output = Output::init_with(length, |out| {
            Ok(argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, memory)?)
        });
        output.map_err(|error| anyhow!("could not hash a password: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use argon2::PasswordHasher as _;
    use httpkit::Error;

    use super::*;

    fn caller() -> Caller {
        Caller::default()
    }

    #[tokio::test]
    async fn a_password_matches_only_its_own_hash() {
        let passwords = Passwords::start().await.unwrap();
        let hash = async |password: &str| passwords.hash(&caller(), password.to_owned()).await;
        let verify = async |password: &str, hash: Option<&str>| {
            passwords.verify(&caller(), password.to_owned(), hash).await.unwrap()
        };
        let stored = hash("correct horse").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify("correct horse", Some(&stored)).await);
        assert!(!verify("correct hors", Some(&stored)).await);
        assert!(!verify("correct horse", None).await);
        assert_ne!(stored, hash("correct horse").await.unwrap());
        passwords.verify(&caller(), "x".to_owned(), Some("$argon2id$x")).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_hash_of_the_library_and_of_other_parameters_is_verified() {
        let passwords = Passwords::start().await.unwrap();
        let salt = SaltString::encode_b64(b"sixteen bytes...").unwrap();
        for (memory, passes) in [(19 * 1024, 2), (32 * 1024, 1), (1024, 3)] {
            let params = Params::new(memory, passes, 1, None).unwrap();
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let hash = argon2.hash_password(b"correct horse", &salt).unwrap().to_string();
            for (password, expected) in [("correct horse", true), ("wrong horse", false)] {
                let verified = passwords.verify(&caller(), password.to_owned(), Some(&hash)).await;
                assert_eq!(verified.unwrap(), expected, "{hash}");
            }
        }
    }

    /// Occupies every worker until the senders are dropped.
    async fn occupy(passwords: &Passwords) -> Vec<std::sync::mpsc::Sender<()>> {
        let mut release = Vec::new();
        for _ in 0..WORKERS {
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            let (begun, has_begun) = oneshot::channel();
            let job = move |_: &mut Hasher| {
                begun.send(()).unwrap();
                receiver.recv().unwrap_err();
            };
            passwords.queue.try_send(Box::new(job)).ok().unwrap();
            has_begun.await.unwrap();
            release.push(sender);
        }
        release
    }

    #[tokio::test]
    async fn with_all_workers_busy_and_a_full_queue_the_next_request_is_refused_at_once() {
        let passwords = Passwords::start().await.unwrap();
        let release = occupy(&passwords).await;
        let mut waiting = Vec::new();
        for _ in 0..QUEUE {
            let passwords = passwords.clone();
            waiting.push(tokio::spawn(async move {
                passwords.run(&caller(), |_| anyhow::Ok(())).await
            }));
        }
        while passwords.queue.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        let begun = Instant::now();
        let refused = passwords.hash(&caller(), "correct horse".to_owned()).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        assert!(begun.elapsed() < Duration::from_secs(1));
        drop(release);
        for waiting in waiting {
            waiting.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn abandoned_work_is_never_begun() {
        const ABANDONED: usize = 10;
        let passwords = Passwords::start().await.unwrap();
        let release = occupy(&passwords).await;
        let begun = Arc::new(AtomicUsize::new(0));
        let begin = |caller: Caller| {
            let (passwords, begun) = (passwords.clone(), Arc::clone(&begun));
            let work = move |_: &mut Hasher| {
                begun.fetch_add(1, Ordering::SeqCst);
                anyhow::Ok(())
            };
            tokio::spawn(async move { passwords.run(&caller, work).await })
        };
        let callers = [(); ABANDONED].map(|()| caller());
        let guards = callers.each_ref().map(Caller::gone_when_dropped);
        let abandoned = callers.map(begin);
        let patient = begin(caller());
        while passwords.queue.capacity() > QUEUE - ABANDONED - 1 {
            tokio::task::yield_now().await;
        }
        drop(guards);
        for abandoned in abandoned {
            let gone = abandoned.await.unwrap();
            assert!(matches!(gone, Err(Error::Unavailable(_))), "{gone:?}");
        }
        drop(release);
        patient.await.unwrap().unwrap();
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }
}
