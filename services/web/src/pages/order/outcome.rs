//! The state of an order as its page shows it, derived from orders and payments: pure.

use common::events::{CancelReason, OrderStatus};

use crate::api::{Order, Payment, PaymentStatus};

/// The visitor's side of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Buyer,
    Seller,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Reserved, and waiting for a card.
    Unpaid {
        declined: Option<Declined>,
    },
    /// Reserved, and payments is unavailable; or a state of a later version.
    Unknown,
    /// A payment is in progress at the bank.
    Processing,
    /// The buyer's bank asks the buyer.
    ActionRequired {
        action: Option<Action>,
    },
    /// The last allowed card was declined; orders is about to receive the event.
    NoAttemptsLeft {
        why: &'static str,
    },
    /// The payment succeeded; orders is about to receive the event.
    Confirming,
    /// The ticket is sold to the buyer.
    Paid {
        refund: Option<Money>,
    },
    Ended {
        why: Ended,
        money: Money,
    },
}

/// What the buyer's bank asks the buyer to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// For Stripe's script.
    pub client_secret: String,
    /// The bank's page, which works without a script.
    pub redirect_url: Option<String>,
}

/// A declined card.
#[derive(Clone, Debug, PartialEq)]
pub struct Declined {
    /// Stripe's decline code.
    pub code: String,
    /// What it means, for the card's owner.
    pub why: &'static str,
    pub attempts_left: Option<i64>,
}

/// Why an order has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    CancelledByBuyer,
    Expired,
    Declined,
    TicketDeleted,
    Refunded,
    Banned,
    /// The buyer's bank has taken the money back.
    Disputed,
    /// For a reason that this version doesn't know.
    Otherwise,
}

/// The payment of an order that has ended or is being refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Money {
    /// Nothing was charged.
    NeverTaken,
    /// The bank hasn't responded yet. What it authorises will be released.
    Processing,
    Refunding,
    Refunded,
    /// The buyer's bank has taken it back.
    ChargedBack,
    /// payments is unavailable.
    Unknown,
}

impl Outcome {
    /// `payment` is none if payments is unavailable, and holds none before the first card.
    pub fn of(order: &Order, payment: Option<Option<&Payment>>) -> Outcome {
        let status = payment.map(|payment| payment.map(|payment| payment.status));
        match order.status {
            OrderStatus::Unknown => Outcome::Unknown,
            OrderStatus::Created | OrderStatus::AwaitingPayment => match status {
                None | Some(Some(PaymentStatus::Unknown)) => Outcome::Unknown,
                // A refund, or a release, is about to end the order.
                Some(Some(
                    PaymentStatus::Completed
                    | PaymentStatus::Refunding
                    | PaymentStatus::Refunded
                    | PaymentStatus::Released
                    | PaymentStatus::ChargedBack,
                )) => Outcome::Confirming,
                Some(Some(PaymentStatus::Processing)) => Outcome::Processing,
                Some(Some(PaymentStatus::ActionRequired)) => {
                    Outcome::ActionRequired { action: payment.flatten().and_then(Action::of) }
                }
                Some(None | Some(PaymentStatus::Created | PaymentStatus::Failed)) => {
                    match payment.flatten().and_then(Declined::of) {
                        Some(Declined { why, attempts_left: Some(0), .. }) => {
                            Outcome::NoAttemptsLeft { why }
                        }
                        declined => Outcome::Unpaid { declined },
                    }
                }
            },
            OrderStatus::Complete => Outcome::Paid {
                refund: match status {
                    Some(Some(PaymentStatus::Refunding)) => Some(Money::Refunding),
                    Some(Some(PaymentStatus::Refunded)) => Some(Money::Refunded),
                    Some(Some(PaymentStatus::Released)) => Some(Money::NeverTaken),
                    Some(Some(PaymentStatus::ChargedBack)) => Some(Money::ChargedBack),
                    None
                    | Some(
                        None
                        | Some(
                            PaymentStatus::Created
                            | PaymentStatus::Processing
                            | PaymentStatus::ActionRequired
                            | PaymentStatus::Completed
                            | PaymentStatus::Failed
                            | PaymentStatus::Unknown,
                        ),
                    ) => None,
                },
            },
            OrderStatus::Cancelled => Outcome::Ended {
                why: Ended::of(order.cancel_reason),
                money: match status {
                    None | Some(Some(PaymentStatus::Unknown)) => Money::Unknown,
                    Some(Some(PaymentStatus::Processing | PaymentStatus::ActionRequired)) => {
                        Money::Processing
                    }
                    Some(Some(PaymentStatus::ChargedBack)) => Money::ChargedBack,
                    Some(Some(PaymentStatus::Completed | PaymentStatus::Refunding)) => {
                        Money::Refunding
                    }
                    Some(Some(PaymentStatus::Refunded)) => Money::Refunded,
                    Some(
                        None
                        | Some(
                            PaymentStatus::Created
                            | PaymentStatus::Failed
                            | PaymentStatus::Released,
                        ),
                    ) => Money::NeverTaken,
                },
            },
        }
    }
}

