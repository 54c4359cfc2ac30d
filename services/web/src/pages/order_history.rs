//! `/orders/{id}/history`: what has happened to an order, composed of what each service knows: for its buyer, its ticket's
//! seller, and administrators, who find the traces as well.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::Time;
use common::events::Subject;
use common::ids::OrderId;
use httpkit::Result;
use httpkit::extract::PathId;
use serde::Deserialize;

use crate::api::{CheckIn, Failure, HistoryEntry, Mail};
use crate::format::When;
use crate::forms::PageQuery;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::{SignedIn, Visitor};

#[derive(Template)]
#[template(path = "order-history.html")]
struct HistoryPage {
    frame: Frame,
    id: OrderId,
    title: String,
    rows: Vec<Row>,
    /// The services that don't respond.
    missing: Vec<&'static str>,
}

/// One thing that has happened.
struct Row {
    when: When,
    what: String,
    trace_id: Option<String>,
}

impl Page for HistoryPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

struct Happened {
    at: Time,
    what: String,
    trace_id: Option<String>,
}

/// What has happened, as it is found out.
#[derive(Default)]
struct Found {
    events: Vec<Happened>,
    missing: Vec<&'static str>,
}

impl Found {
    fn add<T>(
        &mut self,
        service: &'static str,
        answer: Result<Vec<T>, Failure>,
        words: impl Fn(T) -> Option<Happened>,
    ) {
        match answer {
            Ok(things) => self.events.extend(things.into_iter().filter_map(words)),
            Err(Failure::Down(cause)) => {
                tracing::warn!(service, error = format!("{cause:#}"), "could not load a history");
                self.missing.push(service);
            }
            // That part is somebody else's, or hasn't come that far.
            Err(Failure::Refused(_)) => {}
        }
    }
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
) -> Result<Response> {
    let api = &visitor.api;
    let (order, frame, history, payment, checkins, mails) = tokio::join!(
        api.order(id),
        Frame::of(&app, &visitor),
        api.history_of_order(id),
        payment_history(&visitor, id),
        api.checkins(id),
        api.mails_about(id),
    );
    let order = order?;
    let mut found = Found::default();
    found.add("orders", history, event);
    found.add("payments", payment, event);
    found.add("tickets", checkins, |one| Some(checkin(one)));
    found.add("mails", mails, mail);
    let Found { mut events, missing } = found;
    events.sort_by_key(|event| event.at);
    let zone = &app.settings.market.time_zone;
    let row = |Happened { at, what, trace_id }| Row { when: When::of(at, zone), what, trace_id };
    let rows = events.into_iter().map(row).collect();
    HistoryPage { frame, id, title: order.ticket.title, rows, missing }.show()
}

