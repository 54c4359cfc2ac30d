//! orders: its decisions, with other steps interleaved between its reads and writes.

use common::events::Payment;
use orders::domain::{Effect as TicketEffect, Expiry, Order, Retake, TicketReplica};
use orders::store::{InsertOutcome, ONE_LIVE_ORDER, ONE_ORDER_PER_HOLD};
use store::Change;

use crate::events::{Event, Message};
use crate::interner::{Decided, Interned};
use crate::mutants::Mutant;
use crate::state::State;
use crate::system::{Effect, RESERVATION, SystemModel};

impl SystemModel {
    /// `POST /api/orders` reads the ticket and its live order.
    pub fn read_ticket(&self, state: &State, purchase: usize) -> Option<State> {
        let ticket_replica =
            state.ticket_replica.filter(|ticket_replica| !ticket_replica.deleted)?;
        let mut next = state.clone();
        match state.live_order() {
            // It expires that order, and reads again.
            Some(holder) => self.expire(state, holder).apply(&mut next),
            None => next.purchases[purchase].reading = Some((ticket_replica, None)),
        }
        Some(next)
    }

    /// Then it reads the next hold number; other steps may be interleaved.
    pub fn read_hold(&self, state: &State, purchase: usize) -> Option<State> {
        let (ticket_replica, _) = state.purchases[purchase].reading?;
        let mut next = state.clone();
        next.purchases[purchase].reading = Some((ticket_replica, Some(self.next_hold(state))));
        Some(next)
    }

    /// `POST /api/orders` inserts the order. On a duplicate key it reads again.
    pub fn insert(&self, state: &State, purchase: usize) -> Option<State> {
        let (ticket_replica, hold) = state.purchases[purchase].reading?;
        let hold = hold?;
        let (id, buyer) = (self.orders[purchase], self.buyers[purchase % 2]);
        let reserve = || {
            let ticket = ticket_replica.as_ordered();
            let now = SystemModel::before_expiry();
            Some(Order::reserve(id, buyer, ticket, hold, now, RESERVATION))
        };
        let about = (ticket_replica.number() << 32) | ((purchase as u64) << 16) | hold as u64;
        let (order, published) = self.order_decides(("reserve", None, about), reserve)?;
        let mut next = state.clone();
        next.purchases[purchase].reading = None;
        match self.place(state, purchase, order.active, &order.holds) {
            InsertOutcome::Inserted => Effect::Order(purchase, order, published).apply(&mut next),
            InsertOutcome::Taken | InsertOutcome::Conflict => {}
        }
        Some(next)
    }

    /// `DELETE /api/orders/{id}`.
    pub fn cancel(&self, state: &State, purchase: usize) -> Effect {
        let Some(order) = state.purchases[purchase].order else { return Effect::Nothing };
        let has_expired = state.purchases[purchase].has_expired;
        let cancelled = self.order_decides(("cancel", Some(order), has_expired.into()), || {
            order.cancel_by_buyer(SystemModel::clock(has_expired)).ok().flatten()
        });
        Effect::order(purchase, cancelled)
    }

    /// The next buyer's attempt, the sweep, and the reminder all expire an order in this way.
    pub fn expire(&self, state: &State, purchase: usize) -> Effect {
        let Some(order) = state.purchases[purchase].order else { return Effect::Nothing };
        let has_expired = state.purchases[purchase].has_expired;
        let now = SystemModel::clock(has_expired);
        let expired =
            self.order_decides(("expire", Some(order), has_expired.into()), || {
                match order.expire(now) {
                    Expiry::Due(change) => Some(*change),
                    Expiry::NotBefore(_) => Some(Change::without_event(order.get().clone())),
                    Expiry::Nothing => None,
                }
            });
        match expired {
            Some((same, _)) if same == order => Effect::Retry,
            expired => Effect::order(purchase, expired),
        }
    }

