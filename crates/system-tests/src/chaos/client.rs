//! One client and its operations: it lists, buys, pays, cancels, refunds, and sometimes disconnects.

mod paying;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use reqwest::Method;
use serde_json::{Value, json};

use super::cards::{BAD_CARDS, GOOD_CARDS};
use super::gateway_client::{Operation, Request, Response};
use super::load::{Load, Plans};
use super::random::rng_of;
use super::shared_state::{Listing, Reservation, Sale, User};
use crate::checker::{
    AcknowledgedAdmission, AcknowledgedOrder, AcknowledgedRefund, AcknowledgedTicket, Replay,
};

const VENUE: &str = "State Opera";
const PASSWORD: &str = "correct horse battery";
/// The share of writes during which the client disconnects.
const DISCONNECT: f64 = 0.03;
/// The share of requests with an `Idempotency-Key`, of those that may have one; and the share of these that are repeated
/// after a response.
const WITH_KEY: f64 = 0.6;
const REPEAT: f64 = 0.1;
/// The share of listings with several places, the most places of one, and the share of those that are sold together.
const MANY: f64 = 0.5;
const MAX_PLACES: u64 = 12;
const TOGETHER: f64 = 0.15;
/// The share of listings whose seller has a door.
const CHECKED_IN: f64 = 0.7;
/// How often a request with a key is sent at most.
const MAX_ATTEMPTS: usize = 4;

pub struct Client {
    load: Arc<Load>,
    rng: StdRng,
    /// For unique names.
    number: usize,
    users: u64,
}

/// None: a request had an unknown outcome.
type Outcome = Option<()>;

impl Client {
    pub fn new(load: &Arc<Load>, number: usize) -> Self {
        Client { load: Arc::clone(load), rng: rng_of(load.seed, number), number, users: 0 }
    }

    /// A random operation.
    pub async fn next_operation(&mut self, plans: &mut Plans) -> Outcome {
        match self.rng.random_range(0..100_u32) {
            0..2 => self.sign_up().await,
            2..16 => self.list().await,
            16..22 => self.edit().await,
            22..24 => self.delete().await,
            24..74 => self.buy(plans).await,
            74..77 => self.refund().await,
            77..79 => self.cancel_any().await,
            79..80 => self.check_in().await,
            80..84 => self.pay_any().await,
            84..87 => self.act_at_stripe().await,
            _ => self.read().await,
        }
    }

    pub async fn sign_up(&mut self) -> Outcome {
        self.users += 1;
        let email = format!("c{}-{}@example.com", self.number, self.users);
        let body = json!({ "email": email, "password": PASSWORD, "name": "Ada" });
        let response =
            self.send(Request::new(Operation::SignUp, "/api/users/signup", body)).await?;
        if response.status == 201
            && let (Some(id), Some(session)) = (text(&response.body["id"]), response.session)
        {
            self.load.state().add_user(Arc::new(User::new(id, email, session)));
        }
        Some(())
    }

    pub async fn list(&mut self) -> Outcome {
        let seller = {
            let state = self.load.state();
            if state.has_enough_listings() { None } else { state.any_user(&mut self.rng) }
        };
        let Some(seller) = seller else { return self.read().await };
        // Unique, so that a ticket that was listed twice is detected.
        let title = format!("Tosca {:x}", self.rng.random::<u64>());
        let quantity =
            if self.rng.random_bool(MANY) { self.rng.random_range(2..=MAX_PLACES) } else { 1 };
        let max_per_order = self.rng.random_range(1..=6_u64);
        let sold_together = quantity > 1 && self.rng.random_bool(TOGETHER);
        let is_checked_in = self.rng.random_bool(CHECKED_IN);
        let body = json!({
            "title": title, "price": self.price(), "venue": VENUE, "quantity": quantity,
            "maxPerOrder": max_per_order, "soldTogether": sold_together,
            "delivery": if is_checked_in { "checked_in_here" } else { "seller_delivers" },
        });
        let response = self
            .request_as(&seller, Operation::List, Method::POST, "/api/tickets", Some(body))
            .await?;
        if let Some(ticket) = ticket_in(&response, 201) {
            let mut state = self.load.state();
            state.add_listing(Listing {
                ticket: ticket.id.clone(),
                title,
                seller,
                quantity,
                max_per_order,
                sold_together,
            });
            state.acknowledged.tickets.push(ticket);
        }
        Some(())
    }

