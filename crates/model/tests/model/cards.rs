//! The money of one order is safe, and the model finds each mistake.

use model::cards::bounds::{Bounds, Elsewhere, PLAIN};
use model::cards::mutants::Mutant;
use model::cards::system::CardsModel;
use model::exploring;
use model::protocol::payment::Limits;

fn verify(bounds: Bounds, expected: &[&'static str]) {
    exploring::verify(CardsModel { bounds, mutants: &[] }, &format!("{bounds:?}"), expected);
}

fn detects(mutants: &'static [Mutant], bounds: Bounds, name: &'static str) {
    exploring::detects(|| CardsModel { bounds, mutants }, &format!("{mutants:?}"), name);
}

const SOLD: &str = "an order is sold";
const LATE: &str = "a late payment is honoured";
const RELEASED: &str = "a late payment is released";
const REFUNDED: &str = "a sale is refunded";
const EARLY: &str = "a refund comes before the capture";
const IN_FLIGHT: &str = "a capture in flight is refunded";
const IMPOSSIBLE: &str = "a capture is impossible";
const DECLINED: &str = "a card is declined";
const ABANDONED: &str = "a challenge is abandoned";

/// The second decline ends the payment.
const TWO_CARDS: Limits = Limits { declines: 2, attempts: 2 };
/// All of them, once.
const ELSEWHERE: &[Elsewhere] = &[Elsewhere::Cancel, Elsewhere::Capture, Elsewhere::Refund];
/// The buyer, the seller and another buyer do what they can, and payments' clock may be wrong.
const PEOPLE: Bounds =
    Bounds { refunds: true, deletes: true, cancels: true, rivals: true, is_late: true, ..PLAIN };

#[test]
fn money_is_safe_while_two_processes_work_and_stripe_fails_twice() {
    let bounds = Bounds { workers: 2, failures: 2, ..PEOPLE };
    verify(bounds, &[SOLD, LATE, RELEASED, REFUNDED, EARLY, IN_FLIGHT, DECLINED]);
}

#[test]
fn money_is_safe_while_three_processes_work() {
    verify(Bounds { workers: 3, ..PEOPLE }, &[SOLD, LATE, RELEASED, REFUNDED, EARLY, IN_FLIGHT]);
}

#[test]
fn money_is_safe_while_a_buyer_tries_two_cards_and_stripe_fails() {
    let bounds = Bounds { workers: 2, failures: 1, limits: TWO_CARDS, ..PEOPLE };
    verify(bounds, &[SOLD, LATE, RELEASED, REFUNDED, EARLY, IN_FLIGHT, DECLINED]);
}

#[test]
fn money_is_safe_while_a_bank_asks_the_buyer_to_authenticate() {
    let bounds = Bounds { workers: 2, challenges: true, limits: TWO_CARDS, ..PEOPLE };
    verify(bounds, &[SOLD, LATE, RELEASED, REFUNDED, DECLINED, ABANDONED]);
}

#[test]
fn money_is_safe_while_others_act_at_stripe() {
    let bounds = Bounds { workers: 2, elsewhere: ELSEWHERE, ..PEOPLE };
    verify(bounds, &[SOLD, LATE, RELEASED, REFUNDED, IMPOSSIBLE]);
}

#[test]
fn money_is_safe_while_two_messages_are_lost() {
    let bounds = Bounds { losses: 2, elsewhere: ELSEWHERE, ..PEOPLE };
    verify(bounds, &[SOLD, LATE, RELEASED, REFUNDED, IMPOSSIBLE]);
}

#[test]
fn money_is_safe_while_a_message_is_lost_and_two_processes_work() {
    let bounds = Bounds { losses: 1, workers: 2, ..PEOPLE };
    verify(bounds, &[SOLD, LATE, RELEASED, REFUNDED, IN_FLIGHT]);
}

const CHARGES: &str = "I2: every charge belongs to a complete order or is refunded";
const OPEN: &str = "I2: no authorisation is left open";

#[test]
fn a_failure_that_is_not_compared_with_the_success_is_detected() {
    let limits = Limits { declines: 1, attempts: 2 };
    let bounds = Bounds { workers: 2, limits, is_late: true, ..PLAIN };
    detects(&[Mutant::FailedVersionIgnored], bounds, "a complete order is ended only by a refund");
}

#[test]
fn a_cancellation_that_is_not_sticky_is_detected() {
    let bounds = Bounds { workers: 2, is_late: true, ..PLAIN };
    let name = "an order is complete only while its money is there";
    detects(&[Mutant::CancellingNotSticky], bounds, name);
}

#[test]
fn a_success_that_is_older_than_a_failure_is_detected() {
    let bounds = Bounds { elsewhere: &[Elsewhere::Cancel], ..PLAIN };
    detects(&[Mutant::OlderSuccessAnswered], bounds, CHARGES);
}

#[test]
fn outcomes_that_are_not_republished_are_detected() {
    let bounds = Bounds { losses: 1, ..PLAIN };
    detects(&[Mutant::OutcomesNotRepublished], bounds, "I4: orders knows the payment");
    let bounds = Bounds { losses: 2, elsewhere: &[Elsewhere::Cancel], ..PLAIN };
    detects(&[Mutant::AnyEndSuffices], bounds, "I4: orders knows the payment");
}

#[test]
fn a_failure_that_does_not_settle_a_required_release_is_detected() {
    let bounds = Bounds { elsewhere: &[Elsewhere::Cancel], rivals: true, ..PLAIN };
    detects(&[Mutant::FailedSettlesNothing], bounds, "I8: what is owed is settled");
}

#[test]
fn a_refund_that_is_forgotten_is_detected() {
    let bounds = Bounds { refunds: true, ..PLAIN };
    detects(&[Mutant::RefundForgotten], bounds, "a refund that was asked for is done");
}

#[test]
fn a_release_that_is_no_answer_is_detected() {
    let name = "an order is complete only while its money is there";
    detects(&[Mutant::CancellationReleases], PLAIN, name);
}

#[test]
fn a_capture_before_the_answer_is_detected() {
    let name = "I2: a card is charged only for an order that is complete";
    detects(&[Mutant::CapturedBeforeAnswer], PLAIN, name);
}

#[test]
fn a_release_that_was_not_confirmed_is_detected() {
    let bounds = Bounds { refunds: true, workers: 2, ..PLAIN };
    detects(&[Mutant::ReleasedTooSoon], bounds, CHARGES);
    detects(&[Mutant::CancelledTooSoon], bounds, OPEN);
}

#[test]
fn a_capture_that_is_forgotten_is_detected() {
    let bounds = Bounds { failures: 1, ..PLAIN };
    let name = "an order is complete only while its money is there";
    detects(&[Mutant::CaptureForgotten], bounds, name);
}

#[test]
fn a_missing_idempotency_key_is_detected() {
    let bounds = Bounds { workers: 2, ..PLAIN };
    let name = "I3: a card is tried at most once for an attempt";
    detects(&[Mutant::NoIdempotencyKey], bounds, name);
}

#[test]
fn a_missing_release_is_detected() {
    detects(&[Mutant::NoRelease], Bounds { rivals: true, ..PLAIN }, OPEN);
}
