//! Settings of every service that stores something. They come from environment variables; the doc comments are what
//! `--help` prints.

use bus::NatsSettings;
use clap::Args;
use store::MongoSettings;

/// What a [`crate::ServiceContext`] is made of.
#[derive(Clone, Debug, Args)]
pub struct ContextSettings {
    #[command(flatten)]
    pub mongo: MongoSettings,
    #[command(flatten)]
    pub nats: NatsSettings,
}
