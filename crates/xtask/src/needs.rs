//! What the selected tests need: servers, built programs, kubectl, a browser, or nothing at all.

use std::{borrow::Cow, collections::BTreeSet, ffi::OsString};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{cargo, environment::Environment};

/// Tests of packages that use it, and its own, run against real servers.
const TESTKIT: &str = "testkit";
/// The package with the tests of the whole system, which run the built programs.
const SYSTEM_TESTS: &str = "system-tests";
/// Its test target that renders the manifests, beside much else.
const WITH_KUBECTL: &str = "it";
/// The package whose tests send mails to a second server, beside the local mailbox.
const WITH_MAIL_SERVER: &str = "confirmation";
/// Its test target that drives a browser.
const WITH_BROWSER: &str = "browser";
/// The local Stripe, whose tests need none of our servers.
const STRIPE_DOUBLE: &str = "stripe-double";
/// Its test target that is driven by Stripe's own client library.
const WITH_STRIPE_SDK: &str = "sdk";

/// A package of the workspace.
pub struct Package {
    pub name: String,
    pub uses_testkit: bool,
    /// Its test targets: the files and folders in `tests/`.
    pub tests: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// mongod, started before; and the programs of NATS and Redis, which tests start themselves.
    pub servers: bool,
    /// The programs of the whole workspace, and nginx.
    pub programs: bool,
    pub kubectl: bool,
    pub browser: bool,
    /// aiosmtpd.
    pub mail_server: bool,
    /// Stripe's client library for Python.
    pub stripe_sdk: bool,
}

/// The packages of the workspace, from `cargo metadata`.
pub async fn packages(environment: &Environment) -> Result<Vec<Package>> {
    let args = ["metadata", "--no-deps", "--format-version", "1"].map(OsString::from);
    let output = cargo::command(environment, &args).output().await.context("running cargo")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata failed: {}", stderr.trim());
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    packages.iter().map(|package| parse(package).context("cargo metadata")).collect()
}

fn parse(package: &Value) -> Option<Package> {
    let name = package["name"].as_str()?.to_owned();
    let mut dependencies = package["dependencies"].as_array()?.iter();
    let uses_testkit = name == TESTKIT || dependencies.any(|it| it["name"] == TESTKIT);
    let targets = package["targets"].as_array()?.iter();
    let tests = targets.filter(|target| target["kind"] == Value::from(vec!["test"]));
    let tests = tests.filter_map(|target| Some(target["name"].as_str()?.to_owned())).collect();
    Some(Package { name, uses_testkit, tests })
}

impl Needs {
    /// Of `cargo test` with these options.
    pub fn of(options: &[OsString], packages: &[Package]) -> Self {
        let selection = Selection::of(options);
        let mut needs = Self::default();
        for package in packages.iter().filter(|package| selection.has_package(package, packages)) {
            let is_system = package.name == SYSTEM_TESTS;
            let is_double = package.name == STRIPE_DOUBLE;
            for test in package.tests.iter().filter(|test| selection.has_test(test)) {
                needs.stripe_sdk |= is_double && test == WITH_STRIPE_SDK;
                if !package.uses_testkit {
                    continue;
                }
                needs.servers = true;
                needs.programs |= is_system;
                needs.kubectl |= is_system && test == WITH_KUBECTL;
                needs.browser |= is_system && test == WITH_BROWSER;
                needs.mail_server |= package.name == WITH_MAIL_SERVER;
            }
            if selection.benches && package.uses_testkit {
                needs.servers = true;
                needs.programs |= is_system;
            }
        }
        needs
    }
}

/// The packages and targets that options of cargo select.
struct Selection<'a> {
    packages: BTreeSet<&'a str>,
    tests: BTreeSet<&'a str>,
    /// Whether only some kinds of targets were selected, such as `--lib`.
    is_narrowed: bool,
    every_test: bool,
    benches: bool,
}

impl<'a> Selection<'a> {
    fn of(options: &'a [OsString]) -> Self {
        let mut this = Self {
            packages: BTreeSet::new(),
            tests: BTreeSet::new(),
            is_narrowed: false,
            every_test: false,
            benches: false,
        };
        // Names aren't lossy: those that aren't UTF-8 match no package.
        let mut words = options.iter().flat_map(|option| match option.to_str() {
            Some(option) if option.starts_with("--") => option.split('=').collect(),
            Some(option) if option.starts_with("-p") && option.len() > 2 => {
                vec!["-p", option.trim_start_matches("-p").trim_start_matches('=')]
            }
            option => option.into_iter().collect::<Vec<_>>(),
        });
        while let Some(word) = words.next() {
            match word {
                "-p" | "--package" => this.packages.extend(words.next()),
                "--test" => {
                    this.is_narrowed = true;
                    this.tests.extend(words.next());
                }
                "--tests" | "--all-targets" => {
                    this.every_test = true;
                    this.is_narrowed = true;
                    this.benches |= word == "--all-targets";
                }
                "--bench" | "--benches" => {
                    this.is_narrowed = true;
                    this.benches = true;
                }
                "--lib" | "--bin" | "--bins" | "--example" | "--examples" | "--doc" => {
                    this.is_narrowed = true;
                }
                _ => {}
            }
        }
        this
    }

