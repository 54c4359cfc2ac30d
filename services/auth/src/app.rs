//! The map: what the service is told, what it is made of, and every route.

use std::path::PathBuf;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use clap::Parser;
use common::Clock;
use common::auth::Verifier;
use common::bus::Listeners;
use common::config::{FoundationSettings, ServerSettings};
use common::foundation::Foundation;
use common::operate::Operator;
use common::server::Service;
use http::{HeaderValue, header};

use crate::cookies::SessionCookies;
use crate::domain::User;
use crate::passwords::Passwords;
use crate::routes::{currentuser, refresh, signin, signout, signup};
use crate::store::Store;
use crate::tokens::Minter;

/// Signs users up, in and out.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "auth",
    after_help = "`auth generate-keys --out DIR` makes the pair of keys that the settings name."
)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub foundation: FoundationSettings,

    /// File with the Ed25519 private key (PKCS#8, PEM) that sign-in tokens are signed with
    #[arg(long, env = "JWT_PRIVATE_KEY")]
    pub jwt_private_key: PathBuf,
}

/// What a handler has at hand.
#[derive(Clone)]
pub struct App {
    pub(crate) store: Store,
    pub(crate) passwords: Passwords,
    pub(crate) minter: Minter,
    pub(crate) cookies: SessionCookies,
    pub(crate) verifier: Verifier,
    pub(crate) clock: Clock,
    foundation: Foundation,
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
        let minter = Minter::from_file(&settings.jwt_private_key)?;
        anyhow::ensure!(
            minter.is_trusted_by(&verifier, clock.now()),
            "JWT_PRIVATE_KEY: its public half is not among JWT_PUBLIC_KEYS ({}), so nobody would take its tokens",
            server.jwt_public_keys.display()
        );
        let foundation = Foundation::connect("auth", &settings.foundation, clock.clone()).await?;
        Ok(App {
            store: Store::open(&foundation.database, clock.clone()).await?,
            passwords: Passwords::start().await?,
            minter,
            cookies: SessionCookies::of(&server.public_url),
            verifier,
            clock,
            foundation,
        })
    }
}

pub fn routes(app: App) -> Router {
    Router::new()
        .route("/api/users/signup", post(signup::handle))
        .route("/api/users/signin", post(signin::handle))
        .route("/api/users/signout", post(signout::handle))
        .route("/api/users/refresh", post(refresh::handle))
        .route("/api/users/currentuser", get(currentuser::handle))
        .route("/api/users/currentUser", get(currentuser::handle))
        .layer(map_response(personal))
        .with_state(app)
}

/// auth listens to nobody.
pub fn listeners() -> Listeners<()> {
    Listeners::new(())
}

pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
    let app = App::connect(&settings, clock).await?;
    let service = app.foundation.service(routes(app.clone()));
    Ok(service.background(app.foundation.relay(&app.store.users)))
}

/// What an operator's commands work with.
pub async fn operator(
    settings: FoundationSettings,
    clock: Clock,
) -> anyhow::Result<Operator<(), User>> {
    let foundation = Foundation::connect("auth", &settings, clock.clone()).await?;
    let store = Store::open(&foundation.database, clock).await?;
    Ok(foundation.operator(listeners(), &store.users))
}

/// Each answer is one person's alone. (Errors say so by themselves.)
async fn personal(mut response: Response) -> Response {
    if response.status().is_success() {
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    }
    response
}
