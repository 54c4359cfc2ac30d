//! The folders: the workspace, and the root of one running system (by default `.dev`).

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// The repository. The binary is only ever run where it was built.
pub fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_owned()
}

/// The downloaded servers: shared by all roots.
pub fn downloaded_servers() -> PathBuf {
    workspace().join(".dev/servers")
}

/// One system's own folder: `run/` (pid files, ports, rendered configuration), `log/`, `data/` and `keys/`.
#[derive(Clone)]
pub struct Root {
    dir: PathBuf,
}

impl Root {
    pub fn open(dir: Option<&Path>, default: &str) -> Result<Self> {
        // A given path is relative to the current directory; the default one to the repository.
        let dir = match dir {
            Some(dir) => std::path::absolute(dir)?,
            None => workspace().join(default),
        };
        let root = Self { dir };
        for part in [root.run(), root.log(), root.data(), root.keys()] {
            fs::create_dir_all(&part).with_context(|| format!("creating {}", part.display()))?;
        }
        Ok(root)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn run(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }

    pub fn data_of(&self, name: &str) -> Result<PathBuf> {
        let dir = self.data().join(name);
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(dir)
    }

    pub fn delete_data(&self) -> Result<()> {
        fs::remove_dir_all(self.data())
            .with_context(|| format!("deleting {}", self.data().display()))?;
        fs::create_dir_all(self.data())?;
        Ok(())
    }

    /// Locks the root, or returns `None` when another process has locked it. The kernel releases the lock when its holder exits,
    /// for whatever reason.
    pub fn lock(&self) -> Result<Option<File>> {
        let path = self.run().join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("locking {}", path.display()))
            }
        }
    }
}

/// Replaces a template's `{{name}}`s.
pub fn render(template: &Path, values: &[(&str, &str)]) -> Result<String> {
    let text =
        fs::read_to_string(template).with_context(|| format!("reading {}", template.display()))?;
    Ok(values
        .iter()
        .fold(text, |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value)))
}
