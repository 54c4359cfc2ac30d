//! The model's parameters, its first state, and the decisions as the mutations change them.

use super::bounds::Bounds;
use super::mutants::Mutant;
use super::state::State;
use super::stripe::StripeState;
use crate::protocol::event::{Event, OrderStatus};
use crate::protocol::order::Order;
use crate::protocol::payment::{Payment, Status, Step};
use crate::protocol::places::Places;

pub struct CardsModel {
    pub bounds: Bounds,
    pub mutants: &'static [Mutant],
}

impl CardsModel {
    pub fn is_mutant(&self, mutant: Mutant) -> bool {
        self.mutants.contains(&mutant)
    }

    /// An order of one place, which payments knows.
    pub fn initial_state(&self) -> State {
        let order = Order::reserve(0, Places::only(0), 0, 0).thing;
        let order = order.confirm().map_or(order, |change| change.thing);
        State {
            order,
            again: None,
            has_expired: false,
            has_rival: false,
            payment: Payment::new(order.index, order.version),
            stripe: StripeState::default(),
            in_flight: Vec::new(),
            deliveries: Vec::new(),
            has_news: false,
            failures_left: self.bounds.failures,
            losses_left: self.bounds.losses,
            is_done_elsewhere: false,
        }
    }

    pub fn next_step(&self, payment: Payment, in_time: bool) -> Option<Step> {
        if self.is_mutant(Mutant::CapturedBeforeAnswer) && payment.status == Status::Authorised {
            let order = crate::protocol::payment::OrderReplica {
                status: OrderStatus::Complete,
                ..payment.order
            };
            return Payment { order, ..payment }.next_step(in_time);
        }
        payment.next_step(in_time)
    }

    /// What payments publishes again.
    pub fn payment_owes(&self, payment: Payment) -> Option<Event> {
        let is_final =
            matches!(payment.status, Status::Refunded | Status::Released | Status::Failed);
        let is_forgotten = is_final && self.is_mutant(Mutant::OutcomesNotRepublished);
        let has_ended = payment.order.status == OrderStatus::Cancelled;
        let suffices = is_final && has_ended && self.is_mutant(Mutant::AnyEndSuffices);
        payment.owed().filter(|_| !is_forgotten && !suffices)
    }
}
