//! What Stripe's word makes of a payment: a pure function of the document, the step that was taken, and
//! the word. What there is to do next then follows from the document, in [`crate::steps`].

use common::Time;
use store::Change;

use crate::domain::Payment;
use crate::gateway::{Intent, RefundWord, Trouble};

/// What came of asking Stripe.
pub type Word<T> = Result<T, Trouble>;

/// What a word makes of a payment.
#[derive(Clone, Debug)]
pub struct Heard {
    /// None: the document says so already, or has gone on since.
    pub change: Option<Change<Payment>>,
    pub then: Then,
}

/// How a drive goes on.
#[derive(Clone, Debug)]
pub enum Then {
    /// With the next step.
    GoOn,
    /// Stripe doesn't know the card's token.
    TokenRefused(String),
    /// It could not be reached before anything was charged; nothing was sent that could be.
    NothingSent(Trouble),
    /// The same, but someone else who is at the attempt has sent it meanwhile, and waits for the word.
    SentMeanwhile,
    /// There is no word yet: ask again after a pause.
    Wait(String),
    /// Stripe could not give the money back: again after a pause.
    RefundFailed,
}

impl Heard {
    fn fact(change: Option<Change<Payment>>) -> Heard {
        Heard { change, then: Then::GoOn }
    }

    fn wait(change: Option<Change<Payment>>, why: impl Into<String>) -> Heard {
        Heard { change, then: Then::Wait(why.into()) }
    }
}

impl Payment {
    /// Of a PaymentIntent that was to be made under this key, for this attempt.
    pub fn heard_of_intent(
        &self,
        key: i64,
        attempt: i64,
        word: &Word<String>,
        attempts: i64,
        now: Time,
    ) -> Heard {
        let trouble = match word {
            Ok(intent) => return Heard::fact(self.intent_made(intent, now)),
            Err(trouble) => trouble.clone(),
        };
        let spent = match trouble {
            Trouble::Failed(_) | Trouble::Refused { .. } => self.intent_key_spent(key, now),
            Trouble::Declined { .. } | Trouble::Unknown(_) => None,
        };
        let payment = spent.as_ref().map_or(self, |change| &change.thing);
        let Heard { change, then } = payment.nothing_sent(attempt, trouble, attempts, now);
        Heard { change: change.or(spent), then }
    }

    /// Of a PaymentMethod that was to be made for this attempt.
    pub fn heard_of_method(
        &self,
        key: i64,
        word: &Word<String>,
        attempts: i64,
        now: Time,
    ) -> Heard {
        match word {
            Ok(method) => Heard::fact(self.method_made(key, method, now)),
            Err(Trouble::Declined { code, charge }) => {
                Heard::fact(self.declined(key, code, charge.as_deref(), attempts, now))
            }
            Err(Trouble::Refused { message, .. }) => {
                let change = self.given_up_unsent(key, attempts, now);
                Heard { change, then: Then::TokenRefused(message.clone()) }
            }
            Err(trouble @ (Trouble::Failed(_) | Trouble::Unknown(_))) => {
                self.nothing_sent(key, trouble.clone(), attempts, now)
            }
        }
    }

    /// Of the confirmation of this attempt.
    pub fn heard_of_confirmation(
        &self,
        key: i64,
        word: &Word<Intent>,
        attempts: i64,
        now: Time,
    ) -> Heard {
        match word {
            Ok(Intent::Succeeded) => Heard::fact(self.succeeded(now)),
            Ok(Intent::Canceled) => Heard::fact(self.canceled(now)),
            Err(Trouble::Declined { code, charge }) => {
                Heard::fact(self.declined(key, code, charge.as_deref(), attempts, now))
            }
            Err(Trouble::Refused { code, param, message })
                if param.as_deref() == Some("payment_method")
                    && code.as_deref() != Some("payment_intent_unexpected_state") =>
            {
                let change = self.given_up(key, attempts, now);
                Heard { change, then: Then::TokenRefused(message.clone()) }
            }
            Ok(Intent::Processing | Intent::Open { .. })
            | Err(Trouble::Refused { .. } | Trouble::Failed(_)) => {
                Heard::fact(self.must_ask(key, now))
            }
            Err(Trouble::Unknown(why)) => Heard::wait(None, why),
        }
    }

