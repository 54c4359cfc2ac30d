//! The environment variables that `cargo xtask test` sets for tests.

/// The shared mongod, without a database name.
pub const MONGO_URI: &str = "TEST_MONGO_URI";
pub const MONGOD: &str = "TEST_MONGOD";
pub const NATS_SERVER: &str = "TEST_NATS_SERVER";
pub const REDIS_SERVER: &str = "TEST_REDIS_SERVER";
/// The xtask binary, and the directory of the services' binaries.
pub const XTASK: &str = "TEST_XTASK";
pub const BIN_DIR: &str = "TEST_BIN_DIR";
/// Chromium without windows; where that isn't installed, the other one.
pub const HEADLESS_SHELL: &str = "TEST_HEADLESS_SHELL";
pub const CHROMIUM: &str = "TEST_CHROMIUM";
/// Their WebDriver, and the accessibility checker.
pub const CHROMEDRIVER: &str = "TEST_CHROMEDRIVER";
pub const AXE: &str = "TEST_AXE";
/// Where Python finds aiosmtpd.
pub const AIOSMTPD: &str = "TEST_AIOSMTPD";
/// Renders infra/k8s.
pub const KUBECTL: &str = "TEST_KUBECTL";
/// Initiates MongoDB as in a cluster; unset where it can't be installed.
pub const MONGOSH: &str = "TEST_MONGOSH";
/// Checks the alerts; unset where it can't be had.
pub const PROMTOOL: &str = "TEST_PROMTOOL";
/// Where Python finds schemathesis.
pub const SCHEMATHESIS: &str = "TEST_SCHEMATHESIS";
/// Marks every process that a test starts, so that stale ones can be found.
pub const MARK: &str = "TICKETING_TEST_ROOT";
/// The log filter of the services; without it, logs are off.
const LOG: &str = "TEST_LOG";
/// Whether tests rewrite generated files.
const UPDATE: &str = "UPDATE";

pub fn required(name: &str) -> String {
    read(name).unwrap_or_else(|| {
        panic!("{name} isn't set: tests need real servers; run `cargo xtask test`")
    })
}

/// Of what some machines lack; tests that need it are skipped there.
pub fn optional(name: &str) -> Option<String> {
    read(name)
}

/// Whether a test rewrites an outdated generated file instead of failing.
pub fn updates() -> bool {
    read(UPDATE).is_some()
}

/// Enables the services' logs, if requested.
pub fn show_logs() {
    if let Some(filter) = read(LOG) {
        // Fails if another test of this process has initialized logging.
        drop(telemetry::init("test", &filter));
    }
}

fn read(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test has no main that could pass it in")]
    let value = std::env::var(name);
    value.ok().filter(|value| !value.is_empty())
}
