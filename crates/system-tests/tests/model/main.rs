//! The model: explores every reachable state within bounds, and checks the invariants in each.
//!
//! Its transitions call the services' own pure functions. Only the environment is modelled: MongoDB (atomic writes of one
//! document, optimistic concurrency, unique indexes), JetStream (events may be late, out of order and duplicated, until
//! they are acknowledged), Stripe, and the processes, which may crash between any two steps. [`steps`] are the
//! transitions, [`invariants`] the properties, [`mutants`] the mistakes that the model must detect.

mod events;
mod interner;
mod invariants;
mod mutants;
mod orders_service;
mod other_services;
mod payments_service;
mod state;
mod steps;
mod stripe;
mod system;

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::mutants::Mutant;
use crate::system::{Bounds, SystemModel};

/// Two buyers, none of whom pays.
const RESERVATIONS: Bounds = Bounds {
    orders: 2,
    clicks: &[0, 0, 0],
    attempts: 1,
    failures: 0,
    workers: 1,
    deletes: false,
    edits: false,
    refunds: false,
    timers: false,
    relay: false,
};
/// One buyer, who pays once.
const PAYING: Bounds = Bounds { orders: 1, clicks: &[1], ..RESERVATIONS };
/// Two buyers, of whom the first pays.
const MARKET: Bounds = Bounds { clicks: &[1, 0], ..RESERVATIONS };

#[test]
fn reservations_are_safe_while_the_seller_deletes_and_events_wait_in_outboxes() {
    verify(Bounds { deletes: true, relay: true, ..RESERVATIONS }, &[]);
}

#[test]
fn reservations_are_safe_when_a_ticket_is_ordered_three_times() {
    verify(Bounds { orders: 3, ..RESERVATIONS }, &[]);
}

#[test]
fn reservations_are_expired_by_expiration_alone() {
    verify(Bounds { deletes: true, timers: true, ..RESERVATIONS }, &[]);
}

#[test]
fn money_is_safe_while_the_seller_refunds() {
    let expected = ["a ticket is sold", "a late payment is honoured", "a late payment is refunded"];
    verify(Bounds { refunds: true, ..MARKET }, &expected);
}

#[test]
fn money_is_safe_while_the_seller_deletes() {
    let expected = ["a ticket is sold", "a late payment is honoured", "a late payment is refunded"];
    verify(Bounds { deletes: true, ..MARKET }, &expected);
}

#[test]
fn money_is_safe_while_stripe_fails_and_two_processes_work_on_one_payment() {
    let expected = ["a ticket is sold", "a late payment is refunded"];
    verify(Bounds { workers: 2, failures: 1, ..PAYING }, &expected);
}

/// The state space has more than a million states.
#[test]
#[ignore = "takes too long"]
fn money_is_safe_while_both_buyers_pay() {
    verify(Bounds { clicks: &[1, 1], ..MARKET }, &["the second buyer gets the ticket"]);
}

/// Explores every state within the bounds; those with the names in `expected` must be reachable.
fn verify(bounds: Bounds, expected: &[&'static str]) {
    let started = Instant::now();
    let checker = SystemModel::new(bounds, &[]).checker().threads(2).spawn_dfs().join();
    let (states, seconds) = (checker.unique_state_count(), started.elapsed().as_secs());
    println!("{bounds:?}: {states} states in {seconds} s, up to {} steps", checker.max_depth());
    for (name, path) in checker.discoveries() {
        let is_broken = checker.model().property(name).expectation.discovery_is_failure();
        assert!(!is_broken, "{name} is violated by\n{:#?}", path.into_actions());
    }
    for name in expected {
        assert!(checker.discovery(name).is_some(), "never reached: {name}");
    }
}

/// Explores, shortest paths first, until a mutation violates this property.
fn detects(mutants: &'static [Mutant], bounds: Bounds, name: &'static str) {
    let found = HasDiscoveries::AnyOf([name].into());
    let checker = SystemModel::new(bounds, mutants).checker().finish_when(found).spawn_bfs().join();
    let found = checker.discovery(name);
    let path = found.unwrap_or_else(|| panic!("{mutants:?}: {name} is not violated"));
    println!("{mutants:?}: {name} is violated after {} steps", path.into_actions().len());
}

#[test]
fn a_missing_unique_index_is_detected() {
    detects(&[Mutant::NoUniqueIndex], RESERVATIONS, "I1: a ticket has at most one live order");
}

#[test]
fn a_premature_failure_is_detected() {
    let name = "I2: every charge belongs to a complete order or is refunded";
    detects(&[Mutant::FailedTooSoon], Bounds { workers: 2, ..PAYING }, name);
}

#[test]
fn a_missing_idempotency_key_is_detected() {
    let bounds = Bounds { workers: 2, ..PAYING };
    detects(&[Mutant::NoIdempotencyKey], bounds, "I3: a card is charged at most once for a click");
}

#[test]
fn a_missing_refund_is_detected() {
    detects(
        &[Mutant::NoRefund],
        MARKET,
        "I2: every charge belongs to a complete order or is refunded",
    );
}

#[test]
fn a_missing_tombstone_is_detected() {
    detects(&[Mutant::NoTombstone], RESERVATIONS, "I5: a ticket without a live order is unlocked");
}

#[test]
fn a_missing_hold_number_is_detected() {
    detects(&[Mutant::NoHoldNumber], RESERVATIONS, "I6: newer wins in tickets");
}

#[test]
fn an_order_that_forgets_its_payment_is_detected() {
    detects(&[Mutant::ForgetfulOrder], MARKET, "I4: events of payments are consumed");
}

#[test]
fn an_unhandled_race_of_deletion_and_reservation_is_detected() {
    let bounds = Bounds { deletes: true, ..RESERVATIONS };
    detects(&[Mutant::CrossingUnanswered], bounds, "I5: a deleted ticket has no order");
}

#[test]
fn recording_the_version_before_the_effects_is_detected() {
    let bounds = Bounds { deletes: true, ..RESERVATIONS };
    detects(&[Mutant::MarkFirst], bounds, "I5: a deleted ticket has no order");
}

#[test]
fn reused_hold_numbers_are_detected() {
    let bounds = Bounds { refunds: true, ..MARKET };
    detects(
        &[Mutant::HoldsReused],
        bounds,
        "I5: a ticket whose reservation has expired can be ordered",
    );
    detects(&[Mutant::HoldsReused, Mutant::NoHoldIndex], bounds, "I6: newer wins in tickets");
}
