//! The map: every route and the background task of the service. It has no listeners.

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{delete, get, patch, post, put};
use bus::Listeners;
use common::Clock;
use http::{HeaderValue, header};
use httpkit::Service;
use httpkit::openapi;
use httpkit::settings::ServerSettings;
use service::{AdminCommands, ContextSettings, Microservice, ServiceContext};

use crate::domain::User;
use crate::first_admin;
use crate::openapi::SNAPSHOT;
use crate::promises::PROMISES;
use crate::recoveries;
use crate::routes::{
    access_token, add_to_group, audit, ban, change, create_token, currentuser, disown,
    end_all_sessions, end_session, find_user, jwks, recover, refresh, remove_from_group,
    request_recovery, request_verification, revoke_token, sessions, show_user, signin, signout,
    signup, tokens, unban, verify,
};
use crate::state::{App, Settings};
use crate::store::Store;
use crate::write_limit::limit_writes;

pub fn routes(state: App) -> Router {
    Router::new()
        .route("/api/auth/openapi.json", openapi::serve(SNAPSHOT))
        .route("/api/users/signup", post(signup::handle))
        .route("/api/users/signin", post(signin::handle))
        .route("/api/users/signout", post(signout::handle))
        .route("/api/users/refresh", post(refresh::handle))
        .route("/api/users/currentuser", get(currentuser::handle))
        .route("/api/users/currentUser", get(currentuser::handle))
        .route("/api/users/me", patch(change::handle))
        .route("/api/users/verification", post(request_verification::handle))
        .route("/api/users/verification/confirm", post(verify::handle))
        .route("/api/users/recovery", post(request_recovery::handle))
        .route("/api/users/recovery/confirm", post(recover::handle))
        .route("/api/users/disown", post(disown::handle))
        .route("/api/users/sessions", get(sessions::handle).delete(end_all_sessions::handle))
        .route("/api/users/sessions/{id}", delete(end_session::handle))
        .route("/api/users/tokens", get(tokens::handle).post(create_token::handle))
        .route("/api/users/tokens/access", post(access_token::handle))
        .route("/api/users/tokens/{id}", delete(revoke_token::handle))
        .route("/api/users/.well-known/jwks.json", get(jwks::handle))
        .route("/api/users", get(find_user::handle))
        .route("/api/users/audit", get(audit::handle))
        .route("/api/users/{id}", get(show_user::handle))
        .route("/api/users/{id}/ban", put(ban::handle).delete(unban::handle))
        .route(
            "/api/users/{id}/groups/{group}",
            put(add_to_group::handle).delete(remove_from_group::handle),
        )
        .layer(from_fn_with_state(state.clone(), limit_writes))
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
        if let Some(email) = &settings.admin_email {
            first_admin::appoint(&app, email).await?;
        }
        let service = app.context.service_with_sessions(routes(app.clone()), &app.verifier);
        let (limits, of_recoveries) = (app.limits.clone(), app.clone());
        Ok(service
            .background("redis", |stop| limits.keep_connected(stop))
            .background("recoveries", |stop| recoveries::run(of_recoveries, stop))
            .background("promises", app.context.watch(&PROMISES))
            .background("relay", app.context.relay(app.store.documents()))
            .background("relay of sessions", app.context.relay(app.store.sessions()))
            .background("relay of tokens", app.context.relay(app.store.api_tokens())))
    }

    async fn admin(
        settings: ContextSettings,
        clock: Clock,
    ) -> anyhow::Result<AdminCommands<(), User>> {
        let context = ServiceContext::connect("auth", &settings, clock.clone()).await?;
        let store = Store::open(&context.database, clock).await?;
        let admin = AdminCommands::new(&context, listeners(), store.documents());
        Ok(admin.with_documents(store.sessions()).with_documents(store.api_tokens()))
    }
}

/// Middleware: a response is for one user alone, unless its handler says otherwise. (Errors set the header themselves.)
async fn no_store(mut response: Response) -> Response {
    if response.status().is_success() {
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(no_store);
    }
    response
}
