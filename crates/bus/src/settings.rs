//! Settings of the bus. They come from environment variables; the doc comments are what `--help` prints.

use clap::Args;
use url::Url;

/// How NATS is reached.
#[derive(Clone, Debug, Args)]
pub struct NatsSettings {
    /// NATS with JetStream, such as nats://orders:password@nats:4222. Where it has a user for each service, this
    /// one's is named in the URL
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: String,

    /// NATS' monitoring port, by which it is checked that JetStream syncs before it acknowledges, such as
    /// http://nats:8222; for a cluster, a name that resolves to all of its nodes. Without it, that isn't checked
    #[arg(long, env = "NATS_MONITOR_URL")]
    pub nats_monitor_url: Option<Url>,

    #[command(flatten)]
    pub streams: StreamSettings,
}

/// How long and how much the streams keep.
#[derive(Clone, Debug, Args)]
pub struct StreamSettings {
    /// Number of NATS nodes that store each stream
    #[arg(long, env = "NATS_REPLICAS", default_value_t = 1)]
    pub nats_replicas: usize,

    /// How many days an event stays in its stream, and a third of what a dead letter does. After a longer outage of a
    /// consumer, events have to be republished
    #[arg(long, env = "NATS_MAX_AGE_DAYS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(3..=3650))]
    pub nats_max_age_days: u64,

    /// Limit of each stream, in MiB; NATS reserves room for six of them (jetstream.max_file_store)
    #[arg(long, env = "NATS_MAX_MIB", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub nats_max_mib: u32,
}

impl Default for StreamSettings {
    fn default() -> Self {
        StreamSettings { nats_replicas: 1, nats_max_age_days: 30, nats_max_mib: 1024 }
    }
}