    /// Of an attempt whose outcome was unknown: how its PaymentIntent stands.
    pub fn heard_of_attempt(
        &self,
        key: i64,
        word: &Word<Intent>,
        attempts: i64,
        now: Time,
    ) -> Heard {
        let (charge, decline) = match word {
            Ok(Intent::Succeeded) => return Heard::fact(self.succeeded(now)),
            Ok(Intent::Canceled) => return Heard::fact(self.canceled(now)),
            Ok(Intent::Processing) => return Heard::wait(None, "the payment is on its way"),
            Ok(Intent::Open { charge, decline }) => (charge.as_deref(), decline.as_deref()),
            Err(trouble) => return Heard::wait(None, trouble.to_string()),
        };
        let seen = self.charge.as_ref().and_then(|charge| charge.last_charge.as_deref());
        match (charge, decline) {
            // A charge that we haven't heard of: this attempt's, and it was declined.
            (Some(_), Some(code)) if charge != seen => {
                Heard::fact(self.declined(key, code, charge, attempts, now))
            }
            // Nothing has happened: once more, if there is time.
            _ if self.failures <= 1 && self.takes_payment(now) => {
                Heard::fact(self.attempt_key_spent(key, now))
            }
            // Else the order has ended, and that is what the buyer is told.
            _ if self.takes_payment(now) => {
                let why = Trouble::Failed("Stripe fails again and again".to_owned());
                let change = self.given_up(key, attempts, now);
                Heard { change, then: Then::NothingSent(why) }
            }
            _ => Heard::fact(self.given_up(key, attempts, now)),
        }
    }

    /// Of a PaymentIntent that was to be canceled.
    pub fn heard_of_cancellation(&self, word: &Word<Intent>, now: Time) -> Heard {
        match word {
            Ok(Intent::Succeeded) => Heard::fact(self.succeeded(now)),
            Ok(Intent::Canceled) => Heard::fact(self.canceled(now)),
            Ok(Intent::Processing | Intent::Open { .. }) => Heard::wait(None, "not canceled yet"),
            Err(trouble) => Heard::wait(None, trouble.to_string()),
        }
    }

    /// Of the refund under this key.
    pub fn heard_of_refund(&self, key: i64, word: &Word<RefundWord>, now: Time) -> Heard {
        match word {
            Ok(RefundWord::Succeeded { id }) => Heard::fact(self.refunded(id, now)),
            Ok(RefundWord::Failed) => {
                Heard { change: self.refund_key_spent(key, now), then: Then::RefundFailed }
            }
            Ok(RefundWord::Pending) => {
                Heard::wait(self.must_ask_refund(key, now), "the refund is on its way")
            }
            // Among them *already refunded*, which is success: the refunds that there are tell.
            Err(Trouble::Refused { .. } | Trouble::Declined { .. } | Trouble::Failed(_)) => {
                Heard::fact(self.must_ask_refund(key, now))
            }
            Err(Trouble::Unknown(why)) => Heard::wait(None, why),
        }
    }

    /// Of the refunds that there are.
    pub fn heard_of_refunds(&self, key: i64, word: &Word<Option<RefundWord>>, now: Time) -> Heard {
        match word {
            Ok(Some(RefundWord::Succeeded { id })) => Heard::fact(self.refunded(id, now)),
            Ok(Some(RefundWord::Pending)) => Heard::wait(None, "the refund is on its way"),
            Ok(Some(RefundWord::Failed) | None) => {
                Heard { change: self.refund_key_spent(key, now), then: Then::RefundFailed }
            }
            Err(trouble) => Heard::wait(None, trouble.to_string()),
        }
    }

    /// The attempt ends before a confirmation was sent, unless someone else who is at it has sent one.
    fn nothing_sent(&self, key: i64, trouble: Trouble, attempts: i64, now: Time) -> Heard {
        let sent = self.is_sent(key);
        let then = if sent { Then::SentMeanwhile } else { Then::NothingSent(trouble) };
        Heard { change: self.given_up_unsent(key, attempts, now), then }
    }
}
