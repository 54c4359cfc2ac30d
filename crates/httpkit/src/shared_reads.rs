//! Reads of what anyone may see: requests that come at the same time share one, and its result answers others for a moment.
//!
//! A result is used only if its read was begun late enough for the request: no longer ago than [`MAX_AGE`], or than the client
//! says (`Cache-Control: no-cache`), and not before what it shows was changed here. So a read that was begun before a change
//! doesn't answer a request that came after it, even if it ends later. While a change is being written each request is answered by
//! a read that was begun after it had come: what a database shows before the write is durable is seen as soon as without sharing. What
//! another process has changed is seen when the result is too old.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use common::{Clock, Time};
use headers::{CacheControl, HeaderMapExt as _};
use http::HeaderMap;
use http::request::Parts;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::caller::Caller;
use crate::error::{Error, Result};

/// How old a result may be, unless the client wants a newer one.
pub const MAX_AGE: Duration = Duration::from_secs(1);
/// How long a request waits for another's read. Shorter than a request's time limit.
const TIMEOUT: Duration = Duration::from_secs(4);
/// What an entry takes besides its result, in bytes: its key is a small one.
const ENTRY: usize = 256;

/// What a read results in.
pub trait Shareable: Send + Sync + 'static {
    /// The memory that it takes, in bytes.
    fn size(&self) -> usize;
    /// When it changes although nobody changes anything: a reservation ends, an event begins.
    fn valid_until(&self) -> Time;
}

/// Of everything that a query asks for: the key of its read.
pub type Digest = [u8; 32];

/// The digest of structs and tuples of strings and numbers.
pub fn digest(query: &impl Serialize) -> Digest {
    // They have no way to fail here.
    Sha256::digest(serde_json::to_vec(query).unwrap_or_default()).into()
}

/// The shared reads of a kind. The memory that their results take is bounded.
pub struct SharedReads<K, V> {
    /// As their metric calls them.
    name: &'static str,
    results: Cache<K, Arc<Shared<V>>, Size>,
    /// How many changes of each are being written.
    changing: Mutex<HashMap<K, usize>>,
    /// How often all results were forgotten.
    generation: AtomicU64,
    clock: Clock,
}

struct Shared<V> {
    value: Arc<V>,
    begun: Instant,
    generation: u64,
}

#[derive(Clone)]
struct Size;

impl<K, V: Shareable> Weighter<K, Arc<Shared<V>>> for Size {
    fn weight(&self, _: &K, shared: &Arc<Shared<V>>) -> u64 {
        (shared.value.size() + ENTRY) as u64
    }
}

impl<K: Clone + Eq + Hash, V: Shareable> SharedReads<K, V> {
    /// Their results take so many bytes at most. One that takes more than an eighth of that isn't kept.
    pub fn new(name: &'static str, capacity: usize, clock: Clock) -> Self {
        let results = Cache::with_weighter(capacity / 1024, capacity as u64, Size);
        SharedReads {
            name,
            results,
            changing: Mutex::default(),
            generation: AtomicU64::new(0),
            clock,
        }
    }

    /// The result of a read that was begun late enough: one that is known, or in progress, or this one. Another's read
    /// is waited for a limited time, and only as long as the caller waits.
    pub async fn get<E: From<Unread>>(
        &self,
        key: &K,
        MaxAge(max_age): MaxAge,
        caller: &Caller,
        read: impl Future<Output = Result<V, E>>,
    ) -> Result<Arc<V>, E> {
        let generation = self.generation();
        let max_age = if self.is_changing(key) { Duration::ZERO } else { max_age };
        // None: the machine was started less than that ago.
        let since = Instant::now().checked_sub(max_age);
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        loop {
            let known = tokio::select! {
                biased;
                known = self.results.get_value_or_guard_async(key) => known,
                () = caller.gone() => return Err(Unread("the caller is gone").into()),
                () = tokio::time::sleep_until(deadline) => {
                    return Err(Unread("another request's read takes too long").into());
                }
            };
            match known {
                Ok(known) => {
                    let is_new = known.generation >= generation
                        && since.is_none_or(|since| known.begun >= since)
                        && self.clock.now() < known.value.valid_until();
                    if is_new {
                        self.count("shared");
                        return Ok(Arc::clone(&known.value));
                    }
                    // Unless somebody else has replaced it.
                    self.results.remove_if(key, |current| Arc::ptr_eq(current, &known));
                }
                Err(guard) => {
                    self.count("read");
                    let (begun, generation) = (Instant::now(), self.generation());
                    let value = Arc::new(read.await?);
                    let shared = Shared { value: Arc::clone(&value), begun, generation };
                    // Refused if it was forgotten meanwhile.
                    let _ = guard.insert(Arc::new(shared));
                    return Ok(value);
                }
            }
        }
    }

