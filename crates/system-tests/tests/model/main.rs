//! The model: every state that the whole can be in, within bounds, and the invariants in each of them.
//!
//! Its transitions call the services' own pure functions. The model plays only what is not ours: MongoDB
//! (one document is written at once, if it is still as it was read; unique indexes), JetStream (every
//! event may come late, in any order, again, and never again once it is acknowledged), Stripe, and the
//! processes, which may stop between any two steps. [`steps`] says what can happen, [`invariants`] what
//! must hold, [`mutants`] which mistakes are planted to see that they are found.

mod archive;
mod following;
mod holding;
mod invariants;
mod messages;
mod mutants;
mod paying;
mod state;
mod steps;
mod stripe;
mod world;

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::mutants::Mutant;
use crate::world::{Bounds, World};

/// Two buyers, and nobody pays.
const HOLDS: Bounds = Bounds {
    orders: 2,
    clicks: &[0, 0, 0],
    attempts: 1,
    failures: 0,
    drivers: 1,
    deletes: false,
    edits: false,
    refunds: false,
    timers: false,
    relay: false,
};
/// One buyer, who pays once.
const PAYING: Bounds = Bounds { orders: 1, clicks: &[1], ..HOLDS };
/// Two buyers, of whom the first pays.
const MARKET: Bounds = Bounds { clicks: &[1, 0], ..HOLDS };

#[test]
fn holds_are_safe_while_the_seller_deletes_and_events_wait_in_outboxes() {
    holds(Bounds { deletes: true, relay: true, ..HOLDS }, &[]);
}

#[test]
fn holds_are_safe_when_a_ticket_is_taken_three_times() {
    holds(Bounds { orders: 3, ..HOLDS }, &[]);
}

#[test]
fn holds_are_ended_by_expiration_alone() {
    holds(Bounds { deletes: true, timers: true, ..HOLDS }, &[]);
}

#[test]
fn money_is_safe_while_the_seller_refunds() {
    let sights =
        ["a ticket is sold", "one who paid late gets it", "one who paid late gets the money back"];
    holds(Bounds { refunds: true, ..MARKET }, &sights);
}

#[test]
fn money_is_safe_while_the_seller_deletes() {
    let sights =
        ["a ticket is sold", "one who paid late gets it", "one who paid late gets the money back"];
    holds(Bounds { deletes: true, ..MARKET }, &sights);
}

#[test]
fn money_is_safe_while_stripe_fails_and_two_processes_are_at_one_payment() {
    let sights = ["a ticket is sold", "one who paid late gets the money back"];
    holds(Bounds { drivers: 2, failures: 1, ..PAYING }, &sights);
}

/// More than a million states were seen, and those were not all.
#[test]
#[ignore = "more states than fit the time"]
fn money_is_safe_while_both_buyers_pay() {
    holds(Bounds { clicks: &[1, 1], ..MARKET }, &["the second buyer gets it"]);
}

/// Looks at every state within the bounds; `sights` are to be among them.
fn holds(bounds: Bounds, sights: &[&'static str]) {
    let begun = Instant::now();
    let checker = World::new(bounds, &[]).checker().threads(2).spawn_dfs().join();
    let (states, seconds) = (checker.unique_state_count(), begun.elapsed().as_secs());
    println!("{bounds:?}: {states} states in {seconds} s, up to {} steps", checker.max_depth());
    for (name, path) in checker.discoveries() {
        let is_broken = checker.model().property(name).expectation.discovery_is_failure();
        assert!(!is_broken, "{name} is broken by\n{:#?}", path.into_actions());
    }
    for sight in sights {
        assert!(checker.discovery(sight).is_some(), "never seen: {sight}");
    }
}

/// Looks, the shortest ways first, until a planted mistake breaks this.
fn breaks(mutants: &'static [Mutant], bounds: Bounds, name: &'static str) {
    let found = HasDiscoveries::AnyOf([name].into());
    let checker = World::new(bounds, mutants).checker().finish_when(found).spawn_bfs().join();
    let found = checker.discovery(name);
    let path = found.unwrap_or_else(|| panic!("{mutants:?}: {name} holds all the same"));
    println!("{mutants:?}: {name} is broken in {} steps", path.into_actions().len());
}

#[test]
fn no_unique_index_is_found() {
    breaks(&[Mutant::NoUniqueIndex], HOLDS, "I1: a ticket has at most one live order");
}

#[test]
fn failed_before_stripe_has_said_so_is_found() {
    let name = "I2: what was charged is a complete order or given back";
    breaks(&[Mutant::FailedTooSoon], Bounds { drivers: 2, ..PAYING }, name);
}

#[test]
fn no_idempotency_key_is_found() {
    let bounds = Bounds { drivers: 2, ..PAYING };
    breaks(&[Mutant::NoIdempotencyKey], bounds, "I3: a card is tried at most once for a click");
}

#[test]
fn no_refund_is_found() {
    breaks(&[Mutant::NoRefund], MARKET, "I2: what was charged is a complete order or given back");
}

#[test]
fn no_tombstone_is_found() {
    breaks(&[Mutant::NoTombstone], HOLDS, "I5: a ticket without a live order is free in tickets");
}

#[test]
fn no_hold_number_is_found() {
    breaks(&[Mutant::NoHoldNumber], HOLDS, "I6: newer wins in tickets");
}

#[test]
fn an_order_that_forgets_its_payments_answer_is_found() {
    breaks(&[Mutant::ForgetfulOrder], MARKET, "I4: what payments tells arrives");
}

#[test]
fn delete_and_reserve_crossing_unanswered_is_found() {
    let bounds = Bounds { deletes: true, ..HOLDS };
    breaks(&[Mutant::CrossingUnanswered], bounds, "I5: a deleted ticket has no order");
}

#[test]
fn the_version_mark_before_the_effects_is_found() {
    let bounds = Bounds { deletes: true, ..HOLDS };
    breaks(&[Mutant::MarkFirst], bounds, "I5: a deleted ticket has no order");
}

#[test]
fn hold_numbers_used_again_are_found() {
    let bounds = Bounds { refunds: true, ..MARKET };
    breaks(&[Mutant::HoldsReused], bounds, "I5: a hold that has run out is free");
    breaks(&[Mutant::HoldsReused, Mutant::NoHoldIndex], bounds, "I6: newer wins in tickets");
}