impl Outcome {
    /// A name for it, for app.js and for tests.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Unpaid { .. } => "unpaid",
            Outcome::Unknown => "unknown",
            Outcome::Processing => "processing",
            Outcome::ActionRequired { .. } => "action-required",
            Outcome::NoAttemptsLeft { .. } => "no-attempts-left",
            Outcome::Confirming => "confirming",
            Outcome::Paid { refund: None } => "paid",
            Outcome::Paid { refund: Some(_) } => "refunding",
            Outcome::Ended { why, .. } => match why {
                Ended::CancelledByBuyer => "cancelled",
                Ended::Expired => "expired",
                Ended::Declined => "payment-failed",
                Ended::TicketDeleted => "listing-removed",
                Ended::Refunded => "refunded",
                Ended::Banned => "suspended",
                Ended::Disputed => "disputed",
                Ended::Otherwise => "ended",
            },
        }
    }

    /// Announced to screen readers when the state changes.
    pub fn announcement(&self, side: Side, of_many: bool) -> &'static str {
        match (self, side) {
            (Outcome::Unpaid { declined: None } | Outcome::Unknown, Side::Buyer) => {
                if of_many {
                    "These tickets are reserved for you."
                } else {
                    "This ticket is reserved for you."
                }
            }
            (Outcome::Unpaid { declined: Some(_) }, _) => "The card was declined.",
            (Outcome::Unpaid { declined: None } | Outcome::Unknown, Side::Seller) => {
                "A buyer is at checkout."
            }
            (Outcome::Processing, _) => "Payment in progress.",
            (Outcome::ActionRequired { .. }, Side::Buyer) => "Your bank asks you to confirm.",
            (Outcome::ActionRequired { .. }, Side::Seller) => "Payment in progress.",
            (Outcome::NoAttemptsLeft { .. }, _) => "The last card was declined.",
            (Outcome::Confirming, _) => "Payment received.",
            (Outcome::Paid { refund: None }, Side::Buyer) if of_many => {
                "Paid. You bought these tickets."
            }
            (Outcome::Paid { refund: None }, Side::Buyer) => "Paid. You bought this ticket.",
            (Outcome::Paid { refund: None }, Side::Seller) if of_many => "Your tickets are sold.",
            (Outcome::Paid { refund: None }, Side::Seller) => "Your ticket is sold.",
            (Outcome::Paid { refund: Some(_) }, _) => "Refund in progress.",
            (Outcome::Ended { why: Ended::Expired, .. }, _) => "The reservation expired.",
            (Outcome::Ended { why: Ended::Refunded, money: Money::NeverTaken }, _) => {
                "The order was cancelled."
            }
            (Outcome::Ended { why: Ended::Refunded, .. }, _) => "The order was refunded.",
            (Outcome::Ended { .. }, _) => "The order was cancelled.",
        }
    }
}

impl Money {
    /// A name for it, for tests.
    pub fn name(&self) -> &'static str {
        match self {
            Money::NeverTaken => "never-taken",
            Money::Processing => "processing",
            Money::Refunding => "refunding",
            Money::Refunded => "refunded",
            Money::ChargedBack => "charged-back",
            Money::Unknown => "unknown",
        }
    }
}

impl Ended {
    fn of(reason: Option<CancelReason>) -> Ended {
        match reason {
            Some(CancelReason::User) => Ended::CancelledByBuyer,
            Some(CancelReason::Expired) | None => Ended::Expired,
            Some(CancelReason::PaymentFailed) => Ended::Declined,
            Some(CancelReason::TicketDeleted) => Ended::TicketDeleted,
            Some(CancelReason::Refunded) => Ended::Refunded,
            Some(CancelReason::Banned) => Ended::Banned,
            Some(CancelReason::Disputed) => Ended::Disputed,
            Some(CancelReason::Unknown) => Ended::Otherwise,
        }
    }
}

impl Action {
    /// Only the buyer is shown it.
    fn of(payment: &Payment) -> Option<Action> {
        let client_secret = payment.client_secret.clone()?;
        Some(Action { client_secret, redirect_url: payment.redirect_url.clone() })
    }
}