    /// To be called before a change is written, and [`SharedReads::end_change`] when that has ended.
    pub fn begin_change(&self, key: &K) {
        *self.changing().entry(key.clone()).or_default() += 1;
    }

    /// It was written, or that has failed, and may have been done nevertheless.
    pub fn end_change(&self, key: &K) {
        let mut changing = self.changing();
        if let Some(count) = changing.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                changing.remove(key);
            }
        }
        drop(changing);
        self.forget(key);
    }

    /// To be called after it was changed: reads that were begun before don't answer those who come from now on.
    pub fn forget(&self, key: &K) {
        self.results.remove(key);
    }

    /// The same for all of them.
    pub fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// The memory that the results take, in bytes.
    pub fn size(&self) -> u64 {
        self.results.weight()
    }

    fn is_changing(&self, key: &K) -> bool {
        self.changing().contains_key(key)
    }

    fn changing(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn count(&self, how: &'static str) {
        metrics::counter!("shared_reads_total", "reads" => self.name, "how" => how).increment(1);
    }
}

/// How old the result of a read may be that answers the request: [`MAX_AGE`], or less if the client says so by `no-cache` or
/// `max-age` (RFC 9111 §5.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAge(pub Duration);

impl Default for MaxAge {
    fn default() -> Self {
        MaxAge(MAX_AGE)
    }
}

impl MaxAge {
    /// Only a read that begins after the request has come answers it.
    pub const NONE: MaxAge = MaxAge(Duration::ZERO);