    /// Another price, and sometimes more places, or a sale that is closed and reopened.
    async fn edit(&mut self) -> Outcome {
        let Some(listing) = self.any_listing() else { return Some(()) };
        let mut body = json!({
            "title": listing.title, "price": self.price(), "venue": VENUE,
            "maxPerOrder": listing.max_per_order, "soldTogether": listing.sold_together,
        });
        let closes = match self.rng.random_range(0..10_u32) {
            0..3 if listing.quantity > 1 => {
                body["quantity"] = json!(listing.quantity + self.rng.random_range(1..=3_u64));
                false
            }
            3..5 => true,
            _ => false,
        };
        if !closes {
            return self.put(&listing, body).await;
        }
        body["closed"] = json!(true);
        self.put(&listing, body.clone()).await?;
        body["closed"] = json!(false);
        self.put(&listing, body).await
    }

    async fn put(&mut self, listing: &Listing, body: Value) -> Outcome {
        let Listing { ticket, seller, .. } = listing;
        let path = format!("/api/tickets/{ticket}");
        let response =
            self.request_as(seller, Operation::Edit, Method::PUT, &path, Some(body)).await?;
        if let Some(edited) = ticket_in(&response, 200) {
            let mut state = self.load.state();
            state.grow_listing(ticket, edited.quantity);
            state.acknowledged.tickets.push(edited);
        }
        Some(())
    }

    async fn delete(&mut self) -> Outcome {
        let Some(Listing { ticket, seller, .. }) = self.any_listing() else { return Some(()) };
        let path = format!("/api/tickets/{ticket}");
        let response =
            self.request_as(&seller, Operation::Delete, Method::DELETE, &path, None).await?;
        if response.status == 204 {
            let mut state = self.load.state();
            state.remove_listing(&ticket);
            state.acknowledged.deleted.push(ticket);
        }
        Some(())
    }

    /// Tries to reserve places, and continues with the reservation.
    async fn buy(&mut self, plans: &mut Plans) -> Outcome {
        let Some(listing) = self.any_listing() else { return Some(()) };
        let wanted = if listing.sold_together {
            listing.quantity
        } else {
            self.rng.random_range(1..=listing.max_per_order.min(listing.quantity))
        };
        let is_all = wanted == listing.quantity;
        let Listing { ticket, seller, .. } = listing;
        let Some(buyer) = self.load.state().any_user_but(&seller, &mut self.rng) else {
            return Some(());
        };
        let mut body = json!({ "ticketId": ticket });
        if wanted > 1 {
            body["quantity"] = json!(wanted);
        }
        let response = self
            .request_as(&buyer, Operation::Order, Method::POST, "/api/orders", Some(body))
            .await?;
        if response.status != 201 {
            return match response.body["type"].as_str() {
                Some(
                    "/problems/ticket-sold" | "/problems/ticket-closed" | "/problems/not-found",
                ) => {
                    self.load.state().remove_listing(&ticket);
                    Some(())
                }
                // More buyers are needed.
                Some("/problems/too-many-reservations") => self.sign_up().await,
                _ => Some(()),
            };
        }
        let (id, price) = (text(&response.body["id"])?, cents(&response.body["ticket"]["price"])?);
        let reservation = Reservation {
            order: id.clone(),
            ticket: ticket.clone(),
            buyer: Arc::clone(&buyer),
            seller,
            is_all,
        };
        {
            let mut state = self.load.state();
            state.acknowledged.orders.push(AcknowledgedOrder {
                id,
                ticket,
                buyer: buyer.id.clone(),
                price,
                quantity: wanted,
            });
            state.add_reservation(reservation.clone());
        }
        self.continue_with(reservation, plans).await
    }

