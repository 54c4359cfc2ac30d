//! A payments service with its own local Stripe, and orders to pay.

use std::time::Duration;

use clap::Parser;
use common::events::{CancelReason, Order, OrderCancelled, OrderCreated, Stream};
use common::ids::UserId;
use common::{Clock, Time};
use payments::app;
use payments::state::{App, Settings};
use serde_json::{Value, json};
use stripe_double::{Config, StripeDouble};
use tempfile::TempDir;
use testkit::fixtures::{self, OrderChanges as _, TicketChanges as _};
use testkit::{Client, Infra, Method, Response, TestService, TestUser, eventually};

/// A key that the local Stripe accepts.
pub const STRIPE_KEY: &str = "sk_test_local";

pub struct World {
    pub infra: Infra,
    pub app: App,
    pub service: TestService,
    pub stripe: StripeDouble,
    pub buyer: TestUser,
    pub seller: TestUser,
    _journal: TempDir,
}

impl World {
    pub async fn start() -> World {
        Self::start_at(Clock::system()).await
    }

    pub async fn start_at(clock: Clock) -> World {
        Self::start_with_key(clock, STRIPE_KEY).await
    }

    /// With this key for Stripe's API.
    pub async fn start_with_key(clock: Clock, stripe_key: &str) -> World {
        let infra = Infra::start_at(clock).await;
        let journal = tempfile::tempdir().unwrap();
        let stripe = StripeDouble::start(Config::in_dir(journal.path())).await.unwrap();
        let app = connect_with_key(&infra, &stripe.url(), stripe_key).await;
        let service = TestService::serve(app::service(app.clone(), infra.verifier())).await;
        infra.bus().wait_for_consumers("payments", &[Stream::Orders]).await;
        let (buyer, seller) = (infra.user(), infra.user());
        World { infra, app, service, stripe, buyer, seller, _journal: journal }
    }

    /// An order that expires in 15 minutes, after payments has consumed its event.
    pub async fn order(&self) -> Order {
        self.order_for(Duration::from_secs(900)).await
    }

    pub async fn order_for(&self, reservation: Duration) -> Order {
        let order = order(self.infra.clock.now(), reservation, self.buyer.id, self.seller.id);
        self.infra.bus().publish(&OrderCreated(order.clone())).await;
        self.infra.bus().settled("payments").await;
        order
    }

    pub fn as_buyer(&self) -> Client {
        self.service.client_as(&self.buyer)
    }

    pub async fn pay(&self, order: &Order, token: &str) -> Response {
        self.as_buyer().post("/api/payments", json!({ "orderId": order.id, "token": token })).await
    }

    /// The order's payment as its buyer sees it.
    pub async fn payment(&self, order: &Order) -> Value {
        let list =
            self.as_buyer().get(&format!("/api/payments?orderId={}", order.id)).await.expect(200);
        list["payments"][0].clone()
    }

    pub async fn payment_is(&self, order: &Order, status: &str) -> Value {
        eventually(&format!("the payment to be {status}"), || async {
            Some(self.payment(order).await).filter(|payment| payment["status"] == status)
        })
        .await
    }

    /// Waits until every event is published.
    pub async fn published(&self) {
        testkit::all_published(self.app.store.documents()).await;
    }

    /// Whatever is unanswered is published again.
    pub async fn a_day_passes(&self) {
        self.infra.clock.advance(Duration::from_secs(24 * 60 * 60));
        testkit::looked_up(self.app.store.documents(), "unanswered", 3).await;
        self.published().await;
    }

    pub async fn ledger(&self) -> Value {
        Client::new(&self.stripe.url()).get("/_ledger").await.expect(200)
    }

    /// How many charges have succeeded, and the amount that remains after refunds.
    pub async fn charged(&self) -> (i64, i64) {
        let totals = &self.ledger().await["totals"]["usd"];
        let number = |name: &str| totals[name].as_i64().unwrap_or(0);
        (number("charges_succeeded"), number("kept"))
    }

    /// Refunds a part of a payment at Stripe directly.
    pub async fn refund_in_dashboard(&self, payment: &Value, amount: i64) {
        let intent = payment["stripeId"].as_str().unwrap();
        let stripe = Client::new(&self.stripe.url());
        let refund = || {
            stripe
                .request(Method::POST, "/v1/refunds")
                .header("authorization", "Bearer sk_test_local")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!("payment_intent={intent}&amount={amount}"))
                .send()
        };
        let mut response = refund().await;
        // An injected fault is meant for the service, and may hit this request.
        while response.status == 429 {
            response = refund().await;
        }
        response.expect(200);
    }

    /// How many requests Stripe got at an endpoint, such as `POST /v1/refunds`.
    pub async fn requests(&self, endpoint: &str) -> u64 {
        let requests = Client::new(&self.stripe.url()).get("/_requests").await.expect(200);
        let by_status = requests[endpoint].as_object().cloned().unwrap_or_default();
        by_status.values().filter_map(Value::as_u64).sum()
    }

    pub async fn fault(&self, method: &str, path: &str, kind: &str, times: i64) {
        self.fault_for(Duration::from_secs(11), method, path, kind, times).await;
    }

    /// A fault with a duration, for the kinds that have one.
    pub async fn fault_for(
        &self,
        time: Duration,
        method: &str,
        path: &str,
        kind: &str,
        times: i64,
    ) {
        let delay = u64::try_from(time.as_millis()).unwrap();
        let fault = json!({
            "match": { "method": method, "path": path }, "kind": kind, "times": times, "delay_ms": delay,
        });
        let response = Client::new(&self.stripe.url()).post("/_faults", fault).await;
        assert!(response.status.is_success(), "{response:?}");
    }

    pub async fn cancel(&self, order: &Order, why: CancelReason) {
        self.infra.bus().publish(&OrderCancelled(cancelled(order, why))).await;
        self.infra.bus().settled("payments").await;
    }
}

pub async fn connect(infra: &Infra, stripe_url: &str) -> App {
    connect_with_key(infra, stripe_url, STRIPE_KEY).await
}

async fn connect_with_key(infra: &Infra, stripe_url: &str, stripe_key: &str) -> App {
    let mut args = infra.args("payments");
    args.extend(["--stripe-key", stripe_key, "--stripe-url", stripe_url].map(str::to_owned));
    App::connect(&Settings::parse_from(args).state, infra.clock.clone()).await.unwrap()
}

pub fn order(now: Time, reservation: Duration, buyer: UserId, seller: UserId) -> Order {
    let ticket = fixtures::ticket(now).with_seller(seller);
    fixtures::order(&ticket, now).with_buyer(buyer).with_expiry(now + reservation)
}

pub fn cancelled(order: &Order, why: CancelReason) -> Order {
    fixtures::cancelled(order, why)
}

pub fn completed(order: &Order) -> Order {
    fixtures::completed(order)
}