    /// By the headers of the request.
    pub fn of(headers: &HeaderMap) -> MaxAge {
        match headers.typed_get::<CacheControl>() {
            Some(wanted) if wanted.no_cache() || wanted.no_store() => MaxAge::NONE,
            Some(wanted) => MaxAge(wanted.max_age().map_or(MAX_AGE, |age| age.min(MAX_AGE))),
            None => MaxAge(MAX_AGE),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MaxAge {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(MaxAge::of(&parts.headers))
    }
}

/// Why a request doesn't get the result of another's read.
#[derive(Debug, thiserror::Error)]
#[error("not read: {0}")]
pub struct Unread(&'static str);

impl From<Unread> for Error {
    fn from(unread: Unread) -> Error {
        Error::Unavailable(unread.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use anyhow::anyhow;
    use futures::future::join_all;
    use futures::poll;
    use tokio::sync::{Semaphore, oneshot};

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Text(&'static str, Time);

    impl Shareable for Text {
        fn size(&self) -> usize {
            self.0.len()
        }

        fn valid_until(&self) -> Time {
            self.1
        }
    }

    fn text(text: &'static str) -> Text {
        Text(text, Time::NEVER)
    }

    fn reads() -> SharedReads<u64, Text> {
        SharedReads::new("texts", 1 << 20, Clock::system())
    }

    const KEY: u64 = 7;

    async fn get(reads: &SharedReads<u64, Text>, age: MaxAge, new: &'static str) -> &'static str {
        reads
            .get(&KEY, age, &Caller::default(), async { Ok::<_, Error>(text(new)) })
            .await
            .unwrap()
            .0
    }

    #[tokio::test]
    async fn concurrent_requests_share_one_read() {
        let (reads, begun, go) = (reads(), AtomicUsize::new(0), Semaphore::new(0));
        let caller = Caller::default();
        let requests = join_all((0..200).map(|_| {
            reads.get(&KEY, MaxAge::default(), &caller, async {
                begun.fetch_add(1, Ordering::SeqCst);
                let _permit = go.acquire().await;
                Ok::<_, Error>(text("read"))
            })
        }));
        let mut requests = std::pin::pin!(requests);
        assert!(poll!(&mut requests).is_pending());
        go.add_permits(1);
        assert!(requests.await.into_iter().all(|read| read.unwrap().0 == "read"));
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_result_answers_until_it_is_forgotten_too_old_or_no_longer_valid() {
        let reads = reads();
        let age = MaxAge(Duration::from_secs(3600));
        assert_eq!(get(&reads, age, "1").await, "1");
        assert_eq!(get(&reads, age, "2").await, "1");
        reads.forget(&KEY);
        assert_eq!(get(&reads, age, "2").await, "2");
        reads.forget_all();
        assert_eq!(get(&reads, age, "3").await, "3");
        // The newer one answers others, too.
        assert_eq!(get(&reads, MaxAge::NONE, "4").await, "4");
        assert_eq!(get(&reads, age, "5").await, "4");

        let clock = Clock::manual(Time::from_millis(1_700_000_000_000));
        let reads = SharedReads::new("texts", 1 << 20, clock.clone());
        let end = clock.now() + Duration::from_millis(1);
        let get = async |new| {
            let read = async { Ok::<_, Error>(Text(new, end)) };
            reads.get(&KEY, age, &Caller::default(), read).await.unwrap().0
        };
        assert_eq!(get("1").await, "1");
        assert_eq!(get("2").await, "1");
        clock.advance(Duration::from_millis(1));
        assert_eq!(get("2").await, "2");
    }

    /// What a request gets that comes while a read is in progress, which is begun, then `change` happens.
    async fn after_a_change(age: MaxAge, change: impl Fn(&SharedReads<u64, Text>)) -> &'static str {
        let (reads, caller) = (reads(), Caller::default());
        let (end, ended) = oneshot::channel::<()>();
        let mut first = std::pin::pin!(reads.get(&KEY, MaxAge::default(), &caller, async {
            let _ = ended.await;
            Ok::<_, Error>(text("before"))
        }));
        assert!(poll!(&mut first).is_pending());
        change(&reads);
        let mut second = std::pin::pin!(get(&reads, age, "after"));
        let early = poll!(&mut second);
        end.send(()).unwrap();
        assert_eq!(first.await.unwrap().0, "before");
        match early {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => second.await,
        }
    }

    #[tokio::test]
    async fn a_read_that_was_begun_before_a_change_doesnt_answer_who_comes_after_it() {
        let age = MaxAge::default();
        assert_eq!(after_a_change(age, |reads| reads.forget(&KEY)).await, "after");
        assert_eq!(after_a_change(age, SharedReads::forget_all).await, "after");
        assert_eq!(after_a_change(MaxAge::NONE, |_| ()).await, "after");
        // Without any of these, it does.
        assert_eq!(after_a_change(age, |_| ()).await, "before");
    }

    #[tokio::test]
    async fn while_a_change_is_written_a_result_answers_only_who_came_before_its_read() {
        let (reads, age) = (reads(), MaxAge(Duration::from_secs(3600)));
        assert_eq!(get(&reads, age, "1").await, "1");
        reads.begin_change(&KEY);
        reads.begin_change(&KEY);
        assert_eq!(get(&reads, age, "2").await, "2");
        reads.end_change(&KEY);
        assert_eq!(get(&reads, age, "3").await, "3");
        assert_eq!(get(&reads, age, "4").await, "4");
        reads.end_change(&KEY);
        assert_eq!(get(&reads, age, "5").await, "5");
        assert_eq!(get(&reads, age, "6").await, "5");
    }

    /// The read that was begun before isn't kept, either.
    #[tokio::test]
    async fn a_read_that_ends_after_a_change_isnt_kept() {
        let (reads, caller) = (reads(), Caller::default());
        for forget in [|it: &SharedReads<_, _>| it.forget(&KEY), SharedReads::forget_all] {
            let read = async {
                forget(&reads);
                Ok::<_, Error>(text("before"))
            };
            reads.get(&KEY, MaxAge::NONE, &caller, read).await.unwrap();
            assert_eq!(get(&reads, MaxAge::default(), "after").await, "after");
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_read_that_fails_reads_and_who_is_gone_doesnt_wait() {
        let (reads, caller) = (reads(), Caller::default());
        let (end, ended) = oneshot::channel::<()>();
        let mut failing = std::pin::pin!(reads.get(&KEY, MaxAge::default(), &caller, async {
            let _ = ended.await;
            Err(Error::Unavailable(anyhow!("the database is down")))
        }));
        assert!(poll!(&mut failing).is_pending());
        let mut second = std::pin::pin!(get(&reads, MaxAge::default(), "second"));
        assert!(poll!(&mut second).is_pending());
        let abandoned = Caller::default();
        drop(abandoned.gone_when_dropped());
        let third =
            reads.get(&KEY, MaxAge::default(), &abandoned, async { Ok::<_, Error>(text("third")) });
        assert!(matches!(third.await, Err(Error::Unavailable(_))));
        end.send(()).unwrap();
        assert!(failing.await.is_err());
        assert_eq!(second.await, "second");
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        const CAPACITY: usize = 1 << 20;
        let reads = SharedReads::new("texts", CAPACITY, Clock::system());
        let caller = Caller::default();
        for number in 0..10_000 {
            let read = async { Ok::<_, Error>(text("a text that is read")) };
            reads.get(&number, MaxAge::default(), &caller, read).await.unwrap();
        }
        assert!(
            (CAPACITY as u64 / 2..=CAPACITY as u64).contains(&reads.size()),
            "{}",
            reads.size()
        );
    }

    #[test]
    fn a_client_says_how_old_a_result_may_be() {
        for (header, expected) in [
            (None, MAX_AGE),
            (Some("no-cache"), Duration::ZERO),
            (Some("max-age=0"), Duration::ZERO),
            (Some("no-store"), Duration::ZERO),
            (Some("max-age=3600"), MAX_AGE),
            (Some("public"), MAX_AGE),
            (Some("§"), MAX_AGE),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
                headers.insert(http::header::CACHE_CONTROL, value);
            }
            assert_eq!(MaxAge::of(&headers), MaxAge(expected), "{header:?}");
        }
    }
}
