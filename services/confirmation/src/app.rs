//! The map: every route, every listener and all background work of confirmation.

use axum::Router;
use axum::routing::{get, post};
use bus::Listeners;
use common::Clock;
use common::events::Subject;
use httpkit::Service;
use httpkit::auth::Verifier;
use httpkit::openapi;
use httpkit::settings::ServerSettings;
use service::{AdminCommands, HttpState, Microservice};

use crate::domain::Mail;
use crate::mailer::Mailer;
use crate::message::Letterhead;
use crate::openapi::SNAPSHOT;
use crate::promises::PROMISES;
use crate::state::{App, Settings, StateSettings};
use crate::{listeners, routes, worker};

pub fn routes(state: HttpState<App>) -> Router {
    Router::new()
        .route("/api/confirmation/openapi.json", openapi::serve(SNAPSHOT))
        .route("/api/orders/{id}/mails", get(routes::mails::handle))
        .route("/api/orders/{id}/resend-confirmation", post(routes::resend::handle))
        .with_state(state)
}

pub fn listeners(app: App) -> Listeners<App> {
    Listeners::new(app)
        .on(listeners::user_created::handle)
        .on(listeners::user_updated::handle)
        .on(listeners::order_created::handle)
        .on(listeners::order_updated::handle)
        .on(listeners::order_completed::handle)
        .on(listeners::order_cancelled::handle)
        .on(listeners::payment_refunded::handle)
        .on(listeners::payment_released::handle)
        .together(
            &[
                Subject::OrderCreated,
                Subject::OrderUpdated,
                Subject::OrderCompleted,
                Subject::OrderCancelled,
            ],
            listeners::follow_orders,
        )
}

/// The whole service. It publishes nothing, so it has no relay. Without a mail server, mails are written and wait.
pub fn service(
    app: App,
    verifier: Verifier,
    letterhead: Letterhead,
    mailer: Option<Mailer>,
) -> Service {
    let service = app.context.service_with_sessions(
        routes(HttpState { app: app.clone(), verifier: verifier.clone() }),
        &verifier,
    );
    let app = app.in_background();
    let counted = app.clone();
    let service = service
        .background("consumers", app.context.consume(listeners(app.clone())))
        .background("promises", app.context.watch(&PROMISES))
        .background("count", |stop| worker::count(counted, stop));
    metrics::gauge!("mail_server_configured").set(if mailer.is_some() { 1.0 } else { 0.0 });
    match mailer {
        Some(mailer) => {
            service.background("worker", |stop| worker::run(app, letterhead, mailer, stop))
        }
        None => {
            tracing::warn!(
                "neither SMTP_URL nor SENDGRID_API_KEY is set: mails are queued and not sent"
            );
            service
        }
    }
}

/// The service that `main` runs.
pub struct Confirmation;

impl Microservice for Confirmation {
    const NAME: &'static str = "confirmation";
    type Settings = Settings;
    type StateSettings = StateSettings;
    type State = App;
    type Document = Mail;

    fn server(settings: &Settings) -> &ServerSettings {
        &settings.server
    }

    async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
        let verifier = settings.server.verifier(&clock)?;
        let (from, public_url) =
            (settings.mail.mail_from.clone(), settings.server.public_url.clone());
        let (keys, link_keys) = (settings.admissions.read()?, settings.links.read()?);
        let relay = settings.mail.relay()?;
        let mailer = relay.map(|relay| Mailer::new(relay, from.email.domain())).transpose()?;
        let app = App::connect(&settings.state, clock).await?;
        Ok(service(app, verifier, Letterhead { from, public_url, keys, link_keys }, mailer))
    }

    async fn admin(
        settings: StateSettings,
        clock: Clock,
    ) -> anyhow::Result<AdminCommands<App, Mail>> {
        let app = App::connect(&settings, clock).await?;
        Ok(AdminCommands::new(&app.context, listeners(app.clone()), app.store.documents()))
    }
}