async fn payment_history(visitor: &Visitor, id: OrderId) -> Result<Vec<HistoryEntry>, Failure> {
    match visitor.api.payment_of(id).await? {
        Some(payment) => visitor.api.history_of_payment(payment.id).await,
        None => Ok(Vec::new()),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    id: String,
}

/// The form in which administrators type an order's id.
pub async fn find(PageQuery(Wanted { id }): PageQuery<Wanted>) -> Response {
    match id.trim().parse::<OrderId>() {
        Ok(id) => Redirect::to(&format!("/orders/{id}/history")).into_response(),
        Err(_) => httpkit::Error::not_found("order").into_response(),
    }
}

fn event(entry: HistoryEntry) -> Option<Happened> {
    let what = words(entry.event.parse().ok()?, entry.detail.as_deref())?.to_owned();
    Some(Happened { at: entry.at, what, trace_id: entry.trace_id })
}

/// None: only services need to know, or a later version does.
fn words(event: Subject, detail: Option<&str>) -> Option<&'static str> {
    Some(match (event, detail) {
        (Subject::OrderCreated, _) => "Reserved",
        (Subject::OrderCompleted, _) => "Order complete",
        (Subject::OrderCancelled, Some("user")) => "Reservation cancelled by the buyer",
        (Subject::OrderCancelled, Some("expired")) => "Reservation expired",
        (Subject::OrderCancelled, Some("payment_failed")) => "Order ended: the payment failed",
        (Subject::OrderCancelled, Some("ticket_deleted")) => "Order ended: the listing was removed",
        (Subject::OrderCancelled, Some("refunded")) => "Order ended: the money went back",
        (Subject::OrderCancelled, Some("banned")) => "Order ended: an account was banned",
        (Subject::OrderCancelled, Some("disputed")) => "Order ended: the payment was disputed",
        (Subject::OrderCancelled, _) => "Order ended",
        (Subject::OrderUpdated, Some("sent")) => "Ticket sent by the seller",
        (Subject::OrderUpdated, Some("received")) => "Ticket received by the buyer",
        (Subject::OrderUpdated, Some("problem")) => "Problem reported by the buyer",
        (Subject::OrderRefundRequired, Some("too_late")) => "Refund due: paid too late",
        (Subject::OrderRefundRequired, Some("order_cancelled")) => {
            "Refund due: paid after the order had ended"
        }
        (Subject::OrderRefundRequired, Some("ticket_deleted")) => {
            "Refund due: the listing was removed"
        }
        (Subject::OrderRefundRequired, Some("banned")) => "Refund due: an account was banned",
        (Subject::OrderRefundRequired, _) => "Refund due",
        (Subject::PaymentCreated, _) => "Payment authorised by the buyer’s bank",
        (Subject::PaymentCaptured, _) => "Card charged",
        (Subject::PaymentFailed, Some("declined")) => "Card declined",
        (Subject::PaymentFailed, _) => "Payment ended, nothing was charged",
        (Subject::PaymentReleased, _) => "Payment released, nothing was charged",
        (Subject::PaymentRefunded, _) => "Payment refunded",
        (Subject::PaymentDisputed, Some("won")) => "Dispute decided for the seller",
        (Subject::PaymentDisputed, Some("lost")) => "Dispute decided for the cardholder",
        (Subject::PaymentDisputed, _) => "Payment disputed by the cardholder’s bank",
        _ => return None,
    })
}

fn checkin(one: CheckIn) -> Happened {
    let what = match one.gate {
        Some(gate) => format!("Ticket {} checked in at {gate}", one.place),
        None => format!("Ticket {} checked in", one.place),
    };
    Happened { at: one.at, what, trace_id: None }
}

fn mail(mail: Mail) -> Option<Happened> {
    let about = match mail.kind.as_str() {
        "paid" => "confirmation to the buyer",
        "expired" => "expired reservation, to the buyer",
        "refunded" => "refund, to the buyer",
        "released" => "released payment, to the buyer",
        "ticket_sent" => "sent ticket, to the buyer",
        "payment_failed" => "failed payment, to the buyer",
        "sold" => "sale, to the seller",
        "problem_reported" => "reported problem, to the seller",
        "sale_refunded" => "refunded sale, to the seller",
        "sale_disputed" => "disputed sale, to the seller",
        "sale_failed" => "failed sale, to the seller",
        _ => return None,
    };
    let state = match mail.status.as_str() {
        "sent" => "Email sent",
        "failed" => "Email refused by the mail server",
        "suppressed" => "Email not sent, as it no longer applied",
        _ => "Email waiting to be sent",
    };
    let at = mail.sent_at.unwrap_or(mail.created_at);
    Some(Happened { at, what: format!("{state}: {about}"), trace_id: mail.trace_id })
}

#[cfg(test)]
mod tests {
    use common::events::CancelReason;

    use super::*;

    #[test]
    fn each_event_of_an_order_or_a_payment_has_words() {
        let published = |subject: &&Subject| {
            let name = subject.as_str();
            name.starts_with("order.") || name.starts_with("payment.")
        };
        // The detail of an update says what it is about.
        for subject in Subject::ALL.iter().filter(published) {
            assert_eq!(words(*subject, None).is_some(), *subject != Subject::OrderUpdated);
        }
        for reason in ["user", "expired", "payment_failed", "ticket_deleted", "refunded"] {
            assert_ne!(words(Subject::OrderCancelled, Some(reason)), Some("Order ended"));
        }
        assert_eq!(
            words(Subject::OrderCancelled, Some(CancelReason::Unknown.as_str())),
            Some("Order ended")
        );
    }
}
