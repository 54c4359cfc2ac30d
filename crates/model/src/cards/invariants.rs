//! The properties: some hold in every state, others in every idle state.

use stateright::Property;

use super::consumers::Reaction;
use super::state::State;
use super::system::CardsModel;
use crate::protocol::event::OrderStatus;
use crate::protocol::order::{Answer, CancelReason};
use crate::protocol::payment::Status;
use crate::protocol::stripe::IntentStatus;

pub fn all() -> Vec<Property<CardsModel>> {
    [always(), when_idle(), reachable()].into_iter().flatten().collect()
}

/// What holds in every state.
fn always() -> Vec<Property<CardsModel>> {
    vec![
        Property::always(
            "I2: a card is charged only for an order that is complete",
            |_, state: &State| {
                let is_charged = state.stripe.count(IntentStatus::Succeeded) > 0;
                let is_answered = state.order.answer == Some(Answer::Completed);
                !is_charged || is_answered || state.is_done_elsewhere
            },
        ),
        Property::always("I3: an order is charged at most once", |_, state: &State| {
            let authorised = state.stripe.count(IntentStatus::RequiresCapture);
            authorised + state.stripe.count(IntentStatus::Succeeded) <= 1
        }),
        Property::always("I3: a card is tried at most once for an attempt", |_, state: &State| {
            !state.stripe.has_tried_twice
        }),
        Property::always(
            "an order is complete only while its money is there",
            |_, state: &State| {
                let is_complete = state.order.status == OrderStatus::Complete;
                let is_gone = state.stripe.count(IntentStatus::RequiresCapture) == 0
                    && state.stripe.charged() == 0;
                // Somebody wants it back, or has taken it.
                let is_wanted = state.payment.refund_asked || state.order.refund_required;
                !is_complete || !is_gone || is_wanted || state.is_done_elsewhere
            },
        ),
        Property::always("a complete order is ended only by a refund", |_, state: &State| {
            let was_complete = state.order.answer == Some(Answer::Completed);
            let has_failed = state.order.reason == Some(CancelReason::PaymentFailed);
            !was_complete || !has_failed || state.is_done_elsewhere
        }),
    ]
}

/// What holds in every state in which nothing is left to do.
fn when_idle() -> Vec<Property<CardsModel>> {
    vec![
        Property::always(
            "I2: every charge belongs to a complete order or is refunded",
            |model: &CardsModel, state: &State| {
                let is_complete = state.order.status == OrderStatus::Complete;
                !is_idle(model, state) || state.stripe.charged() == usize::from(is_complete)
            },
        ),
        Property::always("I2: no authorisation is left open", |model: &CardsModel, state| {
            !is_idle(model, state) || state.stripe.count(IntentStatus::RequiresCapture) == 0
        }),
        Property::always("I4: orders knows the payment", |model: &CardsModel, state: &State| {
            !is_idle(model, state) || orders_knows_payment(state)
        }),
        Property::always("I4: payments knows the answer", |model: &CardsModel, state: &State| {
            !is_idle(model, state) || payments_knows_answer(state)
        }),
        Property::always(
            "a refund that was asked for is done",
            |model: &CardsModel, state: &State| {
                let is_returned = match state.payment.status {
                    Status::Refunded | Status::Released | Status::Failed => true,
                    Status::Created
                    | Status::Processing
                    | Status::ActionRequired
                    | Status::Authorised
                    | Status::Captured
                    | Status::Refunding => false,
                };
                !is_idle(model, state) || !state.payment.refund_asked || is_returned
            },
        ),
        Property::always("I5: an expired order is cancelled", |model: &CardsModel, state| {
            !is_idle(model, state) || !state.is_overdue()
        }),
        Property::always("I8: no message waits indefinitely", |model: &CardsModel, state| {
            !is_idle(model, state) || !state.deliveries.iter().any(|delivery| delivery.is_pending)
        }),
        Property::always("I8: what is owed is settled", |model: &CardsModel, state: &State| {
            let is_owed = state.payment.owed().is_some() || state.order.owed().is_some();
            !is_idle(model, state) || !is_owed
        }),
        Property::always("I8: a reminder is answered", |model: &CardsModel, state: &State| {
            !is_quiet(model, state) || reminders_are_answered(model, state)
        }),
    ]
}

