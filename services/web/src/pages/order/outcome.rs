//! How an order stands, out of what orders and payments say: pure.

use common::events::{CancelReason, OrderStatus};

use crate::api::{Order, Payment, PaymentStatus};

/// Whose order it is to whoever looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Buyer,
    Seller,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is held, and waits for a card.
    Unpaid {
        declined: Option<Declined>,
    },
    /// It is held, and payments can't be asked how it stands.
    Unknown,
    /// The bank has been asked, and hasn't said yet.
    Asking,
    /// The last card that may be tried was declined; in a moment the order knows it.
    Ending {
        why: &'static str,
    },
    /// The money is there; in a moment the order knows it.
    Settling,
    /// The ticket is the buyer's.
    Paid {
        refund: Option<Money>,
    },
    Ended {
        why: Ended,
        money: Money,
    },
}

/// A card that was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Declined {
    /// A sentence for its owner.
    pub why: &'static str,
    pub attempts_left: Option<i64>,
}

/// Why an order has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    GivenUp,
    Expired,
    Declined,
    TicketDeleted,
    Refunded,
    Banned,
}

/// Where the money of an order is that has ended or is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Money {
    NeverTaken,
    /// It may have been taken; then it is given back.
    Asking,
    OnItsWayBack,
    GivenBack,
    /// payments can't be asked.
    Unknown,
}

impl Outcome {
    /// `payment` is none if payments can't be asked, and holds none before the first card.
    pub fn of(order: &Order, payment: Option<Option<&Payment>>) -> Outcome {
        let status = payment.map(|payment| payment.map(|payment| payment.status));
        match order.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => match status {
                None => Outcome::Unknown,
                // Whatever is given back ends the order in a moment.
                Some(Some(
                    PaymentStatus::Completed | PaymentStatus::Refunding | PaymentStatus::Refunded,
                )) => Outcome::Settling,
                Some(Some(PaymentStatus::Processing)) => Outcome::Asking,
                Some(None | Some(PaymentStatus::Created | PaymentStatus::Failed)) => {
                    match payment.flatten().and_then(Declined::of) {
                        Some(Declined { why, attempts_left: Some(0) }) => Outcome::Ending { why },
                        declined => Outcome::Unpaid { declined },
                    }
                }
            },
            OrderStatus::Complete => Outcome::Paid {
                refund: match status {
                    Some(Some(PaymentStatus::Refunding)) => Some(Money::OnItsWayBack),
                    Some(Some(PaymentStatus::Refunded)) => Some(Money::GivenBack),
                    None
                    | Some(
                        None
                        | Some(
                            PaymentStatus::Created
                            | PaymentStatus::Processing
                            | PaymentStatus::Completed
                            | PaymentStatus::Failed,
                        ),
                    ) => None,
                },
            },
            OrderStatus::Cancelled => Outcome::Ended {
                why: Ended::of(order.cancel_reason),
                money: match status {
                    None => Money::Unknown,
                    Some(Some(PaymentStatus::Processing)) => Money::Asking,
                    Some(Some(PaymentStatus::Completed | PaymentStatus::Refunding)) => {
                        Money::OnItsWayBack
                    }
                    Some(Some(PaymentStatus::Refunded)) => Money::GivenBack,
                    Some(None | Some(PaymentStatus::Created | PaymentStatus::Failed)) => {
                        Money::NeverTaken
                    }
                },
            },
        }
    }
}

impl Outcome {
    /// One word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Unpaid { .. } => "unpaid",
            Outcome::Unknown => "unknown",
            Outcome::Asking => "asking",
            Outcome::Ending { .. } => "ending",
            Outcome::Settling => "settling",
            Outcome::Paid { refund: None } => "paid",
            Outcome::Paid { refund: Some(_) } => "refunding",
            Outcome::Ended { .. } => "ended",
        }
    }

    /// What is said to those who don't see it when it changes.
    pub fn announcement(&self, side: Side) -> &'static str {
        match (self, side) {
            (Outcome::Unpaid { declined: None } | Outcome::Unknown, Side::Buyer) => {
                "The ticket is held for you."
            }
            (Outcome::Unpaid { declined: Some(_) }, _) => "The card was declined.",
            (Outcome::Unpaid { declined: None } | Outcome::Unknown, Side::Seller) => {
                "Someone is buying your ticket."
            }
            (Outcome::Asking, _) => "The bank is being asked.",
            (Outcome::Ending { .. }, _) => "The last card was declined.",
            (Outcome::Settling, _) => "The money has arrived.",
            (Outcome::Paid { refund: None }, Side::Buyer) => "Paid. The ticket is yours.",
            (Outcome::Paid { refund: None }, Side::Seller) => "Your ticket is sold.",
            (Outcome::Paid { refund: Some(_) }, _) => "The money is on its way back.",
            (Outcome::Ended { why: Ended::Expired, .. }, _) => "The time ran out.",
            (Outcome::Ended { why: Ended::Refunded, .. }, _) => "The order is refunded.",
            (Outcome::Ended { .. }, _) => "The order has ended.",
        }
    }
}

