//! `payments reconcile | parked | settle`: what an operator does about payments that Stripe and we may see differently, or
//! that can't succeed.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::builder::NonEmptyStringValueParser;
use clap::{CommandFactory, Parser, Subcommand};
use common::ids::OrderId;
use common::{Clock, Time};

use crate::domain::OrderPayment;
use crate::reconcile::reconcile_since;
use crate::state::{App, StateSettings};

/// How far back payments are compared, unless an operator says so: for as long an authorisation lasts.
const RECENT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Stripe and this service
#[derive(Debug, Parser)]
#[command(name = "payments")]
struct Settings {
    #[command(flatten)]
    state: StateSettings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compares the PaymentIntents at Stripe, their refunds and disputes with this database, in both directions, takes over
    /// what is new, and prints what still differs
    Reconcile {
        /// Those that were created since then, such as 2026-01-31T12:45:00Z; without it, in the last seven days
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        since: Option<Time>,
    },
    /// Lists the payments whose next step has failed so often that it is tried with long pauses
    Parked,
    /// Declares a parked payment as settled: what was captured counts as refunded, what wasn't as cancelled
    Settle {
        /// The order's id in the list
        order: OrderId,
        /// How it was settled; stored with the payment
        #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
        reason: String,
    },
}

/// The commands above.
pub fn commands() -> Vec<clap::Command> {
    Settings::command().get_subcommands().cloned().collect()
}

pub fn has_command(name: &str) -> bool {
    commands().iter().any(|command| command.get_name() == name)
}

fn parse_time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "expected a time such as 2026-01-31T12:45:00Z".to_owned())
}

/// Runs the command on the command line.
pub async fn main() -> ! {
    let settings = Settings::parse();
    service::run_command(run(settings)).await
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let app = App::connect(&settings.state, Clock::system()).await?;
    match settings.command {
        Command::Reconcile { since } => {
            reconcile(&app, since.unwrap_or(app.clock.now() - RECENT)).await
        }
        Command::Parked => {
            print!("{}", table(&app.store.parked().await?));
            Ok(())
        }
        Command::Settle { order, reason } => settle(&app, order, &reason).await,
    }
}

async fn reconcile(app: &App, since: Time) -> anyhow::Result<()> {
    let result = reconcile_since(app, since).await?;
    println!("{} orders with a PaymentIntent, {} mended", result.orders, result.mended);
    for difference in &result.differences {
        println!("{difference}");
    }
    let differences = result.differences.len();
    ensure!(differences == 0, "{differences} differences");
    println!("no differences");
    Ok(())
}

/// The running service publishes it.
async fn settle(app: &App, order: OrderId, reason: &str) -> anyhow::Result<()> {
    let settled = app.store.settle(order, reason, app.limits, app.clock.now()).await?;
    let settled = settled.with_context(|| format!("there is no order {order}"))?;
    println!("{order}: {}", status(&settled));
    Ok(())
}

fn table(payments: &[OrderPayment]) -> String {
    if payments.is_empty() {
        return "No parked payments.\n".to_owned();
    }
    let mut text = String::new();
    for payment in payments {
        let time = |time: Option<Time>| time.map(|time| time.to_string()).unwrap_or_default();
        let (since, next) = (time(payment.failing_since), time(payment.next_run_at));
        let (order, status, failures) = (payment.order_id, status(payment), payment.failures);
        // Writing into a String can't fail.
        let _ =
            writeln!(text, "{order}  {status}  {failures} failures since {since}, next at {next}");
    }
    text
}

fn status(payment: &OrderPayment) -> &'static str {
    payment.payment.as_ref().map_or("none", |payment| payment.status.as_str())
}
