//! Benchmarks of the whole stack in an optimised build: throughput, latency under an open-loop load, the CPU time of each
//! process, and counts of what is sent to MongoDB and NATS. `cargo xtask bench` runs them; `docs/benchmarks.md` has results.
//!
//! Two versions are measured alternately, each on a stack of its own, so that both see the same machine.

mod cpu;
mod delays;
mod figures;
mod load;
mod memory;
mod plot;
mod routes;
mod rush;
mod sales;
mod search;
mod visitor;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::Stack;
pub use figures::{Better, Figure, Table};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Benchmark {
    /// Each route: requests a second with 32 in flight, and the latency at half of that
    Routes,
    /// Orders and sales: their rate with 32 in flight, CPU time, MongoDB commands and messages
    Sales,
    /// How long until a reservation, and its end, are shown
    Delays,
    /// How long a session that was ended elsewhere is still accepted
    Revocations,
    /// 650 tickets, 5,000 impatient buyers, 60 seconds
    Rush,
    /// Searches in 10,000, 100,000 and 300,000 listings
    Search,
    /// Memory after 200,000 requests
    Memory,
}

/// A version, running.
pub struct Subject {
    /// Its commit, or what it is called in the table.
    pub name: String,
    pub stack: Stack,
}

pub struct Options {
    pub benchmarks: Vec<Benchmark>,
    pub rounds: usize,
    /// Where plots are written to.
    pub plots: Option<PathBuf>,
}

/// A version's programs, which aren't running yet.
pub struct Programs {
    pub name: String,
    pub binaries: PathBuf,
    /// Where its data and logs are.
    pub root: PathBuf,
}

/// Measures each version in each round, the versions alternately.
pub async fn run(programs: &[Programs], options: &Options) -> Result<Table> {
    let mut table = Table::new(programs.iter().map(|it| it.name.clone()).collect());
    for benchmark in &options.benchmarks {
        println!("{benchmark:?}, {} rounds", options.rounds);
        // Each benchmark begins with empty databases.
        let mut subjects = Vec::new();
        for (index, it) in programs.iter().enumerate() {
            let begun = Instant::now();
            let stack = Stack::start_programs(&it.binaries, &it.root, 1, &[])
                .with_context(|| format!("starting {}", it.name))?;
            let start = Figure::seconds("start", "all servers and services", begun.elapsed());
            table.add(index, start);
            subjects.push(Subject { name: it.name.clone(), stack });
        }
        for round in 1..=options.rounds {
            for (index, subject) in subjects.iter().enumerate() {
                let begun = Instant::now();
                for figure in measure(*benchmark, subject, options).await? {
                    table.add(index, figure);
                }
                let seconds = begun.elapsed().as_secs();
                println!("  round {round} of {}, {seconds} s", subject.name);
            }
        }
    }
    Ok(table)
}

async fn measure(
    benchmark: Benchmark,
    subject: &Subject,
    options: &Options,
) -> Result<Vec<Figure>> {
    match benchmark {
        Benchmark::Routes => routes::measure(&subject.stack).await,
        Benchmark::Sales => sales::measure(&subject.stack).await,
        Benchmark::Delays => delays::measure(&subject.stack).await,
        Benchmark::Revocations => delays::revocations(&subject.stack).await,
        Benchmark::Rush => {
            let outcome = rush::run(&subject.stack).await?;
            if let Some(folder) = &options.plots {
                plot::rush(&outcome, &folder.join(format!("rush-{}.svg", subject.name)))?;
            }
            Ok(outcome.figures())
        }
        Benchmark::Search => search::measure(&subject.stack).await,
        Benchmark::Memory => memory::measure(&subject.stack).await,
    }
}
