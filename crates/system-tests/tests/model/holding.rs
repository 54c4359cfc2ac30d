//! orders, as the model runs it: its own decisions, between reads and writes that others may come between.

use common::events::Payment;
use orders::domain::{Effect as TicketEffect, Expiry, Order, Retake, TicketReplica as Listing};
use orders::store::{InsertOutcome, ONE_LIVE_ORDER, ONE_ORDER_PER_HOLD};
use store::Change;

use crate::archive::{Decided, Kept};
use crate::messages::{Event, Message};
use crate::mutants::Mutant;
use crate::state::State;
use crate::world::{Effect, RESERVATION, World};

impl World {
    /// `POST /api/orders` reads who has the ticket.
    pub fn look(&self, state: &State, deal: usize) -> Option<State> {
        let listing = state.listing.filter(|listing| !listing.deleted)?;
        let mut next = state.clone();
        match state.holder() {
            // It writes this, and looks again.
            Some(holder) => self.expire(state, holder).write(&mut next),
            None => next.deals[deal].reading = Some((listing, None)),
        }
        Some(next)
    }

    /// Then it reads the next hold's number; others may have come between.
    pub fn count(&self, state: &State, deal: usize) -> Option<State> {
        let (listing, _) = state.deals[deal].reading?;
        let mut next = state.clone();
        next.deals[deal].reading = Some((listing, Some(self.next_hold(state))));
        Some(next)
    }

    /// `POST /api/orders` writes the order. A refusal by an index means: look again.
    pub fn insert(&self, state: &State, deal: usize) -> Option<State> {
        let (listing, hold) = state.deals[deal].reading?;
        let hold = hold?;
        let (id, buyer) = (self.orders[deal], self.buyers[deal % 2]);
        let reserve = || {
            let ticket = listing.as_ordered();
            let now = World::before_the_end();
            Some(Order::reserve(id, buyer, ticket, hold, now, RESERVATION))
        };
        let about = (listing.number() << 32) | ((deal as u64) << 16) | hold as u64;
        let (order, told) = self.order_decides(("reserve", None, about), reserve)?;
        let mut next = state.clone();
        next.deals[deal].reading = None;
        match self.place(state, deal, order.active, &order.holds) {
            InsertOutcome::Inserted => Effect::Order(deal, order, told).write(&mut next),
            InsertOutcome::Taken | InsertOutcome::Conflict => {}
        }
        Some(next)
    }

    /// `DELETE /api/orders/{id}`.
    pub fn give_up(&self, state: &State, deal: usize) -> Effect {
        let Some(order) = state.deals[deal].order else { return Effect::Nothing };
        let is_over = state.deals[deal].is_over;
        let given_up = self.order_decides(("given up", Some(order), is_over.into()), || {
            order.cancel_by_buyer(World::clock(is_over)).ok().flatten()
        });
        Effect::order(deal, given_up)
    }

    /// The next buyer's attempt, the sweep, and the reminder all end a hold in this way.
    pub fn expire(&self, state: &State, deal: usize) -> Effect {
        let Some(order) = state.deals[deal].order else { return Effect::Nothing };
        let is_over = state.deals[deal].is_over;
        let now = World::clock(is_over);
        let expired = self.order_decides(("expire", Some(order), is_over.into()), || {
            match order.expire(now) {
                Expiry::Due(change) => Some(*change),
                Expiry::NotBefore(_) => Some(Change::without_event(order.get().clone())),
                Expiry::Nothing => None,
            }
        });
        match expired {
            Some((same, _)) if same == order => Effect::NotYet,
            expired => Effect::order(deal, expired),
        }
    }

    /// What a listener does with a message: one of its writes.
    pub fn orders_hears(&self, state: &State, message: Kept<Message>, write: usize) -> Effect {
        let about = message.number();
        let decide = |deal: usize, what, decide: fn(&Order, &Event) -> Option<Change<Order>>| {
            let Some(order) = state.deals[deal].order else { return Effect::Nothing };
            let question = (what, Some(order), about);
            Effect::order(
                deal,
                self.order_decides(question, || decide(&order, &message.get().event)),
            )
        };
        match &message.get().event {
            Event::Ticket(_, writes) => match self.nth(write, writes) {
                TicketEffect::ConfirmLock { order, hold } => {
                    let deal = self.deal(*order);
                    let Some(order) = state.deals[deal].order else { return Effect::Nothing };
                    let question = ("confirm lock", Some(order), about);
                    Effect::order(deal, self.order_decides(question, || order.confirm_lock(*hold)))
                }
                TicketEffect::Replica(listing) => self.replicate(state, message, listing),
                TicketEffect::EndLiveOrder => state.holder().map_or(Effect::Nothing, |deal| {
                    decide(deal, "ticket deleted", |order, _| order.ticket_deleted())
                }),
            },
            Event::Expiration(expiration) => self.expire(state, self.deal(expiration.order_id)),
            Event::Paid(payment) => self.hear_of_charge(state, message, payment),
            Event::Failed(payment) => {
                decide(self.deal(payment.order_id), "failed", |order, event| {
                    let Event::Failed(payment) = event else { return None };
                    order.payment_failed(payment)
                })
            }
            Event::Refunded(refund) => {
                decide(self.deal(refund.order_id), "refunded", |order, event| {
                    let Event::Refunded(refund) = event else { return None };
                    order.refunded(refund)
                })
            }
            Event::Order(_) | Event::RefundRequired(_) | Event::Unheard => Effect::Nothing,
        }
    }

