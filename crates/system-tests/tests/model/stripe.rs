//! The model of Stripe: PaymentIntents, refunds and idempotency keys; and the requests in flight between it and payments,
//! whose processes may crash at any point.

use std::collections::BTreeMap;

use common::Money;
use payments::domain::{GatewayError, IntentState, RefundState, Refunds, Step};

/// The id of the one refund.
const REFUND: &str = "re_1";

/// Stripe's state of one order, and payments' requests in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StripeState {
    intents: Vec<PaymentIntent>,
    /// The amount of each.
    refunds: Vec<Money>,
    /// The saved result of each idempotency key.
    results: BTreeMap<String, StripeResult>,
    /// Requests and responses in flight, each of a process that may crash or be late.
    pub in_flight: Vec<InFlight>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PaymentIntent {
    end: Option<End>,
    /// The cards that were charged, in order: each attempt makes a charge.
    attempts: Vec<String>,
    declined: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Succeeded,
    Canceled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// On the way to Stripe.
    Request(Step),
    /// On the way back. `late`: by the clock of the sender the reservation has expired.
    Response { step: Step, result: StripeResult, late: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StripeResult {
    Made(Result<String, GatewayError>),
    Intent(Result<IntentState, GatewayError>),
    Refund(Result<RefundState, GatewayError>),
    Refunds(Result<Refunds, GatewayError>),
}

/// The outcome of a request that reaches Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallOutcome {
    pub execution: Execution,
    /// The response is a 500 nevertheless, saved under the key.
    pub fails: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    Succeeded,
    Declined,
    Skipped,
}

impl CallOutcome {
    pub const ALL: [CallOutcome; 5] = [
        CallOutcome { execution: Execution::Succeeded, fails: false },
        CallOutcome { execution: Execution::Declined, fails: false },
        CallOutcome { execution: Execution::Skipped, fails: true },
        CallOutcome { execution: Execution::Succeeded, fails: true },
        CallOutcome { execution: Execution::Declined, fails: true },
    ];
}

impl StripeState {
    /// A request reaches Stripe, which executes it and responds. None: this outcome is impossible.
    pub fn execute(
        &self,
        index: usize,
        outcome: CallOutcome,
        keys_are_known: bool,
    ) -> Option<StripeState> {
        let InFlight::Request(step) = self.in_flight.get(index)?.clone() else { return None };
        let mut stripe = self.clone();
        let key = key(&step);
        let known = key.as_ref().filter(|_| keys_are_known).and_then(|key| stripe.results.get(key));
        let result = match known.cloned() {
            Some(result) if outcome == CallOutcome::ALL[0] => result,
            Some(_) => return None,
            None => {
                let result = stripe.execute_new(&step, outcome)?;
                stripe.results.extend(key.map(|key| (key, result.clone())));
                result
            }
        };
        stripe.in_flight[index] = InFlight::Response { step, result, late: false };
        stripe.sorted()
    }

    /// The response to a query, which changes nothing.
    pub fn query(&self, step: &Step, late: bool) -> Option<StripeState> {
        let result = match step {
            Step::RetrieveIntent { intent, .. } => {
                StripeResult::Intent(Ok(self.intents[number(intent)].status(number(intent))))
            }
            Step::RetrieveRefunds { .. } => {
                let sum = self.refunds.iter().map(|amount| amount.minor()).sum();
                let succeeded = Money::from_minor(sum);
                let newest = (!self.refunds.is_empty()).then(|| REFUND.to_owned());
                StripeResult::Refunds(Ok(Refunds { succeeded, newest, is_pending: false }))
            }
            Step::CreateIntent { .. }
            | Step::CreatePaymentMethod { .. }
            | Step::Confirm { .. }
            | Step::AbandonAttempt { .. }
            | Step::CancelIntent { .. }
            | Step::CreateRefund { .. } => return None,
        };
        self.send(InFlight::Response { step: step.clone(), result, late })
    }

    /// Adds a request or response.
    pub fn send(&self, message: InFlight) -> Option<StripeState> {
        let mut stripe = self.clone();
        stripe.in_flight.push(message);
        stripe.sorted()
    }

    /// Removes what was processed, or was lost with a killed process.
    pub fn remove(&self, index: usize) -> Option<StripeState> {
        let mut stripe = self.clone();
        stripe.in_flight.remove(index);
        Some(stripe)
    }

    pub fn charges(&self) -> usize {
        self.intents.iter().filter(|intent| intent.end == Some(End::Succeeded)).count()
    }

    pub fn refunds(&self) -> usize {
        self.refunds.len()
    }

    /// How often the card of one click was charged.
    pub fn attempts(&self) -> usize {
        let cards = self.intents.iter().flat_map(|intent| &intent.attempts);
        let attempts = |card| cards.clone().filter(|attempted| *attempted == card).count();
        cards.clone().map(attempts).max().unwrap_or(0)
    }

    fn sorted(mut self) -> Option<StripeState> {
        self.in_flight.sort_by_key(|message| format!("{message:?}"));
        Some(self)
    }

    fn execute_new(
        &mut self,
        step: &Step,
        CallOutcome { execution, fails }: CallOutcome,
    ) -> Option<StripeResult> {
        let failed = || GatewayError::Failed("500".to_owned());
        let declined = execution == Execution::Declined;
        match step {
            Step::CreateIntent { .. } if !declined => {
                if execution == Execution::Succeeded {
                    self.intents.push(PaymentIntent::default());
                }
                let id = format!("pi_{}", self.intents.len().saturating_sub(1));
                Some(StripeResult::Made(if fails { Err(failed()) } else { Ok(id) }))
            }
            Step::Confirm { intent, method, .. } => {
                let number = number(intent);
                let intent = &mut self.intents[number];
                if let Some(end) = intent.end {
                    let code = Some("payment_intent_unexpected_state".to_owned());
                    let message = format!("{end:?}");
                    let refused =
                        GatewayError::Refused { code, invalid_payment_method: false, message };
                    return (execution == Execution::Succeeded && !fails)
                        .then_some(StripeResult::Intent(Err(refused)));
                }
                match execution {
                    Execution::Succeeded => intent.end = Some(End::Succeeded),
                    Execution::Declined => intent.declined = true,
                    Execution::Skipped => {}
                }
                if execution != Execution::Skipped {
                    intent.attempts.push(method.clone());
                }
                Some(StripeResult::Intent(match (fails, declined) {
                    (true, _) => Err(failed()),
                    (false, true) => Err(GatewayError::Declined {
                        code: "card_declined".to_owned(),
                        charge: intent.newest_charge(number),
                    }),
                    (false, false) => Ok(IntentState::Succeeded),
                }))
            }
            // A lost request is one that never arrives: failures of these change nothing.
            Step::CancelIntent { intent } if execution == Execution::Succeeded && !fails => {
                let number = number(intent);
                let intent = &mut self.intents[number];
                intent.end.get_or_insert(End::Canceled);
                Some(StripeResult::Intent(Ok(intent.status(number))))
            }
            Step::CreateRefund { amount: Some(amount), .. } if !declined => {
                if self.refunds() == self.charges() {
                    let code = Some("charge_already_refunded".to_owned());
                    let refused = GatewayError::Refused {
                        code,
                        invalid_payment_method: false,
                        message: String::new(),
                    };
                    return (!fails).then_some(StripeResult::Refund(Err(refused)));
                }
                if execution == Execution::Succeeded {
                    self.refunds.push(*amount);
                }
                Some(StripeResult::Refund(if fails {
                    Err(failed())
                } else {
                    Ok(refunded(*amount))
                }))
            }
            Step::CreateIntent { .. }
            | Step::CreatePaymentMethod { .. }
            | Step::RetrieveIntent { .. }
            | Step::AbandonAttempt { .. }
            | Step::CancelIntent { .. }
            | Step::CreateRefund { .. }
            | Step::RetrieveRefunds { .. } => None,
        }
    }
}

impl PaymentIntent {
    fn status(&self, number: usize) -> IntentState {
        match self.end {
            Some(End::Succeeded) => IntentState::Succeeded,
            Some(End::Canceled) => IntentState::Canceled,
            None => IntentState::RequiresPaymentMethod {
                last_charge: self.newest_charge(number),
                decline_code: self.declined.then(|| "card_declined".to_owned()),
            },
        }
    }

    fn newest_charge(&self, number: usize) -> Option<String> {
        let attempts = self.attempts.len();
        (attempts > 0).then(|| format!("ch_{number}_{attempts}"))
    }
}

fn refunded(amount: Money) -> RefundState {
    RefundState::Succeeded { id: REFUND.to_owned(), amount }
}

fn number(intent: &str) -> usize {
    intent.trim_start_matches("pi_").parse().expect("an id of this model")
}

/// The idempotency key that the gateway sends.
fn key(step: &Step) -> Option<String> {
    match step {
        Step::CreateIntent { number, .. } => Some(format!("pi:{number}")),
        Step::CreatePaymentMethod { number, .. } => Some(format!("pm:{number}")),
        Step::Confirm { number, .. } => Some(format!("confirm:{number}")),
        Step::CreateRefund { number, .. } => Some(format!("refund:{number}")),
        Step::RetrieveIntent { .. }
        | Step::AbandonAttempt { .. }
        | Step::CancelIntent { .. }
        | Step::RetrieveRefunds { .. } => None,
    }
}