    async fn continue_with(&mut self, reservation: Reservation, plans: &mut Plans) -> Outcome {
        match self.rng.random_range(0..100_u32) {
            0..40 => self.pay(&reservation, &GOOD_CARDS).await,
            40..50 => {
                self.pay(&reservation, &BAD_CARDS).await?;
                self.pay(&reservation, &GOOD_CARDS).await
            }
            50..55 => {
                for _ in 0..3 {
                    self.pay(&reservation, &BAD_CARDS).await?;
                }
                Some(())
            }
            55..63 => self.cancel(&reservation).await,
            63..70 => {
                let mut other = self.another_window();
                let (paid, cancelled) =
                    tokio::join!(self.pay(&reservation, &GOOD_CARDS), other.cancel(&reservation));
                paid.and(cancelled)
            }
            70..77 => {
                let (mut other, card) = (self.another_window(), &GOOD_CARDS[..1]);
                let (first, second) =
                    tokio::join!(self.pay(&reservation, card), other.pay(&reservation, card));
                first.and(second)
            }
            77..83 => Some(()),
            83..91 => self.pay_with_challenge(&reservation).await,
            _ => {
                let before_expiry = Duration::from_millis(self.rng.random_range(900..3000));
                plans.add(
                    Instant::now() + self.load.reservation.saturating_sub(before_expiry),
                    reservation,
                );
                Some(())
            }
        }
    }

    async fn cancel(&mut self, reservation: &Reservation) -> Outcome {
        let path = format!("/api/orders/{}", reservation.order);
        let response = self
            .request_as(&reservation.buyer, Operation::Cancel, Method::DELETE, &path, None)
            .await?;
        if response.status == 204 {
            self.load.state().acknowledged.cancelled.push(reservation.order.clone());
        }
        Some(())
    }

    async fn refund(&mut self) -> Outcome {
        let Some(Sale { payment, seller, .. }) = self.load.state().any_sale(&mut self.rng) else {
            return Some(());
        };
        let path = format!("/api/payments/{payment}/refund");
        // The same whenever it is asked for: a request with an unknown outcome may have decided it.
        let relist = payment.ends_with(['0', '2', '4', '6', '8', 'a', 'c', 'e']);
        let body = json!({ "relist": relist });
        let response =
            self.request_as(&seller, Operation::Refund, Method::POST, &path, Some(body)).await?;
        let mut state = self.load.state();
        match response.status {
            202 => state.acknowledged.refunds.push(AcknowledgedRefund { payment, relist }),
            // Refunded already.
            409 => state.remove_sale(&payment),
            _ => {}
        }
        Some(())
    }

    /// Somebody comes to the door with a code, and is scanned twice. The order may have been refunded in the meantime.
    async fn check_in(&mut self) -> Outcome {
        let Some(Sale { order, ticket, buyer, seller, .. }) =
            self.load.state().any_sale(&mut self.rng)
        else {
            return Some(());
        };
        let path = format!("/api/orders/{order}/admissions");
        let shown = self.request_as(&buyer, Operation::Read, Method::GET, &path, None).await?;
        let admissions = shown.body["admissions"].as_array().cloned().unwrap_or_default();
        let Some(code) = admissions.choose(&mut self.rng).and_then(|one| text(&one["code"])) else {
            return Some(());
        };
        let path = format!("/api/tickets/{ticket}/checkin");
        for gate in ["Gate 1", "Gate 2"] {
            let body = json!({ "code": code, "gate": gate });
            let scanned = self
                .request_as(&seller, Operation::CheckIn, Method::POST, &path, Some(body))
                .await?;
            if scanned.status == 200
                && let Some(place) = scanned.body["place"].as_i64()
            {
                let admission = AcknowledgedAdmission { order: order.clone(), place };
                self.load.state().acknowledged.admitted.push(admission);
            }
        }
        Some(())
    }

    /// Possibly long after the reservation, or for the second time.
    async fn cancel_any(&mut self) -> Outcome {
        let reservation = self.load.state().any_reservation(&mut self.rng);
        self.cancel(&reservation?).await
    }

    async fn pay_any(&mut self) -> Outcome {
        let reservation = self.load.state().any_reservation(&mut self.rng);
        self.pay(&reservation?, &GOOD_CARDS).await
    }

