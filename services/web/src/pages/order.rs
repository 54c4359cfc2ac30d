//! `/orders/{id}`: one order, for its buyer and its ticket's seller: how it stands, and what to do next.

mod outcome;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::ids::OrderId;
use common::problem;
use httpkit::extract::PathId;
use httpkit::{Error, Result};
use serde::Deserialize;

use crate::api::{Failure, Order, Payment};
use crate::app::App;
use crate::cards::{self, TestCard};
use crate::format::{Countdown, When, price, stock};
use crate::forms::{Form, new_key};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::session::SignedIn;
use outcome::{Ended, Money, Outcome, Side};

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    frame: Frame,
    order: Order,
    payment: Option<Payment>,
    side: Side,
    outcome: Outcome,
    price: String,
    date: Option<When>,
    ordered: When,
    countdown: Countdown,
    stock: usize,
    key: String,
    stripe_key: Option<String>,
}

impl Page for OrderPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn holds_stripe_s_form(&self) -> bool {
        self.stripe_key.is_some() && self.takes_cards()
    }
}

impl OrderPage {
    /// Whether a card is asked for.
    fn takes_cards(&self) -> bool {
        self.side == Side::Buyer && matches!(self.outcome, Outcome::Unpaid { .. })
    }

    /// A word for what is shown: while it stays the same, nobody's typing is disturbed.
    fn state(&self) -> String {
        let declines = self.payment.as_ref().map_or(0, |payment| payment.declines);
        format!("{} {declines}", self.outcome.name())
    }

    /// Whether there will be news in a moment: without a script the page looks again by itself.
    fn is_waiting(&self) -> bool {
        match &self.outcome {
            Outcome::Asking | Outcome::Ending { .. } | Outcome::Settling => true,
            Outcome::Paid { refund } => refund.is_some() || self.order.contact.is_none(),
            Outcome::Ended { money, .. } => matches!(money, Money::Asking | Money::OnItsWayBack),
            Outcome::Unpaid { .. } | Outcome::Unknown => false,
        }
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
    // The page does without: it says that payments can't be asked.
    let payment = payment.inspect_err(|failure| tracing::warn!(?failure, "an order's payment"));
    let zone = &app.settings.market.time_zone;
    let ticket_zone = order.ticket.time_zone.as_deref().unwrap_or(zone);
    OrderPage {
        frame: frame.without_hold_of(id),
        side: if order.user_id == user.id { Side::Buyer } else { Side::Seller },
        outcome: Outcome::of(&order, payment.as_ref().ok().map(Option::as_ref)),
        price: price(order.ticket.price, &order.ticket.currency),
        date: order.ticket.date.map(|date| When::of(date, ticket_zone)),
        ordered: When::of(order.created_at, zone),
        countdown: Countdown::to(order.expires_at, visitor.now, zone),
        stock: stock(order.ticket.id),
        key: new_key(),
        stripe_key: app.settings.stripe_publishable_key.clone(),
        payment: payment.ok().flatten(),
        order,
    }
    .show()
}

#[derive(Deserialize)]
pub struct Card {
    /// What Stripe's form, or the list of test cards, has made of a card.
    #[serde(default)]
    token: String,
    key: String,
}

/// The buyer pays. Its page says what came of it.
pub async fn pay(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
    Form(card): Form<Card>,
) -> Result<Response> {
    let page = format!("/orders/{id}");
    let next = match visitor.api.pay(id, &card.token, &card.key).await {
        Ok(_) => page,
        Err(Failure::Down(cause)) => {
            tracing::warn!(error = format!("{cause:#}"), "a payment could not be asked for");
            Notice::PaymentsDown.at(&page)
        }
        Err(Failure::Refused(refusal)) => match refusal.status {
            // Declined: why, and how often still, stands on the page.
            402 => page,
            400 => Notice::CardUnread.at(&page),
            409 if refusal.is(&problem::ALREADY_PAID) => Notice::AlreadyPaid.at(&page),
            // It is being paid, has ended, or this very form was sent before: the page says which.
            409 | 422 => page,
            _ => return Err(Error::from(Failure::Refused(refusal))),
        },
    };
    Ok(Redirect::to(&next).into_response())
}

/// The buyer gives the ticket up.
pub async fn cancel(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
) -> Result<Response> {
    let page = format!("/orders/{id}");
    let next = match visitor.api.cancel_order(id).await {
        Ok(()) => page,
        Err(Failure::Down(_)) => Notice::OrdersDown.at(&page),
        // It has ended otherwise, or is paid: the page says which.
        Err(Failure::Refused(refusal)) if refusal.status == 409 => page,
        Err(failure) => return Err(failure.into()),
    };
    Ok(Redirect::to(&next).into_response())
}

/// Whoever asks for the address of a form, as after signing in, is led to its page.
pub async fn back(PathId(id): PathId<OrderId>) -> Redirect {
    Redirect::to(&format!("/orders/{id}"))
}
