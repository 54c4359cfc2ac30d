//! `up --watch`: rebuilds after an edit, and restarts the services whose program has changed.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::time::sleep;

use crate::{
    cargo, environment::Environment, report::Report, root, services::Service, stack::Stack,
};

/// The sources of the programs in the repository.
const SOURCES: [&str; 4] = ["crates", "services", "Cargo.toml", "Cargo.lock"];
/// How often the sources are polled: some hundred files, which takes some milliseconds. Files that are saved together are built
/// together.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// What is watched, and how it is built.
pub struct Watch<'a> {
    pub environment: &'a Environment,
    pub report: &'a Report,
    pub services: &'a [Service],
    pub binaries: PathBuf,
    pub release: bool,
}

impl Watch<'_> {
    /// Runs indefinitely. A failed build, or a program that doesn't start, is logged, and the running programs stay.
    pub async fn run(self, stack: &Stack) -> Infallible {
        self.report
            .log("Watching crates/ and services/: an edit is built, and its services restarted");
        let (mut sources, mut built) = (Sources::now(), self.built());
        loop {
            sources.change().await;
            self.report.log("Source changed: building");
            if let Err(error) = cargo::build_programs(self.environment, self.release).await {
                self.report.log(&format!("{error:#}. The running programs stay"));
                continue;
            }
            let now = self.built();
            let changed = self.services.iter().zip(built.iter().zip(&now));
            let changed = changed.filter(|(_, (before, after))| before != after);
            let changed: Vec<&Service> = changed.map(|(service, _)| service).collect();
            self.restart(&changed, stack).await;
            built = now;
        }
    }

    /// When the program of each service was built.
    fn built(&self) -> Vec<Option<SystemTime>> {
        let built = |service: &Service| {
            fs::metadata(self.binaries.join(&service.name)).and_then(|file| file.modified()).ok()
        };
        self.services.iter().map(built).collect()
    }

    /// One replica after another, so that the others keep serving.
    async fn restart(&self, services: &[&Service], stack: &Stack) {
        if services.is_empty() {
            self.report.log("No service has changed");
            return;
        }
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        self.report.log(&format!("Restarting {}", names.join(", ")));
        for replica in services.iter().flat_map(|service| &service.replicas) {
            if let Err(error) = stack.restart(&replica.name).await {
                self.report.log(&format!("{error:#}"));
            }
        }
        self.report.log("The new programs are running");
    }
}

/// When each source was last modified.
#[derive(PartialEq)]
struct Sources(BTreeMap<PathBuf, SystemTime>);

impl Sources {
    fn now() -> Self {
        let mut written = BTreeMap::new();
        for source in SOURCES {
            // A file that is deleted meanwhile is missing the next time.
            _ = scan(&root::workspace().join(source), &mut written);
        }
        Self(written)
    }

    /// Returns once something was written, added or deleted, and no more changes follow.
    async fn change(&mut self) {
        let mut has_changed = false;
        loop {
            sleep(POLL_INTERVAL).await;
            let now = Self::now();
            let is_unchanged = *self == now;
            *self = now;
            match (is_unchanged, has_changed) {
                (true, true) => return,
                (true, false) => {}
                (false, _) => has_changed = true,
            }
        }
    }
}

fn scan(path: &Path, written: &mut BTreeMap<PathBuf, SystemTime>) -> io::Result<()> {
    let file = fs::metadata(path)?;
    if file.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if !is_editor_file(&entry.file_name().to_string_lossy()) {
                _ = scan(&entry.path(), written);
            }
        }
    } else {
        written.insert(path.to_owned(), file.modified()?);
    }
    Ok(())
}

/// Editors keep files of their own beside the edited ones.
fn is_editor_file(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
        let mut written = BTreeMap::new();
        scan(folder, &mut written).unwrap();
        written
    }

    #[test]
    fn writing_adding_and_deleting_is_detected_and_editors_own_files_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("src/routes/create.rs");
        fs::create_dir_all(source.parent().unwrap()).unwrap();
        let empty = seen(folder.path());
        fs::write(&source, "one").unwrap();
        let first = seen(folder.path());
        assert_ne!(first, empty);

        let file = fs::File::options().write(true).open(&source).unwrap();
        file.set_modified(first[&source] + Duration::from_secs(1)).unwrap();
        let second = seen(folder.path());
        assert_ne!(second, first);

        fs::write(source.with_file_name(".create.rs.swp"), "two").unwrap();
        fs::write(source.with_file_name("create.rs~"), "two").unwrap();
        assert_eq!(seen(folder.path()), second);

        fs::remove_file(&source).unwrap();
        assert_eq!(seen(folder.path()), empty);
    }

    #[test]
    fn the_sources_of_every_service_are_watched() {
        let Sources(written) = Sources::now();
        let workspace = root::workspace();
        for source in
            ["services/orders/src/app.rs", "services/web/templates/order.html", "Cargo.lock"]
        {
            assert!(written.contains_key(&workspace.join(source)), "{source}");
        }
    }
}
