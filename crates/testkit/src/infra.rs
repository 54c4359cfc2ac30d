//! The servers of one test, the settings that connect to them, and its clock.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use common::Clock;
use common::scopes::Scope;
use httpkit::auth::Verifier;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::bus::Bus;
use crate::environment;
use crate::nats::Nats;
use crate::redis::Redis;
use crate::tokens::{self, Forgery, Keys, TestUser};

/// The public URL in tests.
pub const PUBLIC_URL: &str = "http://localhost:8080";

/// The servers of one test. They are removed when it is dropped: keep it until the end of the test.
pub struct Infra {
    /// Stopped at the time the test started, until it is advanced.
    pub clock: Clock,
    pub nats: Nats,
    /// The public URL in `args`; if it is changed, serve with `TestService::serve_at`.
    pub public_url: String,
    bus: Bus,
    redis: OnceCell<Redis>,
    folder: TempDir,
    databases: Databases,
}

impl Infra {
    /// A broker with all streams, and a manual clock.
    pub async fn start() -> Self {
        Self::start_at(Clock::manual(Clock::system().now())).await
    }

    /// The same with another clock, such as the system's for tests of timers.
    pub async fn start_at(clock: Clock) -> Self {
        environment::show_logs();
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in
            [("private.pem", &Keys::ours().private_pem), ("public.pem", &Keys::ours().public_pem)]
        {
            std::fs::write(folder.path().join(name), text).expect("a temporary file");
        }
        std::fs::write(folder.path().join("admissions.pem"), tokens::admission_key())
            .expect("a temporary file");
        std::fs::write(folder.path().join("links.key"), account_links::generate(rand::random()))
            .expect("a temporary file");
        let nats = Nats::start().await;
        let bus = Bus::connect(&nats.url(), clock.clone()).await;
        bus.create_streams().await;
        Infra {
            clock,
            nats,
            public_url: PUBLIC_URL.to_owned(),
            bus,
            redis: OnceCell::new(),
            folder,
            databases: Databases::new(),
        }
    }

    /// A service's command line with the flags that all services need. Add its own flags to it.
    pub fn args(&self, service: &str) -> Vec<String> {
        let flags = [
            ("--host", "127.0.0.1".to_owned()),
            ("--port", "0".to_owned()),
            ("--admin-port", "0".to_owned()),
            ("--public-url", self.public_url.clone()),
            ("--jwt-public-keys", self.public_key_file().display().to_string()),
            ("--mongo-uri", self.mongo_uri(service)),
            ("--nats-url", self.nats.url()),
            ("--nats-monitor-url", self.nats.monitor_url()),
        ];
        let flags = flags.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        std::iter::once(service.to_owned()).chain(flags).collect()
    }

    /// The service's database in this test: always the same one, and initially empty.
    pub fn mongo_uri(&self, service: &str) -> String {
        self.databases.uri(service)
    }

    /// The same database, for tests that read or write it directly.
    pub async fn database(&self, service: &str) -> mongodb::Database {
        store::mongo::connect(&self.mongo_uri(service), "test").await.expect("mongod's address")
    }

    /// The bus as the other services use it.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Redis, which is started on first use.
    pub async fn redis(&self) -> &Redis {
        self.redis.get_or_init(Redis::start).await
    }

    /// Its address, as `REDIS_URL` wants it.
    pub async fn redis_url(&self) -> String {
        self.redis().await.url()
    }

    /// A new user with a session of 30 days by the test's clock.
    pub fn user(&self) -> TestUser {
        tokens::user(&self.clock, &[])
    }

    /// The same, with an address that isn't confirmed.
    pub fn unverified_user(&self) -> TestUser {
        tokens::unverified(&self.clock)
    }

    /// The same, as a member of the group `admin`.
    pub fn admin(&self) -> TestUser {
        tokens::admin(&self.clock)
    }

    /// The same user with a token that must be refused.
    pub fn forged(&self, user: &TestUser, forgery: Forgery) -> TestUser {
        tokens::forge(user, &self.clock, forgery)
    }

    /// The access token of a program that acts for the user, for these scopes.
    pub fn access_token(&self, user: &TestUser, scopes: &[Scope]) -> String {
        tokens::access(user, &self.clock, scopes)
    }

    /// The private key that signs the users' tokens (PKCS#8 PEM).
    pub fn private_key_file(&self) -> PathBuf {
        self.folder.path().join("private.pem")
    }

    /// The verifier of those tokens.
    pub fn verifier(&self) -> Verifier {
        let public_url = self.public_url.parse().expect("a URL");
        Verifier::from_file(&self.public_key_file(), &public_url, self.clock.clone())
            .expect("our own key")
    }

    /// The key of the codes that open doors, as `ADMISSION_KEYS` wants it.
    pub fn admission_key_file(&self) -> PathBuf {
        self.folder.path().join("admissions.pem")
    }

    /// The key of the links that users are mailed, as `LINK_KEYS` wants it.
    pub fn link_key_file(&self) -> PathBuf {
        self.folder.path().join("links.key")
    }

    pub fn public_key_file(&self) -> PathBuf {
        self.folder.path().join("public.pem")
    }
}

/// The databases of one test on the shared mongod.
struct Databases {
    prefix: String,
    used: Mutex<BTreeSet<String>>,
}

impl Databases {
    fn new() -> Self {
        let unique = Uuid::now_v7().simple().to_string();
        Databases { prefix: format!("test_{unique}"), used: Mutex::default() }
    }

    fn uri(&self, service: &str) -> String {
        let name = format!("{}_{service}", self.prefix);
        let uri = environment::required(environment::MONGO_URI);
        let (host, options) = uri.split_once('?').unwrap_or((&uri, ""));
        let uri = format!("{}/{name}?{options}", host.trim_end_matches('/'));
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(uri.clone());
        uri
    }
}

impl Drop for Databases {
    /// In a separate thread, as a destructor can't block on the runtime that runs it.
    fn drop(&mut self) {
        let used = std::mem::take(self.used.get_mut().unwrap_or_else(PoisonError::into_inner));
        if used.is_empty() {
            return;
        }
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                for uri in used {
                    let database = store::mongo::connect(&uri, "test").await;
                    if let Err(error) = database.expect("mongod's address").drop().await {
                        eprintln!("could not drop a test's database: {error}");
                    }
                }
            });
        });
        drop(dropping.join());
    }
}