impl Declined {
    fn of(payment: &Payment) -> Option<Declined> {
        (payment.declines > 0).then(|| Declined {
            code: payment.decline_code.clone().unwrap_or_default(),
            why: sentence(payment.decline_code.as_deref().unwrap_or_default()),
            attempts_left: payment.attempts_left,
        })
    }
}

/// What Stripe's decline code means to the card's owner. Codes for lost or stolen cards get the generic
/// sentence: the details are for the owner and the bank. <https://docs.stripe.com/declines/codes>
fn sentence(code: &str) -> &'static str {
    match code {
        "insufficient_funds" => "Insufficient funds.",
        "expired_card" => "The card has expired.",
        "incorrect_cvc" | "invalid_cvc" => "The security code is incorrect.",
        "incorrect_number" | "invalid_number" => "The card number is incorrect.",
        "processing_error" | "try_again_later" => "Your bank couldn’t process the payment.",
        "authentication_required" | "payment_intent_authentication_failure" => {
            "Your bank couldn’t verify that it’s you. Try again or use another card."
        }
        "card_velocity_exceeded" | "withdrawal_count_limit_exceeded" => {
            "The card has reached its limit."
        }
        "card_not_supported" | "currency_not_supported" => {
            "This card can’t be used for this purchase."
        }
        _ => "Your bank didn’t give a reason. Contact your bank or use another card.",
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
    fn an_unpaid_order_asks_for_a_card_and_reports_the_last_decline() {
        let reserved = order("created", None);
        assert_eq!(Outcome::of(&reserved, Some(None)), Outcome::Unpaid { declined: None });
        assert_eq!(Outcome::of(&reserved, None), Outcome::Unknown);
        let Outcome::Unpaid { declined: Some(declined) } =
            outcome("awaiting:payment", "created", 1)
        else {
            panic!("the decline is shown");
        };
        assert_eq!(declined.attempts_left, Some(2));
        assert_eq!(declined.code, "insufficient_funds");
        assert_eq!(declined.why, sentence("insufficient_funds"));
    }

    #[test]
    fn after_the_last_allowed_card_no_other_is_asked_for() {
        let why = sentence("insufficient_funds");
        for paid in ["created", "failed"] {
            assert_eq!(
                outcome("awaiting:payment", paid, 3),
                Outcome::NoAttemptsLeft { why },
                "{paid}"
            );
        }
    }

    #[test]
    fn nobody_pays_twice_while_a_payment_is_in_progress_or_being_confirmed() {
        assert_eq!(outcome("awaiting:payment", "processing", 0), Outcome::Processing);
        assert_eq!(outcome("awaiting:payment", "completed", 0), Outcome::Confirming);
    }

    #[test]
    fn the_buyer_is_sent_to_their_bank_and_the_seller_waits() {
        let waiting = outcome("awaiting:payment", "action_required", 0);
        assert_eq!(waiting, Outcome::ActionRequired { action: None });
        let mut payment = payment("action_required", 0);
        payment.client_secret = Some("pi_1_secret_2".to_owned());
        payment.redirect_url = Some("https://bank.example/".to_owned());
        let order = order("awaiting:payment", None);
        let Outcome::ActionRequired { action: Some(action) } =
            Outcome::of(&order, Some(Some(&payment)))
        else {
            panic!("the bank's page is shown");
        };
        assert_eq!(action.redirect_url.as_deref(), Some("https://bank.example/"));
    }

    #[test]
    fn a_cancelled_order_shows_the_state_of_its_payment() {
        for (paid, money) in [
            ("created", Money::NeverTaken),
            ("failed", Money::NeverTaken),
            ("processing", Money::Processing),
            ("action_required", Money::Processing),
            ("released", Money::NeverTaken),
            ("charged_back", Money::ChargedBack),
            ("completed", Money::Refunding),
            ("refunding", Money::Refunding),
            ("refunded", Money::Refunded),
        ] {
            let ended = Outcome::Ended { why: Ended::Expired, money };
            assert_eq!(outcome("cancelled", paid, 0), ended, "{paid}");
        }
        let unknown = Outcome::of(&order("cancelled", Some("user")), None);
        assert_eq!(unknown, Outcome::Ended { why: Ended::CancelledByBuyer, money: Money::Unknown });
    }

    #[test]
    fn a_paid_order_is_shown_as_paid_while_payments_is_down() {
        assert_eq!(Outcome::of(&order("complete", None), None), Outcome::Paid { refund: None });
        let refunding = Outcome::Paid { refund: Some(Money::Refunding) };
        assert_eq!(outcome("complete", "refunding", 0), refunding);
    }
}
