//! The map: what web is told, and every address that it answers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get};
use bus::{Bus, NatsSettings};
use clap::Parser;
use common::Clock;
use common::settings::MarketSettings;
use httpkit::Service;
use httpkit::auth::Verifier;
use httpkit::settings::ServerSettings;
use tower_http::compression::CompressionLayer;
use url::Url;

use crate::api::Api;
use crate::live::{self, Live};
use crate::pages::sitemap::Sitemap;
use crate::{assets, pages, session};

/// Longer than the longest call to a service: a payment, which waits for Stripe.
const DEADLINE: Duration = Duration::from_secs(25);

/// The pages that people buy and sell on.
#[derive(Clone, Debug, Parser)]
#[command(name = "web")]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub nats: NatsSettings,
    #[command(flatten)]
    pub market: MarketSettings,

    /// Where auth is, for /api/users
    #[arg(long, env = "AUTH_URL")]
    pub auth_url: Url,

    /// Where tickets is, for /api/tickets
    #[arg(long, env = "TICKETS_URL")]
    pub tickets_url: Url,

    /// Where orders is, for /api/orders
    #[arg(long, env = "ORDERS_URL")]
    pub orders_url: Url,

    /// Where payments is, for /api/payments
    #[arg(long, env = "PAYMENTS_URL")]
    pub payments_url: Url,

    /// Stripe's publishable key (pk_…): cards are typed into Stripe's own form. Without it, test cards
    /// are chosen from a list, for the local double
    #[arg(long, env = "STRIPE_PUBLISHABLE_KEY")]
    pub stripe_publishable_key: Option<String>,

    /// How many pages at once may be told what happens while they are open; the others have to be
    /// reloaded. Each is an open connection, of which a process often has 1024 at most
    #[arg(long, env = "LIVE_STREAMS", default_value_t = 500)]
    pub live_streams: usize,
}

/// What the pages have at hand.
#[derive(Clone)]
pub struct App {
    pub api: Api,
    pub verifier: Verifier,
    pub clock: Clock,
    pub live: Live,
    pub settings: Arc<Settings>,
    pub sitemap: Sitemap,
}

impl App {
    pub fn new(settings: Settings, clock: Clock) -> anyhow::Result<App> {
        let server = &settings.server;
        let verifier =
            Verifier::from_file(&server.jwt_public_keys, &server.public_url, clock.clone())?;
        let (api, sitemap) = (Api::new(&settings)?, Sitemap::default());
        let live = Live::new(settings.live_streams);
        Ok(App { api, verifier, clock, live, settings: Arc::new(settings), sitemap })
    }

    /// An address as it is typed by someone who isn't here yet.
    pub fn absolute(&self, path: &str) -> String {
        let origin = self.settings.server.public_url.origin().ascii_serialization();
        format!("{origin}{path}")
    }
}

pub fn routes(app: App) -> Router {
    let pages = Router::new()
        .route("/", get(pages::browse::show))
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
        .route("/orders", get(pages::orders::show))
        .route("/orders/{id}", get(pages::order::show))
        .route("/orders/{id}/pay", get(pages::order::back).post(pages::order::pay))
        .route("/orders/{id}/cancel", get(pages::order::back).post(pages::order::cancel))
        .route("/orders/{id}/refund", get(pages::refund::show).post(pages::refund::submit))
        .route("/sales", get(pages::sales::show))
        .route("/account", get(pages::account::show))
        .route("/{*rest}", any(pages::errors::not_found))
        .method_not_allowed_fallback(pages::errors::method_not_allowed)
        .layer(from_fn_with_state(app.clone(), session::visit));
    let live = get(live::open).layer(from_fn_with_state(app.clone(), session::accompany));
    Router::new()
        .route("/assets/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::favicon))
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
    let live = app.live.clone();
    let service = Service::new("web", routes(app))
        .render_errors(pages::errors::render)
        .timeout(DEADLINE)
        .on_stop(live.stop.clone())
        .background(|stop| live.watch(bus, stop));
    Ok(service)
}
