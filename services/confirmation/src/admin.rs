//! `confirmation mails list | show | retry`: what an operator does about mails that could not be sent.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use common::Clock;

use crate::domain::{Mail, MailId, Status};
use crate::state::{App, StateSettings};

/// The mails of this service
#[derive(Debug, Parser)]
#[command(name = "confirmation mails")]
struct Settings {
    #[command(flatten)]
    state: StateSettings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists those that the server has refused, oldest first
    List {
        /// Those that are still to be sent, instead
        #[arg(long)]
        queued: bool,
    },
    /// Shows one
    Show {
        /// Its id in the list
        id: String,
    },
    /// Has some sent again, or sent now
    Retry {
        /// Their ids in the list
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<String>,
        /// All that were refused
        #[arg(long)]
        all: bool,
    },
}

/// Runs the command on the command line.
pub async fn main() -> ! {
    // The first argument is the name of this group of commands.
    let arguments = std::env::args_os();
    let settings = Settings::parse_from(arguments.skip(1));
    service::run_command(run(settings)).await
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let app = App::connect(&settings.state, Clock::system()).await?;
    match settings.command {
        Command::List { queued: false } => {
            print!("{}", table(&app.store.with_status(Status::Failed).await?));
        }
        Command::List { queued: true } => {
            let mut mails = app.store.with_status(Status::Queued).await?;
            mails.extend(app.store.with_status(Status::Sending).await?);
            print!("{}", table(&mails));
        }
        Command::Show { id } => print!("{}", details(&find(&app, &id).await?)),
        Command::Retry { ids, all } => {
            let mut mails =
                if all { app.store.with_status(Status::Failed).await? } else { Vec::new() };
            for id in ids {
                mails.push(find(&app, &id).await?);
            }
            ensure!(!mails.is_empty(), "no mail was refused");
            for mail in mails {
                retry(&app, &mail).await?;
            }
        }
    }
    Ok(())
}

/// The running service sends it.
async fn retry(app: &App, mail: &Mail) -> anyhow::Result<()> {
    let now = app.clock.now();
    let after = app.store.record(&mail.id, |mail| mail.retry(now)).await?;
    let status = after.map_or(mail.status, |mail| mail.status);
    println!("{}: {}", mail.id, status.as_str());
    Ok(())
}

async fn find(app: &App, id: &str) -> anyhow::Result<Mail> {
    let mail = app.store.mail(&MailId::parse(id)).await?;
    mail.with_context(|| format!("there is no mail {id}"))
}

fn table(mails: &[Mail]) -> String {
    if mails.is_empty() {
        return "No mails.\n".to_owned();
    }
    let mut text = String::new();
    for Mail { id, created_at, attempts, reason, .. } in mails {
        let reason = reason.as_deref().unwrap_or_default();
        // Writing into a String can't fail.
        let _ = writeln!(text, "{id}  {created_at}  {attempts} attempts  {reason}");
    }
    text
}

fn details(mail: &Mail) -> String {
    let time = |time: Option<common::Time>| time.map(|time| time.to_string()).unwrap_or_default();
    format!(
        "id        {}\nkind      {}\nstatus    {}\nuser      {}\norder     {}\naddress   {}\ncreated   {}\n\
         due       {}\nsent      {}\nattempts  {}, of {} the outcome is unknown\nreason    {}\n",
        mail.id,
        mail.kind.as_str(),
        mail.status.as_str(),
        mail.user_id,
        mail.order.as_ref().map(|order| order.id.to_string()).unwrap_or_default(),
        mail.address.as_deref().unwrap_or_default(),
        mail.created_at,
        time(mail.next_run_at),
        time(mail.sent_at),
        mail.attempts,
        mail.unknown_outcomes,
        mail.reason.as_deref().unwrap_or_default(),
    )
}
