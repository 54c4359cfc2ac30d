//! What `cargo xtask test` tells the tests.

/// The shared mongod, without a database's name.
pub const MONGO_URI: &str = "TEST_MONGO_URI";
pub const MONGOD: &str = "TEST_MONGOD";
pub const NATS_SERVER: &str = "TEST_NATS_SERVER";
pub const REDIS_SERVER: &str = "TEST_REDIS_SERVER";
/// The built xtask, and the folder of the services' programs.
pub const XTASK: &str = "TEST_XTASK";
pub const BIN_DIR: &str = "TEST_BIN_DIR";
/// The browser, its WebDriver, and the script that checks accessibility.
pub const CHROMIUM: &str = "TEST_CHROMIUM";
pub const CHROMEDRIVER: &str = "TEST_CHROMEDRIVER";
pub const AXE: &str = "TEST_AXE";
/// What renders infra/k8s.
pub const KUBECTL: &str = "TEST_KUBECTL";
/// By which whatever tests leave running is found, whoever started it.
pub const MARK: &str = "TICKETING_TEST_ROOT";
/// Whether the services' logs are shown, and which.
const LOG: &str = "TEST_LOG";
/// Whether files that are written out of the code are written anew.
const UPDATE: &str = "UPDATE";

pub fn required(name: &str) -> String {
    read(name).unwrap_or_else(|| {
        panic!("{name} isn't set: tests need real servers; run `cargo xtask test`")
    })
}

/// Whether a test that finds a written file out of date is to write it, instead of failing.
pub fn updates() -> bool {
    read(UPDATE).is_some()
}

/// Shows the services' logs, if they are asked for.
pub fn show_logs() {
    if let Some(filter) = read(LOG) {
        // A second test of the same process finds the logging set up.
        drop(telemetry::init("test", &filter));
    }
}

fn read(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test has no main that could read it")]
    let value = std::env::var(name);
    value.ok().filter(|value| !value.is_empty())
}