/// What can be reached: without it, the other properties would prove little.
fn reachable() -> Vec<Property<CardsModel>> {
    fn ends(model: &CardsModel, state: &State, status: Status, reason: CancelReason) -> bool {
        is_idle(model, state)
            && state.payment.status == status
            && state.order.reason == Some(reason)
    }
    vec![
        Property::sometimes("an order is sold", |model: &CardsModel, state: &State| {
            is_idle(model, state) && state.payment.status == Status::Captured
        }),
        Property::sometimes("a late payment is honoured", |model: &CardsModel, state: &State| {
            let has_expired = state.order.version > 3;
            is_idle(model, state) && state.payment.status == Status::Captured && has_expired
        }),
        Property::sometimes("a late payment is released", |model: &CardsModel, state: &State| {
            ends(model, state, Status::Released, CancelReason::Expired)
        }),
        Property::sometimes("a sale is refunded", |model: &CardsModel, state: &State| {
            ends(model, state, Status::Refunded, CancelReason::Refunded)
        }),
        Property::sometimes(
            "a refund comes before the capture",
            |model: &CardsModel, state: &State| {
                ends(model, state, Status::Released, CancelReason::Refunded)
                    && state.order.answer == Some(Answer::Completed)
            },
        ),
        Property::sometimes(
            "a capture in flight is refunded",
            |model: &CardsModel, state: &State| {
                ends(model, state, Status::Refunded, CancelReason::Refunded)
                    && state.payment.cancelling
            },
        ),
        Property::sometimes("a capture is impossible", |model: &CardsModel, state: &State| {
            ends(model, state, Status::Failed, CancelReason::PaymentFailed)
                && state.order.answer == Some(Answer::Completed)
        }),
        Property::sometimes("a card is declined", |model: &CardsModel, state: &State| {
            ends(model, state, Status::Failed, CancelReason::PaymentFailed)
                && state.order.answer.is_none()
        }),
        Property::sometimes("a challenge is abandoned", |model: &CardsModel, state: &State| {
            ends(model, state, Status::Failed, CancelReason::Expired)
                && state.payment.known_charges == 0
                && state.payment.last_attempt > 0
                && state.payment.declines == 0
        }),
    ]
}

/// No message is on its way, and no work is due. A request of a suspended process may be lost with it.
fn is_quiet(model: &CardsModel, state: &State) -> bool {
    let is_stuck = |delivery: &super::state::Delivery| {
        !delivery.is_pending || matches!(model.reaction(state, *delivery), Reaction::Retry)
    };
    let is_due = model.next_step(state.payment, true).is_some()
        || state.payment.abandon_unsent().is_some()
        || state.payment.begin_cancelling().is_some();
    !is_due
        && !state.has_news
        && !state.is_overdue()
        && state.again.is_none()
        && state.deliveries.iter().all(is_stuck)
}

/// And nothing is published again.
fn is_idle(model: &CardsModel, state: &State) -> bool {
    is_quiet(model, state) && model.reminders(state).next().is_none()
}

fn orders_knows_payment(state: &State) -> bool {
    let order = state.order;
    match state.payment.status {
        Status::Created | Status::Processing | Status::ActionRequired => order.answer.is_none(),
        Status::Authorised | Status::Captured => order.status == OrderStatus::Complete,
        Status::Refunding => false,
        Status::Refunded | Status::Released | Status::Failed => !order.is_live(),
    }
}

fn payments_knows_answer(state: &State) -> bool {
    match state.order.answer {
        None => true,
        Some(Answer::Completed) if state.order.is_live() => {
            state.payment.order.status == OrderStatus::Complete
        }
        Some(Answer::Completed) => state.payment.order.status == OrderStatus::Cancelled,
        Some(Answer::Rejected) => state.payment.rejected || state.order.settled,
    }
}

/// Publishing again what is owed leads to an answer, unless a message is lost once more.
fn reminders_are_answered(model: &CardsModel, state: &State) -> bool {
    let mut next = state.clone();
    for event in model.reminders(state) {
        next.publish(event, true);
    }
    model.settle(&mut next);
    while let Some(delivered) = deliver_one(model, &next) {
        next = delivered;
    }
    // The answer may leave something to do, such as a capture.
    !is_quiet(model, &next) || model.reminders(&next).next().is_none()
}

fn deliver_one(model: &CardsModel, state: &State) -> Option<State> {
    let pending = state.deliveries.iter().filter(|delivery| delivery.is_pending);
    pending.into_iter().find_map(|delivery| {
        let mut next = model.deliver(state, delivery.event)?;
        model.settle(&mut next);
        (next != *state).then_some(next)
    })
}
