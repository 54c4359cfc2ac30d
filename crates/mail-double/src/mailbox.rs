//! The mails that were accepted: two files each, the message as it came and its envelope. The envelope is written last, so
//! that a mail with one is complete; both are on disk before the client gets its 250.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who sent it to whom, as the commands before the message said, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    pub from: String,
    pub to: Vec<String>,
    /// Whether the connection was encrypted.
    pub tls: bool,
    /// Whom the client authenticated as.
    pub user: Option<String>,
    pub received_at: Timestamp,
}

#[derive(Debug)]
pub struct Mail {
    pub id: u64,
    pub envelope: Envelope,
    pub raw: Vec<u8>,
}

#[derive(Debug)]
pub struct Mailbox {
    directory: PathBuf,
    mails: Mutex<Mails>,
}

#[derive(Debug, Default)]
struct Mails {
    last_id: u64,
    /// In the order of their ids.
    kept: Vec<Arc<Mail>>,
}

impl Mailbox {
    /// Reads what an earlier process has accepted.
    pub fn open(directory: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        let mut mails = Mails::default();
        for entry in fs::read_dir(directory)?.flatten() {
            let path = entry.path();
            let Some(id) = id_of(&path) else { continue };
            mails.last_id = mails.last_id.max(id);
            if path.extension().is_some_and(|extension| extension == "json") {
                let read = || -> anyhow::Result<Mail> {
                    let envelope = serde_json::from_slice(&fs::read(&path)?)?;
                    Ok(Mail { id, envelope, raw: fs::read(path.with_extension("eml"))? })
                };
                let mail = read().with_context(|| path.display().to_string())?;
                mails.kept.push(Arc::new(mail));
            }
        }
        mails.kept.sort_by_key(|mail| mail.id);
        Ok(Self { directory: directory.to_owned(), mails: Mutex::new(mails) })
    }

    /// Keeps a mail: when this returns, a kill of the process doesn't lose it. (A loss of power may; that a disk writes it down
    /// would make a mailbox for tests the slowest part of the system.)
    pub fn add(&self, envelope: Envelope, raw: Vec<u8>) -> io::Result<u64> {
        let id = {
            let mut mails = self.mails();
            mails.last_id += 1;
            mails.last_id
        };
        let path = self.directory.join(format!("{id:08}"));
        write(&path.with_extension("eml"), &raw)?;
        write(&path.with_extension("json"), &serde_json::to_vec(&envelope)?)?;
        let mut mails = self.mails();
        mails.kept.push(Arc::new(Mail { id, envelope, raw }));
        mails.kept.sort_by_key(|mail| mail.id);
        Ok(id)
    }

    /// In the order in which they came.
    pub fn all(&self) -> Vec<Arc<Mail>> {
        self.mails().kept.clone()
    }

    pub fn find(&self, id: u64) -> Option<Arc<Mail>> {
        self.mails().kept.iter().find(|mail| mail.id == id).cloned()
    }

    pub fn clear(&self) -> io::Result<()> {
        let removed = std::mem::take(&mut self.mails().kept);
        for mail in removed {
            let path = self.directory.join(format!("{:08}", mail.id));
            // The envelope first: without it, the message counts as incomplete.
            fs::remove_file(path.with_extension("json"))?;
            fs::remove_file(path.with_extension("eml"))?;
        }
        Ok(())
    }

    fn mails(&self) -> std::sync::MutexGuard<'_, Mails> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// Under its final name only when it is complete.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, bytes)?;
    fs::rename(unfinished, path)
}
