//! The settings of the service, and the state that its listeners and workers share.

use clap::{Args, Parser};
use common::Clock;
use httpkit::settings::ServerSettings;
use service::{ContextSettings, ServiceContext};

use crate::store::Store;
use crate::timers::TimerQueue;

/// When each reservation expires
#[derive(Clone, Debug, Parser)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub state: StateSettings,
}

/// The settings of the state alone; an admin command needs no others.
#[derive(Clone, Debug, Args)]
pub struct StateSettings {
    #[command(flatten)]
    pub context: ContextSettings,

    /// The timer queue; it may lose its contents, which are in MongoDB as well
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: String,
}

/// What the listeners and the workers share.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub timers: TimerQueue,
    pub clock: Clock,
    pub(crate) context: ServiceContext,
}

impl App {
    /// Connects, and creates the indexes before any event is consumed. Redis and NATS are connected to in the background: the
    /// service starts while they are down.
    pub async fn connect(settings: &StateSettings, clock: Clock) -> anyhow::Result<App> {
        let context =
            ServiceContext::connect("expiration", &settings.context, clock.clone()).await?;
        Ok(App {
            store: Store::open(&context.database, clock.clone()).await?,
            timers: TimerQueue::new(&settings.redis_url)?,
            clock,
            context,
        })
    }

    /// The same state for listeners and background tasks, which have connections to MongoDB of their own.
    pub fn in_background(&self) -> App {
        App { store: self.store.in_background(&self.context.background), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `--help` is pasted into tickets and chats, and these contain passwords.
    #[test]
    fn help_hides_the_values_of_secrets() {
        let command = StateSettings::augment_args(clap::Command::new("expiration"));
        for secret in ["MONGO_URI", "NATS_URL", "REDIS_URL"] {
            let named = |arg: &&clap::Arg| arg.get_env().is_some_and(|env| env == secret);
            let arg = command.get_arguments().find(named).unwrap();
            assert!(arg.is_hide_env_values_set(), "{secret}");
        }
    }
}