impl Ended {
    fn of(reason: Option<CancelReason>) -> Ended {
        match reason {
            Some(CancelReason::User) => Ended::GivenUp,
            Some(CancelReason::Expired) | None => Ended::Expired,
            Some(CancelReason::PaymentFailed) => Ended::Declined,
            Some(CancelReason::TicketDeleted) => Ended::TicketDeleted,
            Some(CancelReason::Refunded) => Ended::Refunded,
            Some(CancelReason::Banned) => Ended::Banned,
        }
    }
}

impl Declined {
    fn of(payment: &Payment) -> Option<Declined> {
        (payment.declines > 0).then(|| Declined {
            why: sentence(payment.decline_code.as_deref().unwrap_or_default()),
            attempts_left: payment.attempts_left,
        })
    }
}

/// What Stripe's code means to the card's owner. That a card is reported lost or stolen is between them
/// and their bank. <https://docs.stripe.com/declines/codes>
fn sentence(code: &str) -> &'static str {
    match code {
        "insufficient_funds" => "There isn’t enough money on the card.",
        "expired_card" => "The card has expired.",
        "incorrect_cvc" | "invalid_cvc" => "The security code isn’t the card’s.",
        "incorrect_number" | "invalid_number" => "The card’s number isn’t right.",
        "processing_error" | "try_again_later" => {
            "The bank could not handle it just now. The same card may work in a moment."
        }
        "authentication_required" => {
            "The bank wants to ask you in person (3-D Secure), which can’t be done here."
        }
        "card_velocity_exceeded" | "withdrawal_count_limit_exceeded" => {
            "The card has reached its limit."
        }
        "card_not_supported" | "currency_not_supported" => {
            "The card can’t be used for this purchase."
        }
        _ => "The bank didn’t say why. It will tell you, if you ask it.",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(status: &str, reason: Option<&str>) -> Order {
        let id = "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b";
        serde_json::from_value(json!({
            "id": id, "userId": id, "status": status, "cancelReason": reason,
            "expiresAt": "2026-01-01T00:15:00Z",
            "ticket": { "id": id, "title": "Tosca", "price": "20.50", "currency": "usd" },
            "version": 1, "createdAt": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    fn payment(status: &str, declines: i64) -> Payment {
        let id = "01a1b2c3-d4e5-7f60-8a9b-0c1d2e3f4a5b";
        serde_json::from_value(json!({
            "id": id, "status": status, "amount": "20.50", "currency": "usd", "declines": declines,
            "declineCode": "insufficient_funds", "attemptsLeft": 3 - declines,
            "version": 1, "createdAt": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    fn outcome(status: &str, paid: &str, declines: i64) -> Outcome {
        Outcome::of(&order(status, Some("expired")), Some(Some(&payment(paid, declines))))
    }

    #[test]
    fn a_held_ticket_waits_for_a_card_and_says_what_came_of_the_last_one() {
        let held = order("created", None);
        assert_eq!(Outcome::of(&held, Some(None)), Outcome::Unpaid { declined: None });
        assert_eq!(Outcome::of(&held, None), Outcome::Unknown);
        let Outcome::Unpaid { declined: Some(declined) } =
            outcome("awaiting:payment", "created", 1)
        else {
            panic!("a decline is told");
        };
        assert_eq!(declined.attempts_left, Some(2));
        assert!(declined.why.contains("enough money"));
    }

    #[test]
    fn after_the_last_card_nothing_is_asked_for_any_more_and_the_order_is_about_to_end() {
        let why = "There isn’t enough money on the card.";
        for paid in ["created", "failed"] {
            assert_eq!(outcome("awaiting:payment", paid, 3), Outcome::Ending { why }, "{paid}");
        }
    }

    #[test]
    fn nobody_pays_twice_while_the_bank_is_asked_or_the_order_is_catching_up() {
        assert_eq!(outcome("awaiting:payment", "processing", 0), Outcome::Asking);
        assert_eq!(outcome("awaiting:payment", "completed", 0), Outcome::Settling);
    }

    #[test]
    fn an_order_that_has_ended_says_where_its_money_is() {
        for (paid, money) in [
            ("created", Money::NeverTaken),
            ("failed", Money::NeverTaken),
            ("processing", Money::Asking),
            ("completed", Money::OnItsWayBack),
            ("refunding", Money::OnItsWayBack),
            ("refunded", Money::GivenBack),
        ] {
            let ended = Outcome::Ended { why: Ended::Expired, money };
            assert_eq!(outcome("cancelled", paid, 0), ended, "{paid}");
        }
        let why_unknown = Outcome::of(&order("cancelled", Some("user")), None);
        assert_eq!(why_unknown, Outcome::Ended { why: Ended::GivenUp, money: Money::Unknown });
    }

    #[test]
    fn a_paid_order_is_paid_also_while_payments_is_down() {
        assert_eq!(Outcome::of(&order("complete", None), None), Outcome::Paid { refund: None });
        let refunding = Outcome::Paid { refund: Some(Money::OnItsWayBack) };
        assert_eq!(outcome("complete", "refunding", 0), refunding);
    }
}
