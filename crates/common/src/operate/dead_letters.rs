//! `dead-letters list | show | replay`.

use std::fmt::Write;

use anyhow::{Context as _, ensure};
use clap::Subcommand;

use super::Operator;
use crate::bus::{Aggregate, Letter};

/// The columns of a list, and how wide a reason may be in it.
const REASON: usize = 100;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists them, the oldest first
    List,
    /// Shows one whole: its reason, its headers, its data
    Show {
        /// Its number in the list
        #[arg(value_name = "LETTER")]
        letter: u64,
    },
    /// Handles some again, each by the one listener that failed. What succeeds is taken off the list
    Replay {
        /// Their numbers in the list
        #[arg(value_name = "LETTER", required_unless_present = "all", conflicts_with = "all")]
        letters: Vec<u64>,
        /// All that are there
        #[arg(long)]
        all: bool,
    },
}

impl<S: Clone + Send + Sync + 'static, T: Aggregate> Operator<S, T> {
    pub(super) async fn dead_letters(&self, command: Command) -> anyhow::Result<()> {
        self.until_connected().await?;
        match command {
            Command::List => {
                let letters = self.foundation.bus.dead_letters().await?;
                print!("{}", table(&letters));
                Ok(())
            }
            Command::Show { letter } => {
                print!("{}", whole(&self.letter(letter).await?));
                Ok(())
            }
            Command::Replay { letters, all: false } => {
                let mut found = Vec::new();
                for number in letters {
                    found.push(self.letter(number).await?);
                }
                self.replay(found).await
            }
            Command::Replay { all: true, .. } => {
                self.replay(self.foundation.bus.dead_letters().await?).await
            }
        }
    }

    async fn letter(&self, number: u64) -> anyhow::Result<Letter> {
        let name = self.foundation.name;
        let letter = self.foundation.bus.dead_letter(number).await?;
        letter.with_context(|| format!("{name} has no dead letter {number}"))
    }

    /// Runs the listener of each, here. One that fails again stays, and doesn't hold up the others.
    async fn replay(&self, letters: Vec<Letter>) -> anyhow::Result<()> {
        let mut failed = 0;
        let all = letters.len();
        for Letter { number, subject, data, .. } in letters {
            match self.listeners.handle(&subject, &data).await {
                Ok(()) => {
                    self.foundation.bus.discard_dead_letter(number).await?;
                    println!("{number}: {subject} is handled, and off the list");
                }
                Err(failure) => {
                    failed += 1;
                    println!("{number}: {subject} has failed again, and stays: {failure}");
                }
            }
        }
        if all == 0 {
            println!("No dead letters.");
        }
        ensure!(failed == 0, "{failed} of {all} could not be handled");
        Ok(())
    }
}

fn table(letters: &[Letter]) -> String {
    if letters.is_empty() {
        return "No dead letters.\n".to_owned();
    }
    let cells = letters.iter().map(|letter| {
        let place = format!("{} {}", letter.stream, letter.sequence);
        let mut reason = letter.reason.clone();
        if let Some((end, _)) = reason.char_indices().nth(REASON) {
            reason.truncate(end);
            reason.push('…');
        }
        let Letter { number, time, subject, tries, .. } = letter;
        [number.to_string(), time.to_string(), subject.clone(), place, tries.clone(), reason]
    });
    let head = ["LETTER", "GIVEN UP", "SUBJECT", "FROM", "TRIES", "REASON"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(cells).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn whole(letter: &Letter) -> String {
    let Letter { number, time, reason, subject, stream, sequence, tries, headers, data } = letter;
    let mut text = format!(
        "letter    {number}\ngiven up  {time}, after {tries} deliveries\nsubject   {subject}\n\
         from      {stream}, message {sequence}\nreason    {reason}\n\nheaders\n"
    );
    for (name, value) in headers {
        // Writing into a String can't fail.
        let _ = writeln!(text, "  {name}: {value}");
    }
    let shown = serde_json::from_slice::<serde_json::Value>(data)
        .and_then(|json| serde_json::to_string_pretty(&json))
        .unwrap_or_else(|_| String::from_utf8_lossy(data).into_owned());
    let _ = write!(text, "\ndata\n{shown}\n");
    text
}
