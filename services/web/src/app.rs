//! The map: every address that web serves, and its background task.

use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get};
use bus::Bus;
use common::Clock;
use http::Method;
use httpkit::Service;
use tower_http::compression::CompressionLayer;

use crate::live;
use crate::state::{App, Settings};
use crate::{assets, pages, revocations, session};

/// Longer than the longest call to a service: a payment, which waits for Stripe.
const TIMEOUT: Duration = Duration::from_secs(25);

/// A page of tickets is made of some hundred kilobytes.
const MAX_IN_FLIGHT: usize = 256;
/// What somebody who pays can be served without.
const SHED_FIRST: [(Method, &str); 3] =
    [(Method::GET, "/"), (Method::GET, "/tickets/{id}"), (Method::GET, "/live")];

pub fn routes(app: App) -> Router {
    #[cfg(feature = "pdf")]
    let pdf = Router::new().route("/orders/{id}/tickets.pdf", get(pages::order_pdf::show));
    #[cfg(not(feature = "pdf"))]
    let pdf = Router::new();
    let pages = Router::new()
        .route("/", get(pages::browse::show))
        .route("/docs", get(pages::docs::show))
        .route("/auth/signup", get(pages::signup::show).post(pages::signup::submit))
        .route("/auth/signin", get(pages::signin::show).post(pages::signin::submit))
        .route("/auth/signout", get(pages::signout::show).post(pages::signout::submit))
        .route("/tickets/new", get(pages::ticket_new::show).post(pages::ticket_new::submit))
        .route("/tickets/{id}", get(pages::ticket::show).post(pages::ticket::buy))
        .route("/tickets/{id}/edit", get(pages::ticket_edit::show).post(pages::ticket_edit::submit))
        .route(
            "/tickets/{id}/delete",
            get(pages::ticket_delete::show).post(pages::ticket_delete::submit),
        )
        .route("/tickets/{id}/sale", get(pages::ticket_sale::back).post(pages::ticket_sale::submit))
        .route("/tickets/{id}/door", get(pages::door::show).post(pages::door::check_in))
        .route("/tickets/{id}/door/join", get(pages::door::ask_to_join).post(pages::door::join))
        .route("/tickets/{id}/door/invite", get(pages::door::back).post(pages::door::invite))
        .route("/tickets/{id}/door/dismiss", get(pages::door::back).post(pages::door::dismiss))
        .route("/tickets/{id}/orders", get(pages::ticket_orders::show))
        .route("/orders", get(pages::orders::show))
        .route("/orders/{id}", get(pages::order::show))
        .route("/orders/{id}/pay", get(pages::order::back).post(pages::order::pay))
        .route("/orders/{id}/return", get(pages::order::come_back))
        .route("/orders/{id}/cancel", get(pages::order::back).post(pages::order::cancel))
        .route("/orders/{id}/refund", get(pages::refund::show).post(pages::refund::submit))
        .route("/orders/{id}/handover", get(pages::order::back).post(pages::order::report))
        .route("/orders/{id}/tickets", get(pages::order_tickets::show))
        .route("/orders/{id}/ticket.ics", get(pages::order_tickets::calendar))
        .route("/orders/{id}/history", get(pages::order_history::show))
        .route("/orders/{id}/receipt", get(pages::receipt::show))
        .route("/problems", get(pages::problems::show))
        .route("/sales", get(pages::sales::show))
        .route("/account", get(pages::account::show).post(pages::account::submit))
        .route(
            "/account/password",
            get(pages::account_password::show).post(pages::account_password::submit),
        )
        .route("/account/email", get(pages::account_email::show).post(pages::account_email::submit))
        .route(
            "/account/verification",
            get(pages::account::back).post(pages::account::send_verification),
        )
        .route("/.well-known/change-password", get(pages::account_password::well_known))
        .route("/verify", get(pages::verify::show).post(pages::verify::submit))
        .route("/recover", get(pages::recover::show).post(pages::recover::submit))
        .route("/recover/new", get(pages::recover_new::show).post(pages::recover_new::submit))
        .route("/disown", get(pages::disown::show).post(pages::disown::submit))
        .route("/admin", get(pages::admin::show))
        .route("/admin/order", get(pages::order_history::find))
        .route("/admin/audit", get(pages::admin::audit))
        .route("/admin/users/{id}/ban", get(pages::admin::back).post(pages::admin::ban))
        .route("/admin/users/{id}/unban", get(pages::admin::back).post(pages::admin::unban))
        .route(
            "/admin/users/{id}/administrator",
            get(pages::admin::back).post(pages::admin::administrator),
        )
        .route("/account/sessions", get(pages::sessions::show))
        .route("/account/sessions/end", get(pages::sessions::back).post(pages::sessions::end_all))
        .route("/account/sessions/{id}/end", get(pages::sessions::back).post(pages::sessions::end))
        .route("/account/tokens", get(pages::tokens::show).post(pages::tokens::create))
        .route("/account/tokens/{id}/revoke", get(pages::tokens::back).post(pages::tokens::revoke))
        .merge(pdf)
        .route("/{*rest}", any(pages::errors::not_found))
        .method_not_allowed_fallback(pages::errors::method_not_allowed)
        .layer(from_fn_with_state(app.clone(), session::with_session));
    let live =
        get(live::open).layer(from_fn_with_state(app.clone(), session::with_session_for_streams));
    Router::new()
        .route("/assets/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::favicon))
        .route("/docs/openapi.json", get(pages::docs::openapi))
        .route("/docs/asyncapi.json", get(pages::docs::asyncapi))
        .route("/robots.txt", get(pages::sitemap::robots))
        .route("/sitemap.xml", get(pages::sitemap::index))
        .route("/sitemaps/{number}", get(pages::sitemap::file))
        .route("/live", live)
        .merge(pages)
        .layer(CompressionLayer::new())
        .with_state(app)
}

pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Service> {
    let app = App::new(settings, clock)?;
    let bus = Bus::connect(&app.settings.nats, "web").await?;
    let (live, parts, clock) = (app.live.clone(), app.parts.clone(), app.clock.clone());
    let (revocations, users) = (app.verifier.revocations().clone(), bus.clone());
    let service = Service::new("web", routes(app))
        .render_errors(pages::errors::render)
        .timeout(TIMEOUT)
        .max_in_flight(MAX_IN_FLIGHT)
        .shed_first(&SHED_FIRST)
        .on_stop(live.stop.clone())
        .background("live pages", move |stop| live.run(bus, parts, stop))
        .background("revocations", |stop| revocations::follow(revocations, users, clock, stop));
    Ok(service)
}