    /// A name that is no package's, such as a pattern, may select any.
    fn has_package(&self, package: &Package, all: &[Package]) -> bool {
        let is_known = |name: &&&str| all.iter().any(|package| package.name == **name);
        self.packages.contains(&*package.name)
            || self.packages.len() != self.packages.iter().filter(is_known).count()
            || self.packages.is_empty()
    }

    fn has_test(&self, test: &str) -> bool {
        let is_pattern = |name: &&str| name.contains(['*', '?', '[']);
        !self.is_narrowed
            || self.every_test
            || self.tests.contains(test)
            || self.tests.iter().any(is_pattern)
    }
}

/// Whether these options name packages: cargo would ignore the names beside `--workspace`.
pub fn names_packages(options: &[OsString]) -> bool {
    !Selection::of(options).packages.is_empty()
}

/// The arguments as a person types them.
pub fn shown(args: &[OsString]) -> String {
    let args: Vec<Cow<'_, str>> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    args.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Needs = Needs {
        servers: false,
        programs: false,
        kubectl: false,
        browser: false,
        mail_server: false,
        stripe_sdk: false,
    };
    const SERVERS: Needs = Needs { servers: true, ..NOTHING };
    const SYSTEM: Needs = Needs { programs: true, kubectl: true, browser: true, ..SERVERS };
    const ALL: Needs = Needs { mail_server: true, stripe_sdk: true, ..SYSTEM };

    fn of(options: &str) -> Needs {
        let package = |name: &str, uses_testkit, tests: &[&str]| Package {
            name: name.to_owned(),
            uses_testkit,
            tests: tests.iter().map(|test| (*test).to_owned()).collect(),
        };
        let packages = [
            package("common", false, &["it"]),
            package("orders", true, &["it"]),
            package(WITH_MAIL_SERVER, true, &["it"]),
            package(SYSTEM_TESTS, true, &["it", "browser", "chaos"]),
            package("model", false, &["model"]),
            package(STRIPE_DOUBLE, false, &["it", "sdk"]),
        ];
        let options: Vec<_> = options.split_whitespace().map(OsString::from).collect();
        Needs::of(&options, &packages)
    }

    #[test]
    fn tests_without_servers_need_nothing() {
        for options in ["-p common", "--test model", "-p model", "--lib --bins", "--doc"] {
            assert_eq!(of(options), NOTHING, "{options}");
        }
    }

    #[test]
    fn a_service_s_tests_need_servers_and_nothing_else() {
        for options in ["-p orders", "-porders", "--package=orders reserve", "-p common -p orders"]
        {
            assert_eq!(of(options), SERVERS, "{options}");
        }
    }

    #[test]
    fn the_system_s_tests_need_the_programs_and_a_browser_only_for_its_own() {
        assert_eq!(of("-p system-tests --test it"), Needs { browser: false, ..SYSTEM });
        assert_eq!(of("--test browser live"), Needs { kubectl: false, ..SYSTEM });
        let neither = Needs { kubectl: false, browser: false, ..SYSTEM };
        assert_eq!(of("-p system-tests --test chaos"), neither);
        assert_eq!(of("-p system-tests --bench hold_to_reserved"), neither);
    }

    #[test]
    fn the_local_stripe_s_tests_need_a_library_and_no_server() {
        assert_eq!(of("-p stripe-double --test it"), NOTHING);
        assert_eq!(of("-p stripe-double --test sdk"), Needs { stripe_sdk: true, ..NOTHING });
        assert_eq!(of("-p stripe-double"), Needs { stripe_sdk: true, ..NOTHING });
    }

    #[test]
    fn everything_is_needed_unless_the_options_exclude_it() {
        for options in ["", "reserving", "--release", "-p serv*", "--test b*"] {
            assert_eq!(of(options), ALL, "{options}");
        }
        assert_eq!(of("-p system-tests"), SYSTEM);
        assert_eq!(of("-p confirmation"), Needs { mail_server: true, ..SERVERS });
    }
}
