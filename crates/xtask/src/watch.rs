//! `up --watch`: builds what is edited, and restarts the services whose program is another one by that.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::time::sleep;

use crate::{
    cargo, environment::Environment, report::Report, root, services::Service, stack::Stack,
};

/// What programs are made of, from the repository.
const SOURCES: [&str; 4] = ["crates", "services", "Cargo.toml", "Cargo.lock"];
/// How often it is looked. They are some hundred files, which takes some milliseconds; what is saved at once is built
/// at once.
const PAUSE: Duration = Duration::from_millis(300);

/// What is watched, and how it is built.
pub struct Watch<'a> {
    pub environment: &'a Environment,
    pub report: &'a Report,
    pub services: &'a [Service],
    pub binaries: PathBuf,
    pub build: Vec<OsString>,
}

impl Watch<'_> {
    /// Goes on for ever. A build that fails, or a program that doesn't start, is told of, and leaves what runs as it
    /// is.
    pub async fn run(self, stack: &Stack) -> Infallible {
        self.report.say("Watching crates/ and services/: what is edited is built and restarted");
        let (mut sources, mut built) = (Sources::now(), self.built());
        loop {
            sources.change().await;
            self.report.say("Something was edited: building");
            if let Err(error) = cargo::build(self.environment, &self.build).await {
                self.report.say(&format!("{error:#}. What runs goes on as it was"));
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

    /// When the program of each service was made.
    fn built(&self) -> Vec<Option<SystemTime>> {
        let made = |service: &Service| {
            fs::metadata(self.binaries.join(&service.name)).and_then(|file| file.modified()).ok()
        };
        self.services.iter().map(made).collect()
    }

    /// One replica after the other, so that the others serve meanwhile.
    async fn restart(&self, services: &[&Service], stack: &Stack) {
        if services.is_empty() {
            self.report.say("No service has changed");
            return;
        }
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        self.report.say(&format!("Restarting {}", names.join(", ")));
        for replica in services.iter().flat_map(|service| &service.replicas) {
            if let Err(error) = stack.restart(&replica.name).await {
                self.report.say(&format!("{error:#}"));
            }
        }
        self.report.say("The new programs run");
    }
}

/// When each source was written.
#[derive(PartialEq)]
struct Sources(BTreeMap<PathBuf, SystemTime>);

impl Sources {
    fn now() -> Self {
        let mut written = BTreeMap::new();
        for source in SOURCES {
            // What goes while it is looked at is not there the next time.
            _ = look(&root::workspace().join(source), &mut written);
        }
        Self(written)
    }

    /// Returns once something was written, added or deleted, and nothing more is.
    async fn change(&mut self) {
        let mut has_changed = false;
        loop {
            sleep(PAUSE).await;
            let now = Self::now();
            let is_still = *self == now;
            *self = now;
            match (is_still, has_changed) {
                (true, true) => return,
                (true, false) => {}
                (false, _) => has_changed = true,
            }
        }
    }
}

fn look(path: &Path, written: &mut BTreeMap<PathBuf, SystemTime>) -> io::Result<()> {
    let file = fs::metadata(path)?;
    if file.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if !is_an_editor_s(&entry.file_name().to_string_lossy()) {
                _ = look(&entry.path(), written);
            }
        }
    } else {
        written.insert(path.to_owned(), file.modified()?);
    }
    Ok(())
}

/// Editors' own files stand beside what is edited.
fn is_an_editor_s(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
        let mut written = BTreeMap::new();
        look(folder, &mut written).unwrap();
        written
    }

    #[test]
    fn what_is_written_added_and_deleted_is_seen_and_what_an_editor_keeps_beside_it_is_not() {
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
