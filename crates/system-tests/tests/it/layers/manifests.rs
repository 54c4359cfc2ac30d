//! The dependencies that a Cargo.toml lists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[derive(Default)]
pub struct Manifest {
    /// Of the package and of its build script.
    pub dependencies: BTreeSet<String>,
    pub dev_dependencies: BTreeSet<String>,
}

impl Manifest {
    pub fn read(file: &Path) -> Manifest {
        let text =
            fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut manifest = Manifest::default();
        let mut section = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']').to_owned();
                // `[dependencies.name]`
                if let Some((section, dependency)) = section.rsplit_once('.') {
                    manifest.add(section, dependency);
                }
            } else if let Some((name, _)) = line.split_once(['.', '=', ' ']) {
                manifest.add(&section, name);
            }
        }
        manifest
    }

    fn add(&mut self, section: &str, name: &str) {
        if name.is_empty() || name.starts_with('#') {
            return;
        }
        // `target.'cfg(unix)'.dependencies` counts as well.
        match section.rsplit('.').next() {
            Some("dependencies" | "build-dependencies") => {
                self.dependencies.insert(name.to_owned())
            }
            Some("dev-dependencies") => self.dev_dependencies.insert(name.to_owned()),
            Some(_) | None => false,
        };
    }
}
