//! The repository, as its directories describe it: the one list of services and crates for tests.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The names of all services: the packages in `services/`.
pub fn services() -> Vec<String> {
    packages("services")
}

/// The services that have a database, and with it an outbox, dead letters and so on.
pub fn services_with_database() -> Vec<String> {
    let has_store = |service: &String| {
        let src = root().join("services").join(service).join("src");
        src.join("store.rs").exists() || src.join("store").exists()
    };
    services().into_iter().filter(has_store).collect()
}

/// The names of the shared crates: the packages in `crates/`.
pub fn crates() -> Vec<String> {
    packages("crates")
}

/// All Rust files below a directory, sorted.
pub fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return files };
    for path in entries.map(|entry| entry.expect("a directory entry").path()) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn packages(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(directory)).expect("a directory of packages");
    let paths = entries.map(|entry| entry.expect("a directory entry").path());
    let names = paths.filter(|path| path.join("Cargo.toml").exists()).filter_map(|path| {
        let name = path.file_name()?;
        Some(name.to_string_lossy().into_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
