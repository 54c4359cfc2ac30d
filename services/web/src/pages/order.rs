//! `/orders/{id}`: one order, for its buyer and its ticket's seller: its state, and what to do next.

mod handover;
mod outcome;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::ids::OrderId;
use common::problem;
use httpkit::extract::PathId;
use httpkit::{Error, Result};
use serde::Deserialize;

use super::order_tickets::{Pass, passes_of};
use crate::api::{Failure, HandoverState, Order, Payment};
use crate::cards::{self, TestCard};
use crate::format::{Countdown, When, price, product, ticket_colour};
use crate::forms::{Form, new_key};
use crate::notice::{Next, Notice};
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::stripe;
use crate::visitor::SignedIn;
pub use handover::report;
use outcome::{Ended, Money, Outcome, Side};

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    frame: Frame,
    order: Order,
    payment: Option<Payment>,
    side: Side,
    outcome: Outcome,
    /// What all places cost together, and how that comes about.
    total: String,
    product: String,
    date: Option<When>,
    ordered: When,
    countdown: Countdown,
    colour: usize,
    key: String,
    /// None: they aren't known yet, or the seller delivers.
    passes: Option<Vec<Pass>>,
    stripe_key: Option<String>,
    origin: String,
}

impl Page for OrderPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn embeds_stripe(&self) -> bool {
        self.stripe_key.is_some() && (self.asks_for_card() || self.asks_for_action())
    }
}

impl OrderPage {
    fn asks_for_card(&self) -> bool {
        self.side == Side::Buyer && matches!(self.outcome, Outcome::Unpaid { .. })
    }

    /// Whether Stripe's script continues the payment.
    fn asks_for_action(&self) -> bool {
        self.side == Side::Buyer
            && matches!(self.outcome, Outcome::ActionRequired { action: Some(_) })
    }

    /// Where the page and the buyer's bank send the buyer back to.
    fn return_url(&self) -> String {
        format!("{}/orders/{}/return", self.origin, self.order.id)
    }

    /// The address of Stripe's script.
    fn stripe_script(&self) -> String {
        stripe::script(self.frame.stripe_origin.as_deref())
    }

    /// Identifies what is shown: while it stays the same, app.js keeps the form and what was typed into it.
    fn state(&self) -> String {
        let declines = self.payment.as_ref().map_or(0, |payment| payment.declines);
        let handover = self.order.handover_state();
        format!("{} {declines} {}", self.outcome.name(), handover::name(handover))
    }

    /// Whether the state is about to change: without a script, the page refreshes automatically.
    fn is_waiting(&self) -> bool {
        match &self.outcome {
            Outcome::Processing | Outcome::NoAttemptsLeft { .. } | Outcome::Confirming => true,
            Outcome::Paid { refund } => {
                refund.is_some() || self.order.contact.is_none() || self.misses_passes()
            }
            Outcome::Ended { money, .. } => matches!(money, Money::Processing | Money::Refunding),
            Outcome::Unpaid { .. } | Outcome::Unknown | Outcome::ActionRequired { .. } => false,
        }
    }

    fn misses_passes(&self) -> bool {
        self.side == Side::Buyer && self.order.is_checked_in_here() && self.passes.is_none()
    }

    /// `ticket` or `tickets`, as many as it is for.
    fn noun(&self) -> &'static str {
        if self.order.is_of_many() { "tickets" } else { "ticket" }
    }

    fn test_cards(&self) -> &'static [TestCard] {
        cards::TEST_CARDS
    }
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, user }: SignedIn,
    PathId(id): PathId<OrderId>,
) -> Result<Response> {
    let (order, payment, frame) =
        tokio::join!(visitor.api.order(id), visitor.api.payment_of(id), Frame::of(&app, &visitor));
    let order = order?;
    let side = if order.user_id == user.id { Side::Buyer } else { Side::Seller };
    let passes = match side {
        Side::Buyer => passes_of(&visitor, &order).await,
        Side::Seller => None,
    };
    // The page works without the payment, and says that payments is unavailable.
    let payment = payment.inspect_err(|failure| {
        tracing::warn!(?failure, "could not load payment for order page");
    });
    let zone = &app.settings.market.time_zone;
    let ticket_zone = order.ticket.time_zone.as_deref().unwrap_or(zone);
    OrderPage {
        frame: frame.without_reservation_of(id),
        side,
        passes,
        outcome: Outcome::of(&order, payment.as_ref().ok().map(Option::as_ref)),
        total: price(order.total(), &order.ticket.currency),
        product: product(order.quantity, order.ticket.price, &order.ticket.currency),
        date: order.ticket.date.map(|date| When::of(date, ticket_zone)),
        ordered: When::of(order.created_at, zone),
        countdown: Countdown::to(order.expires_at, visitor.now, zone),
        colour: ticket_colour(order.ticket.id),
        key: new_key(),
        stripe_key: app.settings.stripe_publishable_key.clone(),
        payment: payment.ok().flatten(),
        origin: app.absolute(""),
        order,
    }
    .show()
}

#[derive(Deserialize)]
pub struct Card {
    /// The payment method from Stripe's form, or the token of a test card.
    #[serde(default)]
    token: String,
    key: String,
}

/// The buyer pays. The order's page shows the result.
pub async fn pay(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
    Form(card): Form<Card>,
) -> Result<Response> {
    let page = format!("/orders/{id}");
    let next: Next = match visitor.api.pay(id, &card.token, &card.key).await {
        Ok(_) => page.into(),
        Err(Failure::Down(cause)) => {
            tracing::warn!(error = format!("{cause:#}"), "payment request failed");
            Notice::PaymentsDown.at(&page)
        }
        Err(Failure::Refused(refusal)) => match refusal.status {
            // Declined: the page shows the reason and how many attempts are left.
            402 => page.into(),
            400 => Notice::CardUnread.at(&page),
            409 if refusal.is(&problem::ALREADY_PAID) => Notice::AlreadyPaid.at(&page),
            // A payment is in progress, the order has ended, or the form was submitted before: the page shows which.
            409 | 422 => page.into(),
            _ => return Err(Error::from(Failure::Refused(refusal))),
        },
    };
    Ok(next.into_response())
}

/// The buyer comes back from their bank. The order's page shows the result.
pub async fn come_back(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
) -> Result<Redirect> {
    match visitor.api.payment_of(id).await {
        Ok(Some(payment)) => {
            if let Err(failure) = visitor.api.refresh_payment(payment.id).await {
                // A webhook does the same.
                tracing::warn!(?failure, "could not refresh the payment");
            }
        }
        Ok(None) => {}
        Err(failure) => tracing::warn!(?failure, "could not load the payment"),
    }
    Ok(Redirect::to(&format!("/orders/{id}")))
}

/// The buyer cancels the reservation.
pub async fn cancel(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
) -> Result<Response> {
    let page = format!("/orders/{id}");
    let next: Next = match visitor.api.cancel_order(id).await {
        Ok(()) => page.into(),
        Err(Failure::Down(_)) => Notice::CancelDown.at(&page),
        // The order has already ended, or is paid: the page shows which.
        Err(Failure::Refused(refusal)) if refusal.status == 409 => page.into(),
        Err(failure) => return Err(failure.into()),
    };
    Ok(next.into_response())
}

/// GET on the address of a form, as after signing in, redirects to the order's page.
pub async fn back(PathId(id): PathId<OrderId>) -> Redirect {
    Redirect::to(&format!("/orders/{id}"))
}