    /// What its event makes of the replica, which MongoDB lets through if it is newer.
    fn replicate(&self, state: &State, message: Kept<Message>, listing: &Listing) -> Effect {
        if state.listing.is_some_and(|known| known.version >= listing.version) {
            return Effect::Nothing;
        }
        let question = ("replica", None, message.number());
        let replica = || Some(Change::without_event(listing.clone()));
        let replica = self.archive.listings.decide(&self.archive.messages, question, replica);
        replica.map_or(Effect::Nothing, |(listing, _)| Effect::Listing(listing))
    }

    /// `payment.created` reads; what it wants to write, if it takes the ticket again, others may forestall.
    fn hear_of_charge(&self, state: &State, message: Kept<Message>, payment: &Payment) -> Effect {
        let deal = self.deal(payment.order_id);
        let Some(order) = state.deals[deal].order else { return Effect::NotYet };
        let order = self.as_it_remembers(order);
        let retake = || {
            let holder = state.holder().and_then(|holder| state.deals[holder].order);
            let listing = state.listing.map(Kept::get);
            order.retake(payment, holder.map(Kept::get), listing, self.next_hold(state))
        };
        match if order.would_retake() { retake() } else { Retake::Gone } {
            Retake::Free { .. } if state.deals[deal].retaking.is_some() => Effect::NotYet,
            Retake::Free { hold } => Effect::Retaking(deal, hold),
            Retake::Gone => Effect::order(deal, self.answer(order, message, payment, Retake::Gone)),
        }
    }

    /// `payment.created` writes what it has decided on what it read.
    pub fn finish_retaking(&self, state: &State, deal: usize) -> Option<State> {
        let hold = state.deals[deal].retaking?;
        let order = self.as_it_remembers(state.deals[deal].order?);
        let (message, payment) = state.letters.iter().find_map(|letter| {
            let Event::Paid(payment) = &letter.message.get().event else { return None };
            (payment.order_id == order.id).then_some((letter.message, payment))
        })?;
        let (retaken, told) = self.answer(order, message, payment, Retake::Free { hold })?;
        let mut next = state.clone();
        next.deals[deal].retaking = None;
        match self.place(state, deal, retaken.active, &retaken.holds) {
            InsertOutcome::Inserted => Effect::Order(deal, retaken, told).write(&mut next),
            InsertOutcome::Conflict => {}
            InsertOutcome::Taken => {
                Effect::order(deal, self.answer(order, message, payment, Retake::Gone))
                    .write(&mut next);
            }
        }
        Some(next)
    }

    fn answer(
        &self,
        order: Kept<Order>,
        message: Kept<Message>,
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

    /// What MongoDB's unique indexes say to an order that would be stored so.
    pub fn place(&self, state: &State, deal: usize, active: bool, holds: &[i64]) -> InsertOutcome {
        let others = || {
            let others = state.deals.iter().enumerate().filter(move |(other, _)| *other != deal);
            others.filter_map(|(_, other)| other.order)
        };
        let held =
            !self.is_mutant(Mutant::NoUniqueIndex) && active && others().any(|order| order.active);
        let had = others().any(|order| order.holds.iter().any(|hold| holds.contains(hold)));
        let index = match (held, had) {
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
        Order::next_hold(state.orders(), state.listing.map(Kept::get))
    }

    fn as_it_remembers(&self, order: Kept<Order>) -> Kept<Order> {
        if !self.is_mutant(Mutant::ForgetfulOrder) || order.payment.is_none() {
            return order;
        }
        let forgotten =
            || Some(Change::without_event(Order { payment: None, ..order.get().clone() }));
        self.order_decides(("forget", Some(order), 0), forgotten).map_or(order, |(order, _)| order)
    }

    /// A listener's writes, in their order.
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
        (what, order, about): (&'static str, Option<Kept<Order>>, u64),
        decide: impl FnOnce() -> Option<Change<Order>>,
    ) -> Decided<Order> {
        self.archive.orders.decide(&self.archive.messages, (what, order, about), decide)
    }
}
