//! Settings.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

/// A local mailbox: an SMTP server that delivers to nobody, and a page on which its mails are read.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub struct Settings {
    /// The address to listen on.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// The port of the page and the API; 0 takes any free one.
    #[arg(long, env = "PORT", default_value_t = 8025)]
    pub port: u16,

    /// The port of the SMTP server; 0 takes any free one.
    #[arg(long, env = "SMTP_PORT", default_value_t = 2525)]
    pub smtp_port: u16,

    /// The directory of the accepted mails. It is created if it doesn't exist.
    #[arg(long, env = "DATA_DIR", default_value = ".dev/mail")]
    pub data_dir: PathBuf,

    /// The user and the password that a client must authenticate with, as USER:PASSWORD; without it, any will do, and none.
    #[arg(long, env = "CREDENTIALS", value_parser = credentials, hide_env_values = true)]
    pub credentials: Option<(String, String)>,

    /// After how many seconds without a command a connection is closed, with 421.
    #[arg(long, env = "IDLE_SECONDS", default_value_t = 300)]
    pub idle_seconds: u64,
}

fn credentials(text: &str) -> Result<(String, String), String> {
    let (user, password) = text.split_once(':').ok_or("expected USER:PASSWORD")?;
    Ok((user.to_owned(), password.to_owned()))
}

/// The same settings, for a double embedded in another program.
#[derive(Debug, Clone)]
pub struct Config {
    pub host: IpAddr,
    pub port: u16,
    pub smtp_port: u16,
    pub data_dir: PathBuf,
    pub credentials: Option<(String, String)>,
    pub idle: Duration,
}

impl Config {
    /// On free ports of the loopback interface.
    pub fn in_dir(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            smtp_port: 0,
            data_dir: data_dir.into(),
            credentials: None,
            idle: Duration::from_secs(300),
        }
    }
}

impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        let Settings { host, port, smtp_port, data_dir, credentials, idle_seconds } = settings;
        let idle = Duration::from_secs(idle_seconds);
        Self { host, port, smtp_port, data_dir, credentials, idle }
    }
}
