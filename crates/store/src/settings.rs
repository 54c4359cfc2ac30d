//! Settings of the database. They come from environment variables; the doc comments are what `--help` prints.

use clap::Args;

/// The service's own database.
#[derive(Clone, Debug, Args)]
pub struct MongoSettings {
    /// The service's own database, named in the path; a replica set (one member will do)
    #[arg(long, env = "MONGO_URI", hide_env_values = true)]
    pub mongo_uri: String,
}
