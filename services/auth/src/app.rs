//! The map: every route and the background task of the service. It has no listeners.

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use bus::Listeners;
use common::Clock;
use http::{HeaderValue, header};
use httpkit::Service;
use httpkit::settings::ServerSettings;
use service::{AdminCommands, ContextSettings, Microservice, ServiceContext};

use crate::domain::User;
use crate::routes::{currentuser, refresh, signin, signout, signup};
use crate::state::{App, Settings};
use crate::store::Store;

pub fn routes(state: App) -> Router {
    Router::new()
        .route("/api/users/signup", post(signup::handle))
        .route("/api/users/signin", post(signin::handle))
        .route("/api/users/signout", post(signout::handle))
        .route("/api/users/refresh", post(refresh::handle))
        .route("/api/users/currentuser", get(currentuser::handle))
        .route("/api/users/currentUser", get(currentuser::handle))
        .layer(map_response(no_store))
        .with_state(state)
}

/// auth consumes no events.
pub fn listeners() -> Listeners<()> {
    Listeners::new(())
}

/// The service, as `main` runs it.
pub struct Auth;

impl Microservice for Auth {
    const NAME: &'static str = "auth";
    type Settings = Settings;
    type StateSettings = ContextSettings;
    type State = ();
    type Document = User;

    fn server(settings: &Settings) -> &ServerSettings {
        &settings.server
    }

    async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
        let app = App::connect(&settings, clock).await?;
        let service = app.context.service(routes(app.clone()));
        Ok(service.background("relay", app.context.relay(app.store.documents())))
    }

    async fn admin(
        settings: ContextSettings,
        clock: Clock,
    ) -> anyhow::Result<AdminCommands<(), User>> {
        let context = ServiceContext::connect("auth", &settings, clock.clone()).await?;
        let store = Store::open(&context.database, clock.clone()).await?;
        let admin = AdminCommands::new(&context, listeners(), store.documents());
        // The back-up revives sessions that were revoked since, and refresh tokens that were already used.
        Ok(admin.after_restore(move |_| async move { Ok(store.revoke_all(clock.now()).await?) }))
    }
}

/// Middleware: a response is for one user alone. (Errors set the header themselves.)
async fn no_store(mut response: Response) -> Response {
    if response.status().is_success() {
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    }
    response
}