    async fn read(&mut self) -> Outcome {
        let (reservation, user) = {
            let state = self.load.state();
            (state.any_reservation(&mut self.rng), state.any_user(&mut self.rng)?)
        };
        let (reader, path) = match (self.rng.random_range(0..6_u32), reservation) {
            (0, Some(Reservation { ticket, .. })) => (user, format!("/api/tickets/{ticket}")),
            (1, Some(Reservation { order, buyer, .. })) => (buyer, format!("/api/orders/{order}")),
            (2, Some(Reservation { order, buyer, .. })) => {
                (buyer, format!("/api/payments?orderId={order}"))
            }
            (3, _) => (user, "/api/orders?status=active".to_owned()),
            (4, _) => (user, "/api/users/currentuser".to_owned()),
            (_, _) => (user, "/api/tickets?q=tosca&sort=price".to_owned()),
        };
        self.request_as(&reader, Operation::Read, Method::GET, &path, None).await.map(drop)
    }

    /// Sends a request of a user, who signs in again after the session has expired.
    async fn request_as(
        &mut self,
        user: &User,
        operation: Operation,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<Response> {
        let takes_a_key = [Operation::List, Operation::Order, Operation::Pay, Operation::Refund]
            .contains(&operation);
        let has_key = takes_a_key && self.rng.random_bool(WITH_KEY);
        let key = has_key.then(|| format!("{:x}", self.rng.random::<u128>()));
        let session = Some(user.session());
        let request = Request { operation, method, path: path.to_owned(), body, session, key };
        let response = self.send_with_retries(&request).await?;
        if response.status == 401 {
            let body = json!({ "email": user.email, "password": PASSWORD });
            let response =
                self.send(Request::new(Operation::SignIn, "/api/users/signin", body)).await?;
            user.renew_session(response.session?);
        }
        Some(response)
    }

    /// Retries a request with a key until there is a response; and sometimes repeats it after that.
    async fn send_with_retries(&mut self, request: &Request) -> Option<Response> {
        let Some(key) = &request.key else { return self.send(request.clone()).await };
        let mut response = None;
        for _ in 0..MAX_ATTEMPTS {
            response = self.send(request.clone()).await;
            if response.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..1000))).await;
        }
        let response = response?;
        if response.status < 300
            && self.rng.random_bool(REPEAT)
            && let Some(repeated) = self.send(request.clone()).await
            && repeated.status < 300
        {
            let id = |response: &Response| text(&response.body["id"]).unwrap_or_default();
            let replay = Replay { key: key.clone(), first: id(&response), second: id(&repeated) };
            self.load.state().acknowledged.replays.push(replay);
        }
        Some(response)
    }

    async fn send(&mut self, request: Request) -> Option<Response> {
        // The first client, which prepares the run, never disconnects.
        let disconnects =
            self.number > 0 && request.operation.is_write() && self.rng.random_bool(DISCONNECT);
        let disconnect = disconnects.then(|| Duration::from_millis(self.rng.random_range(0..30)));
        self.load.gateway.request(request, disconnect).await
    }

    /// The same client in another browser window.
    fn another_window(&mut self) -> Client {
        let seed = self.rng.random();
        Client { load: Arc::clone(&self.load), rng: rng_of(seed, 0), number: self.number, users: 0 }
    }

    fn any_listing(&mut self) -> Option<Listing> {
        self.load.state().any_listing(&mut self.rng)
    }

    fn price(&mut self) -> String {
        let cents = self.rng.random_range(50..20_000_u32);
        format!("{}.{:02}", cents / 100, cents % 100)
    }
}

/// The ticket in a response with this status.
fn ticket_in(response: &Response, status: u16) -> Option<AcknowledgedTicket> {
    let ticket = Some(&response.body).filter(|_| response.status == status)?;
    Some(AcknowledgedTicket {
        id: text(&ticket["id"])?,
        version: ticket["version"].as_i64()?,
        seller: text(&ticket["userId"])?,
        price: cents(&ticket["price"])?,
        quantity: ticket["quantity"].as_u64().unwrap_or(1),
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// `"20.50"` is 2050.
fn cents(value: &Value) -> Option<i64> {
    value.as_str()?.replace('.', "").parse().ok()
}
