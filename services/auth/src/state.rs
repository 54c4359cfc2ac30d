//! The settings of the service, and the state that its handlers and background tasks share.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use account_links::{LinkKeys, LinkSettings};
use axum::extract::FromRef;
use clap::Parser;
use common::Clock;
use httpkit::auth::Verifier;
use httpkit::settings::ServerSettings;
use service::{ContextSettings, ServiceContext};
use tokio::sync::Notify;

use crate::cookies::SessionCookies;
use crate::domain::EmailAddress;
use crate::known_devices::KnownDevices;
use crate::limits::Limits;
use crate::passwords::Passwords;
use crate::store::Store;
use crate::tokens::TokenIssuer;

/// Signs users up, in and out.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "auth",
    after_help = "`auth generate-keys --out DIR` creates the pair of keys that the settings name, and `auth rotate-keys` replaces it."
)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub context: ContextSettings,

    /// File with the Ed25519 private key (PKCS#8, PEM) that sign-in tokens are signed with
    #[arg(long, env = "JWT_PRIVATE_KEY")]
    pub jwt_private_key: PathBuf,

    /// Where rate limits are counted, by all replicas together; while it is down, each limits by itself
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: String,

    /// Number of accounts that may be created from one client IP per hour
    #[arg(long, env = "SIGN_UPS_PER_HOUR", default_value = "20")]
    pub sign_ups_per_hour: NonZeroU32,
    #[command(flatten)]
    pub links: LinkSettings,

    /// The address of an account that becomes an administrator's at the start; sign up with it first
    #[arg(long, env = "ADMIN_EMAIL")]
    pub admin_email: Option<AdminEmail>,
}

/// The address of the first administrator's account, as it was typed, too: an older account may be stored so.
#[derive(Clone, Debug)]
pub struct AdminEmail {
    pub(crate) typed: String,
    pub(crate) address: EmailAddress,
}

impl FromStr for AdminEmail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = EmailAddress::parse(text).map_err(|error| error.to_string())?;
        Ok(AdminEmail { typed: text.to_owned(), address })
    }
}

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    pub(crate) store: Store,
    pub(crate) passwords: Passwords,
    pub(crate) token_issuer: TokenIssuer,
    pub(crate) link_keys: LinkKeys,
    /// Wakes the task that issues the links to another password.
    pub(crate) wake_recoveries: Arc<Notify>,
    pub(crate) cookies: SessionCookies,
    pub(crate) known_devices: KnownDevices,
    pub(crate) limits: Limits,
    pub(crate) verifier: Verifier,
    pub(crate) clock: Clock,
    pub(crate) context: ServiceContext,
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Verifier {
        app.verifier.clone()
    }
}

impl App {
    pub async fn connect(settings: &Settings, clock: Clock) -> anyhow::Result<App> {
        let server = &settings.server;
        let verifier = server.verifier(&clock)?;
        let token_issuer = TokenIssuer::from_file(&settings.jwt_private_key)?;
        anyhow::ensure!(
            token_issuer.is_trusted_by(&verifier, clock.now()),
            "JWT_PRIVATE_KEY: its public half is not among JWT_PUBLIC_KEYS ({}), so no service would accept its tokens",
            server.jwt_public_keys.display()
        );
        let limits = Limits::connect(&settings.redis_url, settings.sign_ups_per_hour).await?;
        let context = ServiceContext::connect("auth", &settings.context, clock.clone()).await?;
        Ok(App {
            store: Store::open(&context.database, clock.clone()).await?,
            passwords: Passwords::start().await?,
            known_devices: KnownDevices::new(&token_issuer, &verifier, &server.public_url),
            limits,
            token_issuer,
            link_keys: settings.links.read()?,
            wake_recoveries: Arc::default(),
            cookies: SessionCookies::of(&server.public_url),
            verifier,
            clock,
            context,
        })
    }
}
