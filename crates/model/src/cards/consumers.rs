//! orders consumes the events of payments, and payments those of orders.

use super::mutants::Mutant;
use super::state::{Delivery, State};
use super::system::CardsModel;
use crate::protocol::Change;
use crate::protocol::event::{Event, OrderStatus};
use crate::protocol::order::Order;
use crate::protocol::payment::{OrderReplica, Payment, Status};

/// What a consumer does about a message.
#[derive(Clone, Copy, Debug)]
pub enum Reaction {
    /// Nothing to do.
    Nothing,
    /// It can't be processed yet; the broker redelivers the message.
    Retry,
    /// The consumer has to read which places are free, in a step of its own, before it can write.
    Undecided,
    Order(Change<Order>),
    Payment(Change<Payment>),
    /// orders has reacted to it before, which payments doesn't seem to know: the order is published again.
    AnswerAgain,
}

impl CardsModel {
    pub fn reaction(&self, state: &State, delivery: Delivery) -> Reaction {
        let order = state.order;
        let again = if delivery.is_reminder { Reaction::AnswerAgain } else { Reaction::Nothing };
        let decided = |change: Option<Change<Order>>| change.map_or(again, Reaction::Order);
        match delivery.event {
            Event::PaymentCreated { version, .. } | Event::PaymentCaptured { version, .. } => {
                let order = self.answering(order);
                if order.is_paid_late(version) {
                    Reaction::Undecided
                } else {
                    decided(order.paid(version, None))
                }
            }
            Event::PaymentFailed { .. }
                if order.owed().is_some() && self.is_mutant(Mutant::FailedSettlesNothing) =>
            {
                Reaction::Nothing
            }
            Event::PaymentFailed { version, .. } => {
                let is_any = self.is_mutant(Mutant::FailedVersionIgnored);
                let known = if is_any { 0 } else { order.payment_version };
                decided(Order { payment_version: known, ..order }.payment_failed(version))
            }
            Event::PaymentReleased { version, relist, .. }
            | Event::PaymentRefunded { version, relist, .. } => {
                decided(order.payment_returned(version, relist))
            }
            Event::Order { version, status, seen, .. }
            | Event::OrderUpdated { version, status, seen, .. } => {
                self.follow(state.payment, OrderReplica { version, status, seen })
            }
            Event::RefundRequired { .. } => self.reject(state.payment),
            Event::Listed { .. }
            | Event::Deleted { .. }
            | Event::Reserved { .. }
            | Event::Expired { .. } => Reaction::Nothing,
        }
    }

    /// The order that answers a success.
    pub fn answering(&self, order: Order) -> Order {
        let is_any = self.is_mutant(Mutant::OlderSuccessAnswered);
        Order { payment_version: if is_any { 0 } else { order.payment_version }, ..order }
    }

    fn follow(&self, payment: Payment, order: OrderReplica) -> Reaction {
        let Some(next) = payment.follow(order) else { return Reaction::Nothing };
        let releases = self.is_mutant(Mutant::CancellationReleases)
            && order.status == OrderStatus::Cancelled
            && next.status == Status::Authorised;
        let next = Payment { rejected: next.rejected || releases, ..next };
        Reaction::Payment(Change::without_event(next))
    }

    fn reject(&self, payment: Payment) -> Reaction {
        if self.is_mutant(Mutant::NoRelease) {
            return Reaction::Nothing;
        }
        match payment.reject() {
            None => Reaction::Retry,
            Some(rejected) if rejected == payment => Reaction::Nothing,
            Some(rejected) => Reaction::Payment(Change::without_event(rejected)),
        }
    }

    /// A consumer reacts to a message.
    pub fn deliver(&self, state: &State, event: Event) -> Option<State> {
        let delivery = state.deliveries.iter().find(|delivery| delivery.event == event)?;
        let mut next = state.clone();
        match self.reaction(state, *delivery) {
            Reaction::Nothing | Reaction::Retry | Reaction::Undecided => return None,
            Reaction::Order(change) => self.write_order(&mut next, change),
            Reaction::Payment(change) => {
                next.acknowledge(event);
                self.write_payment(&mut next, change);
            }
            Reaction::AnswerAgain => {
                next.acknowledge(event);
                next.publish(state.order.event(), false);
                if let Some(owed) = state.order.owed() {
                    next.publish(owed, false);
                }
            }
        }
        Some(next)
    }

    pub fn write_order(&self, state: &mut State, change: Change<Order>) {
        state.order = change.thing;
        // A decision on an earlier version is invalid.
        state.again = None;
        if let Some(event) = change.event {
            state.publish(event, false);
        }
    }

    pub fn write_payment(&self, state: &mut State, change: Change<Payment>) {
        state.payment = change.thing;
        if let Some(event) = change.event {
            state.publish(event, false);
        }
    }

    /// A consumer that has nothing to do acknowledges: doing so immediately changes nothing for any other process, and
    /// avoids intermediate states. A message that may matter again remains, and may be redelivered.
    pub fn settle(&self, state: &mut State) {
        // Time doesn't matter to an order that has ended.
        state.has_expired |= !state.order.unpaid;
        for index in 0..state.deliveries.len() {
            let delivery = state.deliveries[index];
            if delivery.is_pending && matches!(self.reaction(state, delivery), Reaction::Nothing) {
                state.acknowledge(delivery.event);
            }
        }
        state
            .deliveries
            .retain(|delivery| delivery.is_pending || delivery.event.may_matter_again());
    }
}
