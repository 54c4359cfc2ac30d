//! The write-ahead log: one line of JSON for each request that changed something, durable before its response is sent.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Seek, SeekFrom, Write},
    path::Path,
    thread::JoinHandle,
};

use anyhow::{Context, bail};
use tokio::sync::{mpsc, oneshot};

use crate::ledger::{Entry, Ledger};

#[derive(Debug)]
pub struct Journal {
    lines: mpsc::UnboundedSender<Line>,
}

#[derive(Debug)]
struct Line {
    json: Vec<u8>,
    written: oneshot::Sender<()>,
}

impl Journal {
    /// Replays the journal and appends to it from then on. The writer thread ends when the journal is dropped.
    pub fn open(dir: &Path) -> anyhow::Result<(Self, Ledger, JoinHandle<()>)> {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("can't create the directory {}", dir.display()))?;
        let path = dir.join("journal.jsonl");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("can't open {}", path.display()))?;
        file.try_lock()
            .with_context(|| format!("{} belongs to another process", path.display()))?;
        let ledger = replay(&mut file).with_context(|| format!("can't read {}", path.display()))?;
        // The directory entry of a new file has to be durable as well.
        File::open(dir)?.sync_all()?;

        let (lines, queue) = mpsc::unbounded_channel();
        let writer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write(file, queue))?;
        Ok((Self { lines }, ledger, writer))
    }

    /// Returns when the entry is durable.
    pub async fn append(&self, entry: &Entry) -> anyhow::Result<()> {
        let mut json = serde_json::to_vec(entry)?;
        json.push(b'\n');
        let (written, done) = oneshot::channel();
        self.lines.send(Line { json, written }).context("the journal has stopped")?;
        done.await.context("the journal has stopped")
    }
}

/// An incomplete last line was never acknowledged and is truncated. Any other unreadable line is corruption.
fn replay(file: &mut File) -> anyhow::Result<Ledger> {
    let mut ledger = Ledger::default();
    let mut reader = BufReader::new(&mut *file);
    let mut line = Vec::new();
    let (mut number, mut good) = (0_usize, 0_u64);
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if length == 0 {
            break;
        }
        number += 1;
        if !line.ends_with(b"\n") {
            tracing::warn!(line = number, "incomplete last line of the journal dropped");
            break;
        }
        match serde_json::from_slice::<Entry>(&line) {
            Ok(entry) => ledger.apply(entry),
            Err(error) => bail!("line {number} is damaged: {error}"),
        }
        good += length as u64;
    }
    drop(reader);
    file.set_len(good)?;
    file.seek(SeekFrom::Start(good))?;
    Ok(ledger)
}

/// Group commit: one write and one sync for all queued lines.
fn write(mut file: File, mut queue: mpsc::UnboundedReceiver<Line>) {
    let mut batch = Vec::new();
    while queue.blocking_recv_many(&mut batch, 1024) > 0 {
        let bytes: Vec<u8> = batch.iter().flat_map(|line| line.json.iter().copied()).collect();
        if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
            // Whether these lines survive a restart is unknown: every later append fails.
            tracing::error!(%error, "journal write failed");
            return;
        }
        for line in batch.drain(..) {
            // The request may have been dropped; its line stays.
            let _ = line.written.send(());
        }
    }
}
