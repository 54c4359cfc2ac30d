//! Each place has one buyer, and the model finds each mistake.

use model::exploring;
use model::places::bounds::{Bounds, NOTHING};
use model::places::mutants::Mutant;
use model::places::system::PlacesModel;

/// Two places, and three buyers who compete for them.
const RUSH: Bounds = Bounds { orders: &[1, 1, 2], ..NOTHING };
/// Two buyers.
const PAIR: Bounds = Bounds { orders: &[1, 2], ..NOTHING };
/// One buyer, who orders four listings and may reserve two. The first order is paid.
const SLOTS: Bounds =
    Bounds { quantity: 4, orders: &[1, 1, 1, 1], slots: Some(2), paid: 1, ..NOTHING };

const HONOURED: &str = "a late payment is honoured";
const REFUNDED: &str = "a late payment is refunded";

#[test]
fn two_places_have_one_buyer_each_among_three() {
    verify(RUSH, &["all places are reserved by different buyers"]);
}

#[test]
fn reservations_are_safe_while_the_seller_deletes() {
    verify(Bounds { deletes: true, ..RUSH }, &["the listing is deleted"]);
}

#[test]
fn reservations_are_safe_while_events_wait_in_outboxes() {
    verify(Bounds { deletes: true, relay: true, ..PAIR }, &["the listing is deleted"]);
}

#[test]
fn reservations_are_expired_by_expiration_alone() {
    verify(Bounds { deletes: true, timers: true, ..PAIR }, &["the listing is deleted"]);
}

#[test]
fn the_summary_converges_while_two_processes_compute_it() {
    verify(Bounds { deletes: true, summaries: 2, ..PAIR }, &["the listing is deleted"]);
}

#[test]
fn the_summary_converges_while_consumers_compute_it() {
    let one = Bounds { quantity: 1, orders: &[1, 1], consumers_summarise: true, ..NOTHING };
    verify(Bounds { summaries: 2, ..one }, &[]);
    verify(Bounds { deletes: true, summaries: 1, ..one }, &["the listing is deleted"]);
}

#[test]
fn a_buyer_has_only_so_many_reservations() {
    verify(SLOTS, &["a buyer has all reservations that they may have"]);
}

#[test]
fn money_is_safe_among_three_buyers_while_the_seller_refunds() {
    let bounds = Bounds { paid: 1, failures: true, refunds: true, ..RUSH };
    verify(bounds, &[HONOURED, REFUNDED, "places are withdrawn"]);
}

#[test]
fn money_is_safe_while_the_seller_deletes() {
    let bounds = Bounds { paid: 2, deletes: true, ..PAIR };
    verify(bounds, &["all places are sold", HONOURED, REFUNDED]);
}

#[test]
fn money_is_safe_while_the_listing_changes_and_grows() {
    let bounds = Bounds { quantity: 1, paid: 2, edits: true, grows: true, ..PAIR };
    verify(bounds, &["all places are sold", HONOURED, REFUNDED]);
}

fn verify(bounds: Bounds, expected: &[&'static str]) {
    exploring::verify(PlacesModel { bounds, mutants: &[] }, &format!("{bounds:?}"), expected);
}

fn detects(mutants: &'static [Mutant], bounds: Bounds, name: &'static str) {
    exploring::detects(|| PlacesModel { bounds, mutants }, &format!("{mutants:?}"), name);
}

#[test]
fn a_missing_unique_index_is_detected() {
    detects(&[Mutant::NoPlaceIndex], PAIR, "I1: a place has one buyer");
}

#[test]
fn an_index_without_places_is_detected() {
    let name = "I5: places whose reservation has expired can be ordered";
    detects(&[Mutant::IndexWithoutPlaces], PAIR, name);
}

#[test]
fn an_order_of_fewer_places_is_detected() {
    let name = "an order has as many places as its buyer has asked for";
    detects(&[Mutant::FewerPlaces], PAIR, name);
}

#[test]
fn a_shrinking_listing_is_detected() {
    let bounds = Bounds { grows: true, ..PAIR };
    detects(&[Mutant::QuantityShrinks], bounds, "I1: no more is sold than the listing has");
}

#[test]
fn a_late_payment_that_completes_with_somebody_elses_places_is_detected() {
    let bounds = Bounds { paid: 1, ..PAIR };
    detects(&[Mutant::LateWithoutIndex], bounds, "I1: a place has one buyer");
}

#[test]
fn withdrawn_places_that_are_sold_again_are_detected() {
    let bounds = Bounds { paid: 1, refunds: true, ..PAIR };
    detects(&[Mutant::AlwaysRelisted], bounds, "I1: a place has one buyer");
}

#[test]
fn a_missing_refund_is_detected() {
    let name = "I2: every charge belongs to a complete order or is refunded";
    detects(&[Mutant::NoRefund], Bounds { paid: 1, ..PAIR }, name);
}

#[test]
fn an_order_that_forgets_its_payment_is_detected() {
    let bounds = Bounds { paid: 1, refunds: true, ..PAIR };
    detects(&[Mutant::ForgetfulOrder], bounds, "I4: events of payments are consumed");
}

#[test]
fn a_missing_tombstone_is_detected() {
    detects(&[Mutant::NoTombstone], PAIR, "I6: newer wins in tickets");
}

#[test]
fn a_reservation_applied_by_arrival_is_detected() {
    detects(&[Mutant::AppliedByArrival], PAIR, "I6: newer wins in tickets");
}

#[test]
fn an_unhandled_race_of_deletion_and_reservation_is_detected() {
    let bounds = Bounds { deletes: true, ..PAIR };
    detects(&[Mutant::CrossingUnanswered], bounds, "I5: a deleted listing has no order");
}

#[test]
fn recording_the_version_before_the_effects_is_detected() {
    let bounds = Bounds { deletes: true, ..PAIR };
    detects(&[Mutant::MarkFirst], bounds, "I5: a deleted listing has no order");
}

#[test]
fn a_summary_taken_for_the_truth_is_detected() {
    let bounds = Bounds { deletes: true, summaries: 1, ..PAIR };
    let name = "a listing with a known reservation is not deleted";
    detects(&[Mutant::SummaryTrusted], bounds, name);
    detects(&[Mutant::DeleteUnguarded], bounds, name);
}

#[test]
fn a_summary_that_is_written_without_its_guard_is_detected() {
    let (name, one) = ("the summary is that of the reservations", Bounds { summaries: 1, ..PAIR });
    detects(&[Mutant::SummaryUnguarded], one, name);
    detects(&[Mutant::MarkedTooLate], one, name);
    detects(&[Mutant::MarkIsFlag], Bounds { summaries: 2, ..one }, name);
    let two = Bounds { summaries: 2, consumers_summarise: true, ..PAIR };
    detects(&[Mutant::ConsumerDoesNotMark], two, name);
    let consumer = Bounds { consumers_summarise: true, ..one };
    detects(&[Mutant::OwnReservationNotAdded], consumer, name);
}

#[test]
fn a_missing_index_of_slots_is_detected() {
    detects(&[Mutant::NoSlotIndex], SLOTS, "a buyer has only so many reservations");
}

#[test]
fn a_slot_that_is_not_freed_is_detected() {
    detects(&[Mutant::SlotNotFreed], SLOTS, "a buyer with fewer reservations can order");
}
