//! Every service has the same files in the same places, so that an engineer who knows one service knows them all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::events::Subject;
use system_tests::workspace;

/// The most lines that a `main.rs` may have: arguments in, connect, run.
const MAX_LINES_OF_MAIN: usize = 40;

/// Every query has a time limit, which only a `TimedCollection` sets.
#[test]
fn services_query_through_timed_collections() {
    for service in workspace::services_with_database() {
        let directory = workspace::root().join("services").join(service).join("src");
        for path in workspace::rust_files(&directory) {
            let text = fs::read_to_string(&path).unwrap();
            let words = text.split(|char: char| !char.is_alphanumeric() && char != '_');
            let untimed = words.filter(|word| *word == "Collection").count();
            let opened = text.matches("database.collection").count();
            assert_eq!((untimed, opened), (0, 0), "{}", path.display());
        }
    }
}

/// Relative to a service's `src`: what it is for, where it is missing for lack of anything to put there, and why.
struct Room {
    path: &'static str,
    holds: &'static str,
    absent: &'static [(&'static str, &'static str)],
}

const ROOMS: &[Room] = &[
    Room { path: "main.rs", holds: "arguments in, connect, run", absent: &[] },
    Room { path: "lib.rs", holds: "the modules", absent: &[] },
    Room { path: "state.rs", holds: "App and its settings", absent: &[] },
    Room { path: "app.rs", holds: "routes, listeners and background tasks", absent: &[] },
    Room {
        path: "domain.rs",
        holds: "the aggregates and their transitions",
        absent: &[("web", "it renders what the other services decide")],
    },
    Room { path: "store.rs", holds: "all of its MongoDB", absent: &[("web", "it stores nothing")] },
    Room {
        path: "view.rs",
        holds: "what the API shows",
        absent: &[("expiration", "it has no API"), ("web", "its pages are its views")],
    },
    Room {
        path: "routes",
        holds: "one endpoint a file",
        absent: &[("expiration", "it has no API"), ("web", "its pages are its routes")],
    },
    Room {
        path: "routes/errors.rs",
        holds: "the domain's refusals as problems",
        absent: &[("expiration", "it has no API"), ("web", "its pages show errors themselves")],
    },
    Room {
        path: "listeners",
        holds: "one event a file",
        absent: &[
            ("auth", "it consumes no events"),
            ("web", "it subscribes without a durable consumer"),
        ],
    },
];

#[test]
fn every_service_has_the_same_rooms() {
    let mut wrong = Vec::new();
    for service in workspace::services() {
        let src = workspace::root().join("services").join(&service).join("src");
        rooms(&service, &src, &mut wrong);
        main_is_short(&service, &src, &mut wrong);
        handlers(&src.join("routes"), &["errors"], &mut wrong);
        handlers(&src.join("listeners"), &[], &mut wrong);
        listeners(&service, &src.join("listeners"), &mut wrong);
    }
    one_module_style(&mut wrong);
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

fn rooms(service: &str, src: &Path, wrong: &mut Vec<String>) {
    for Room { path, holds, absent } in ROOMS {
        let is_there = src.join(path).exists();
        match absent.iter().find(|(name, _)| *name == service) {
            Some((_, why)) if is_there => wrong.push(format!(
                "services/{service}/src/{path} exists: don't list it as absent because {why}"
            )),
            None if !is_there => {
                wrong.push(format!("services/{service}/src/{path} is missing: {holds}"));
            }
            Some(_) | None => {}
        }
    }
}

fn main_is_short(service: &str, src: &Path, wrong: &mut Vec<String>) {
    let lines = read(&src.join("main.rs")).lines().count();
    if lines > MAX_LINES_OF_MAIN {
        wrong.push(format!(
            "services/{service}/src/main.rs has {lines} lines, and may have {MAX_LINES_OF_MAIN}"
        ));
    }
}

/// Each file of a directory has one entry point, `handle`, but for those that aren't handlers.
fn handlers(directory: &Path, others: &[&str], wrong: &mut Vec<String>) {
    for (name, file) in modules(directory) {
        if others.contains(&name.as_str()) {
            continue;
        }
        let handles = read(&file).matches("pub async fn handle(").count()
            + read(&file).matches("pub async fn handle<").count();
        if handles != 1 {
            wrong.push(format!("{}: {handles} `pub async fn handle`", relative(&file)));
        }
    }
}

/// Each listener is named for an event that the service consumes.
fn listeners(service: &str, directory: &Path, wrong: &mut Vec<String>) {
    let events: BTreeSet<String> = Subject::ALL
        .iter()
        .filter(|subject| subject.consumers().contains(&service))
        .map(|subject| subject.as_str().replace('.', "_"))
        .collect();
    for (name, file) in modules(directory).filter(|(name, _)| !events.contains(name)) {
        wrong.push(format!(
            "{}: {name} is no event that {service} consumes: {events:?}",
            relative(&file)
        ));
    }
}

/// Either `routes/mod.rs` or `routes.rs` everywhere.
fn one_module_style(wrong: &mut Vec<String>) {
    let files: Vec<_> = workspace::services()
        .iter()
        .flat_map(|service| {
            workspace::rust_files(&workspace::root().join("services").join(service).join("src"))
        })
        .collect();
    let is_mod = |file: &&PathBuf| file.file_name().is_some_and(|name| name == "mod.rs");
    let has_directory = |file: &&PathBuf| file.with_extension("").is_dir();
    let (inside, beside): (Vec<_>, Vec<_>) =
        (files.iter().filter(is_mod).collect(), files.iter().filter(has_directory).collect());
    if !inside.is_empty() && !beside.is_empty() {
        let (fewer, style) = if inside.len() < beside.len() {
            (inside, "beside the directory")
        } else {
            (beside, "as mod.rs in the directory")
        };
        let fewer = fewer.iter().map(|file| relative(file));
        wrong.push(format!(
            "modules with submodules are mostly {style}, but not:\n    {}",
            fewer.collect::<Vec<_>>().join("\n    ")
        ));
    }
}

/// The modules that are files of a directory; none if it doesn't exist.
fn modules(directory: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let files = fs::read_dir(directory).into_iter().flatten();
    files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).filter_map(|path| {
        let name = path.file_stem()?.to_str()?.to_owned();
        (name != "mod").then_some((name, path))
    })
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn relative(file: &Path) -> String {
    file.strip_prefix(workspace::root()).unwrap_or(file).display().to_string()
}
