//! A payments service with its own local Stripe, and orders to pay.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use clap::Parser;
use common::events::{
    CancelReason, Order, OrderCancelled, OrderCompleted, OrderCreated, OrderRefundRequired,
    PaymentCaptured, PaymentCreated, Stream,
};
use common::ids::{OrderId, UserId};
use common::{Clock, Time};
use payments::app;
use payments::domain::{OrderPayment, Status};
use payments::state::{App, Settings};
use serde_json::{Value, json};
use stripe_double::{Config, StripeDouble};
use tempfile::TempDir;
use testkit::fixtures::{self, OrderChanges as _, RefundRequiredChanges as _, TicketChanges as _};
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
    orders: Mutex<Orders>,
    _journal: TempDir,
}

/// What orders does about an order that is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Completes,
    /// The order has ended.
    Rejects,
    /// The test decides.
    Undecided,
    /// It has answered.
    Answered,
}

type Orders = BTreeMap<OrderId, (Order, Decision)>;

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
        Self::serve(infra, journal, stripe, app).await
    }

    /// With an endpoint for Stripe's webhooks.
    pub async fn with_webhooks() -> World {
        Self::with_webhooks_at(Clock::system()).await
    }

    pub async fn with_webhooks_at(clock: Clock) -> World {
        let infra = Infra::start_at(clock).await;
        let journal = tempfile::tempdir().unwrap();
        let stripe = StripeDouble::start(Config::in_dir(journal.path())).await.unwrap();
        // Its secret is known before the service is, and so before its address.
        let endpoint = register(&stripe, "", "url=http://127.0.0.1:9/&enabled_events[]=*").await;
        let secret = endpoint["secret"].as_str().unwrap();
        let secrets = format!("whsec_of_another_endpoint,{secret}");
        let args = ["--stripe-webhook-secret", &secrets];
        let app = connect_with(&infra, &stripe.url(), STRIPE_KEY, &args).await;
        let world = Self::serve(infra, journal, stripe, app).await;
        let url = format!("url={}/api/payments/webhook", world.service.url);
        let path = format!("/{}", endpoint["id"].as_str().unwrap());
        register(&world.stripe, &path, &url).await;
        world
    }

    async fn serve(infra: Infra, journal: TempDir, stripe: StripeDouble, app: App) -> World {
        let service = TestService::serve(app::service(app.clone(), infra.verifier())).await;
        infra.bus().wait_for_consumers("payments", &[Stream::Orders]).await;
        let (buyer, seller) = (infra.user(), infra.user());
        let orders = Mutex::default();
        World { infra, app, service, stripe, buyer, seller, orders, _journal: journal }
    }

    /// An order that expires in 15 minutes, after payments has consumed its event.
    pub async fn order(&self) -> Order {
        self.order_for(Duration::from_secs(900)).await
    }

    pub async fn order_for(&self, reservation: Duration) -> Order {
        let order = order(self.infra.clock.now(), reservation, self.buyer.id, self.seller.id);
        self.create(&order).await;
        order
    }

    /// Publishes the order, and completes it once it is paid.
    pub async fn create(&self, order: &Order) {
        self.completes(order);
        self.infra.bus().publish(&OrderCreated(order.clone())).await;
        self.infra.bus().settled("payments").await;
    }

    /// Completes the order once it is paid, as orders does.
    pub fn completes(&self, order: &Order) {
        self.orders.lock().unwrap().insert(order.id, (order.clone(), Decision::Completes));
    }

    /// Leaves the answer to the test.
    pub fn leaves_undecided(&self, order: &Order) {
        self.orders.lock().unwrap().insert(order.id, (order.clone(), Decision::Undecided));
    }

    /// Answers what was authorised or charged since, as orders does.
    pub async fn answer(&self) {
        let bus = self.infra.bus();
        let created = bus.published::<PaymentCreated>().await.into_iter().map(|event| event.0);
        let captured = bus.published::<PaymentCaptured>().await.into_iter().map(|event| event.0);
        for payment in created.chain(captured) {
            let (order, decision) = {
                let mut orders = self.orders.lock().unwrap();
                let Some((order, decision)) = orders.get_mut(&payment.order_id) else { continue };
                let taken = *decision;
                if taken != Decision::Undecided {
                    *decision = Decision::Answered;
                }
                (order.clone(), taken)
            };
            match decision {
                Decision::Completes => {
                    let completed = completed(&order).with_payment_version(payment.version);
                    bus.publish(&OrderCompleted(completed)).await;
                }
                Decision::Rejects => {
                    let required = fixtures::refund_required(order.id, payment.id);
                    bus.publish(&OrderRefundRequired(required.with_version(3))).await;
                }
                Decision::Undecided | Decision::Answered => {}
            }
        }
    }

    /// Answers until this has ended, and once more then: a request that is refused at once must not keep the answer from
    /// another one.
    pub async fn answering<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            let pause = tokio::time::sleep(Duration::from_millis(10));
            tokio::select! {
                result = &mut work => {
                    self.answer().await;
                    return result;
                }
                () = pause => self.answer().await,
            }
        }
    }

    pub fn as_buyer(&self) -> Client {
        self.service.client_as(&self.buyer)
    }

    pub async fn pay(&self, order: &Order, token: &str) -> Response {
        let body = json!({ "orderId": order.id, "token": token });
        self.answering(self.as_buyer().post("/api/payments", body)).await
    }

    /// Pays an order that orders doesn't decide about. Returns when it is authorised.
    pub async fn authorise(&self, order: &Order) -> OrderPayment {
        self.leaves_undecided(order);
        let paying = self.as_buyer();
        let body = json!({ "orderId": order.id, "token": "tok_visa" });
        tokio::spawn(async move { paying.post("/api/payments", body).await });
        self.status_is(order, Status::Authorised).await
    }

    /// Waits until the document has this status.
    pub async fn status_is(&self, order: &Order, status: Status) -> OrderPayment {
        eventually(&format!("the payment to be {status:?}"), || async {
            let payment = self.app.store.find(order.id).await.unwrap()?;
            (payment.payment.as_ref()?.status == status).then_some(payment)
        })
        .await
    }

    /// Rejects what the order's payment has authorised or charged, as orders does.
    pub async fn reject(&self, order: &Order, payment: &OrderPayment) {
        self.leaves_undecided(order);
        let id = payment.payment.as_ref().unwrap().id;
        let required = fixtures::refund_required(order.id, id);
        self.infra.bus().publish(&OrderRefundRequired(required)).await;
        self.infra.bus().settled("payments").await;
    }

    /// The order's payment as its buyer sees it.
    pub async fn payment(&self, order: &Order) -> Value {
        let list =
            self.as_buyer().get(&format!("/api/payments?orderId={}", order.id)).await.expect(200);
        list["payments"][0].clone()
    }

    pub async fn payment_is(&self, order: &Order, status: &str) -> Value {
        eventually(&format!("the payment to be {status}"), || async {
            self.answer().await;
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

    /// How many charges were captured, and the amount that remains after refunds.
    pub async fn charged(&self) -> (i64, i64) {
        let ledger = self.ledger().await;
        let charges = ledger["charges"].as_array().unwrap();
        let captured = charges.iter().filter(|charge| charge["captured"] == true).count();
        let kept = ledger["totals"]["usd"]["kept"].as_i64().unwrap_or(0);
        (i64::try_from(captured).unwrap(), kept)
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

    /// Ends the order, unless it is complete: then only a refund does.
    pub async fn cancel(&self, order: &Order, why: CancelReason) {
        let decision = {
            let mut orders = self.orders.lock().unwrap();
            let (_, decision) = orders.get_mut(&order.id).unwrap();
            let before = *decision;
            if before == Decision::Completes {
                *decision = Decision::Rejects;
            }
            before
        };
        let ended = cancelled(order, why);
        match decision {
            Decision::Answered if why != CancelReason::Refunded => return,
            Decision::Answered => {
                let version = ended.version + 1;
                self.infra.bus().publish(&OrderCancelled(ended.with_version(version))).await;
            }
            Decision::Completes | Decision::Rejects | Decision::Undecided => {
                self.infra.bus().publish(&OrderCancelled(ended)).await;
            }
        }
        self.infra.bus().settled("payments").await;
    }
}

pub async fn connect(infra: &Infra, stripe_url: &str) -> App {
    connect_with_key(infra, stripe_url, STRIPE_KEY).await
}

async fn connect_with_key(infra: &Infra, stripe_url: &str, stripe_key: &str) -> App {
    connect_with(infra, stripe_url, stripe_key, &[]).await
}

/// Creates or changes an endpoint for webhooks.
async fn register(stripe: &StripeDouble, path: &str, form: &str) -> Value {
    let stripe = Client::new(&stripe.url());
    let request = stripe.request(Method::POST, &format!("/v1/webhook_endpoints{path}"));
    let request = request.header("authorization", "Bearer sk_test_local");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(form.to_owned()).send().await.expect(200)
}

async fn connect_with(infra: &Infra, stripe_url: &str, stripe_key: &str, more: &[&str]) -> App {
    let mut args = infra.args("payments");
    args.extend(more.iter().map(|&arg| arg.to_owned()));
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