    /// A consumer applies one of a message's writes.
    pub fn orders_consume(
        &self,
        state: &State,
        message: Interned<Message>,
        write: usize,
    ) -> Effect {
        let about = message.number();
        let decide =
            |purchase: usize, what, decide: fn(&Order, &Event) -> Option<Change<Order>>| {
                let Some(order) = state.purchases[purchase].order else { return Effect::Nothing };
                let question = (what, Some(order), about);
                Effect::order(
                    purchase,
                    self.order_decides(question, || decide(&order, &message.get().event)),
                )
            };
        match &message.get().event {
            Event::Ticket(_, writes) => match self.nth(write, writes) {
                TicketEffect::ConfirmLock { order, hold } => {
                    let purchase = self.purchase(*order);
                    let Some(order) = state.purchases[purchase].order else {
                        return Effect::Nothing;
                    };
                    let question = ("confirm lock", Some(order), about);
                    Effect::order(
                        purchase,
                        self.order_decides(question, || order.confirm_lock(*hold)),
                    )
                }
                TicketEffect::Replica(ticket_replica) => {
                    self.replicate(state, message, ticket_replica)
                }
                TicketEffect::EndLiveOrder => {
                    state.live_order().map_or(Effect::Nothing, |purchase| {
                        decide(purchase, "ticket deleted", |order, _| order.ticket_deleted())
                    })
                }
            },
            Event::Expiration(expiration) => self.expire(state, self.purchase(expiration.order_id)),
            Event::Paid(payment) => self.consume_charge(state, message, payment),
            Event::Failed(payment) => {
                decide(self.purchase(payment.order_id), "failed", |order, event| {
                    let Event::Failed(payment) = event else { return None };
                    order.payment_failed(payment)
                })
            }
            Event::Refunded(refund) => {
                decide(self.purchase(refund.order_id), "refunded", |order, event| {
                    let Event::Refunded(refund) = event else { return None };
                    order.refunded(refund)
                })
            }
            Event::Order(_) | Event::RefundRequired(_) | Event::Ignored => Effect::Nothing,
        }
    }

    /// Applies an event to the replica, if it is newer.
    fn replicate(
        &self,
        state: &State,
        message: Interned<Message>,
        ticket_replica: &TicketReplica,
    ) -> Effect {
        if state.ticket_replica.is_some_and(|known| known.version >= ticket_replica.version) {
            return Effect::Nothing;
        }
        let question = ("replica", None, message.number());
        let replica = || Some(Change::without_event(ticket_replica.clone()));
        let replica = self.interners.listings.decide(&self.interners.messages, question, replica);
        replica.map_or(Effect::Nothing, |(ticket_replica, _)| Effect::Listing(ticket_replica))
    }

    /// The consumer of `payment.created` reads; if it decides to reserve the ticket again, other steps may be interleaved
    /// before its write.
    fn consume_charge(
        &self,
        state: &State,
        message: Interned<Message>,
        payment: &Payment,
    ) -> Effect {
        let purchase = self.purchase(payment.order_id);
        let Some(order) = state.purchases[purchase].order else { return Effect::Retry };
        let order = self.remembered(order);
        let retake = || {
            let holder = state.live_order().and_then(|holder| state.purchases[holder].order);
            let ticket_replica = state.ticket_replica.map(Interned::get);
            order.retake(payment, holder.map(Interned::get), ticket_replica, self.next_hold(state))
        };
        match if order.would_retake() { retake() } else { Retake::Gone } {
            Retake::Free { .. } if state.purchases[purchase].pending_retake.is_some() => {
                Effect::Retry
            }
            Retake::Free { hold } => Effect::PendingRetake(purchase, hold),
            Retake::Gone => {
                Effect::order(purchase, self.record_payment(order, message, payment, Retake::Gone))
            }
        }
    }

