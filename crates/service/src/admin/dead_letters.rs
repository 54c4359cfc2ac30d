//! `dead-letters list | show | replay`.

use std::fmt::Write;

use anyhow::{Context as _, ensure};
use bus::DeadLetter;
use clap::Subcommand;
use store::Aggregate;

use super::commands::AdminCommands;

/// The maximum width of a reason in the list.
const MAX_REASON: usize = 100;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists them, oldest first
    List,
    /// Shows one: its reason, headers and data
    Show {
        /// Its number in the list
        #[arg(value_name = "NUMBER")]
        letter: u64,
    },
    /// Replays some, each through the listener that failed. Those that succeed are removed
    Replay {
        /// Their numbers in the list
        #[arg(value_name = "NUMBER", required_unless_present = "all", conflicts_with = "all")]
        letters: Vec<u64>,
        /// All of them
        #[arg(long)]
        all: bool,
    },
}

impl<S: Clone + Send + Sync + 'static, T: Aggregate> AdminCommands<S, T> {
    pub(super) async fn dead_letters(&self, command: Command) -> anyhow::Result<()> {
        self.wait_until_connected().await?;
        match command {
            Command::List => {
                let letters = self.context.bus.dead_letters().await?;
                print!("{}", table(&letters));
                Ok(())
            }
            Command::Show { letter } => {
                print!("{}", details(&self.letter(letter).await?));
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
                self.replay(self.context.bus.dead_letters().await?).await
            }
        }
    }

    async fn letter(&self, number: u64) -> anyhow::Result<DeadLetter> {
        let name = self.context.name;
        let letter = self.context.bus.dead_letter(number).await?;
        letter.with_context(|| format!("{name} has no dead letter {number}"))
    }

    /// Runs the listener of each in this process. One that fails again stays, and doesn't block the others.
    async fn replay(&self, letters: Vec<DeadLetter>) -> anyhow::Result<()> {
        let mut failed = 0;
        let all = letters.len();
        for DeadLetter { number, subject, data, .. } in letters {
            match self.listeners.handle(&subject, &data).await {
                Ok(()) => {
                    self.context.bus.discard_dead_letter(number).await?;
                    println!("{number}: {subject} handled and removed");
                }
                Err(failure) => {
                    failed += 1;
                    println!("{number}: {subject} failed again: {failure}");
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

fn table(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return "No dead letters.\n".to_owned();
    }
    let cells = letters.iter().map(|letter| {
        let place = format!("{} {}", letter.stream, letter.sequence);
        let mut reason = letter.reason.clone();
        if let Some((end, _)) = reason.char_indices().nth(MAX_REASON) {
            reason.truncate(end);
            reason.push('…');
        }
        let DeadLetter { number, time, subject, deliveries, .. } = letter;
        [number.to_string(), time.to_string(), subject.clone(), place, deliveries.clone(), reason]
    });
    let head = ["NUMBER", "TIME", "SUBJECT", "FROM", "DELIVERIES", "REASON"].map(str::to_owned);
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

fn details(letter: &DeadLetter) -> String {
    let DeadLetter { number, time, reason, subject, stream, sequence, deliveries, headers, data } =
        letter;
    let mut text = format!(
        "number      {number}\ntime        {time}\ndeliveries  {deliveries}\nsubject     {subject}\n\
         from        {stream}, sequence {sequence}\nreason      {reason}\n\nheaders\n"
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