    /// The consumer of `payment.created` writes what it has decided.
    pub fn finish_retake(&self, state: &State, purchase: usize) -> Option<State> {
        let hold = state.purchases[purchase].pending_retake?;
        let order = self.remembered(state.purchases[purchase].order?);
        let (message, payment) = state.deliveries.iter().find_map(|delivery| {
            let Event::Paid(payment) = &delivery.message.get().event else { return None };
            (payment.order_id == order.id).then_some((delivery.message, payment))
        })?;
        let (retaken, published) =
            self.record_payment(order, message, payment, Retake::Free { hold })?;
        let mut next = state.clone();
        next.purchases[purchase].pending_retake = None;
        match self.place(state, purchase, retaken.active, &retaken.holds) {
            InsertOutcome::Inserted => Effect::Order(purchase, retaken, published).apply(&mut next),
            InsertOutcome::Conflict => {}
            InsertOutcome::Taken => {
                Effect::order(purchase, self.record_payment(order, message, payment, Retake::Gone))
                    .apply(&mut next);
            }
        }
        Some(next)
    }

    fn record_payment(
        &self,
        order: Interned<Order>,
        message: Interned<Message>,
        payment: &Payment,
        retake: Retake,
    ) -> Decided<Order> {
        let about = match retake {
            Retake::Gone => 0,
            Retake::Free { hold } => hold as u64,
        };
        let question = ("paid", Some(order), (message.number() << 32) | about);
        self.order_decides(question, || order.paid(payment, retake))
    }

    /// The result of MongoDB's unique indexes for an order that is stored with these values.
    pub fn place(
        &self,
        state: &State,
        purchase: usize,
        active: bool,
        holds: &[i64],
    ) -> InsertOutcome {
        let others = || {
            let others =
                state.purchases.iter().enumerate().filter(move |(other, _)| *other != purchase);
            others.filter_map(|(_, other)| other.order)
        };
        let is_taken =
            !self.is_mutant(Mutant::NoUniqueIndex) && active && others().any(|order| order.active);
        let is_used = others().any(|order| order.holds.iter().any(|hold| holds.contains(hold)));
        let index = match (is_taken, is_used) {
            (true, _) => ONE_LIVE_ORDER,
            (false, true) if !self.is_mutant(Mutant::NoHoldIndex) => ONE_ORDER_PER_HOLD,
            (false, _) => return InsertOutcome::Inserted,
        };
        InsertOutcome::of_violation(index).expect("an index of ours")
    }

    pub fn next_hold(&self, state: &State) -> i64 {
        if self.is_mutant(Mutant::HoldsReused) {
            let first = |order: &Order| Order { holds: order.holds[..1].to_vec(), ..order.clone() };
            return Order::next_hold(&state.orders().map(first).collect::<Vec<_>>(), None);
        }
        Order::next_hold(state.orders(), state.ticket_replica.map(Interned::get))
    }

    fn remembered(&self, order: Interned<Order>) -> Interned<Order> {
        if !self.is_mutant(Mutant::ForgetfulOrder) || order.payment.is_none() {
            return order;
        }
        let forgotten =
            || Some(Change::without_event(Order { payment: None, ..order.get().clone() }));
        self.order_decides(("forget", Some(order), 0), forgotten).map_or(order, |(order, _)| order)
    }

    /// The writes of a message, in their order.
    fn nth<'a>(&self, write: usize, writes: &'a [TicketEffect]) -> &'a TicketEffect {
        match writes {
            [TicketEffect::ConfirmLock { .. }, mark] if self.is_mutant(Mutant::MarkFirst) => {
                [mark, &writes[0]][write]
            }
            writes => &writes[write],
        }
    }

    fn order_decides(
        &self,
        (what, order, about): (&'static str, Option<Interned<Order>>, u64),
        decide: impl FnOnce() -> Option<Change<Order>>,
    ) -> Decided<Order> {
        self.interners.orders.decide(&self.interners.messages, (what, order, about), decide)
    }
}
