//! What the model plays of Stripe: PaymentIntents, refunds, and idempotency keys; and what is on the wire
//! between it and payments, whose processes may stop anywhere.

use std::collections::BTreeMap;

use payments::gateway::{Intent, RefundWord, Trouble};
use payments::steps::Step;

/// What Stripe knows of one order, and what payments has in hand there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Till {
    intents: Vec<PaymentIntent>,
    refunds: usize,
    /// The answer under each idempotency key.
    answers: BTreeMap<String, Word>,
    /// Calls and answers on their way, each in the hands of a process that may stop, or be late.
    pub hands: Vec<InHand>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PaymentIntent {
    end: Option<End>,
    /// The cards that were tried on it, in their order: each try makes a charge.
    tried: Vec<String>,
    declined: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Succeeded,
    Canceled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InHand {
    /// On its way to Stripe.
    Call(Step),
    /// On its way back. `late`: whoever asked knew that the hold has run out.
    Answer { step: Step, word: Word, late: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    Made(Result<String, Trouble>),
    Intent(Result<Intent, Trouble>),
    Refund(Result<RefundWord, Trouble>),
    Refunds(Result<Option<RefundWord>, Trouble>),
}

/// What becomes of a call that reaches Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    pub deed: Deed,
    /// It answers with a 500 all the same, and saves that under the key.
    pub fails: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Done,
    Declined,
    Nothing,
}

impl Fate {
    pub const ALL: [Fate; 5] = [
        Fate { deed: Deed::Done, fails: false },
        Fate { deed: Deed::Declined, fails: false },
        Fate { deed: Deed::Nothing, fails: true },
        Fate { deed: Deed::Done, fails: true },
        Fate { deed: Deed::Declined, fails: true },
    ];
}

impl Till {
    /// A call reaches Stripe, which acts on it and answers. None: this can't be its fate.
    pub fn arrive(&self, hand: usize, fate: Fate, keys_are_known: bool) -> Option<Till> {
        let InHand::Call(step) = self.hands.get(hand)?.clone() else { return None };
        let mut till = self.clone();
        let key = key(&step);
        let known = key.as_ref().filter(|_| keys_are_known).and_then(|key| till.answers.get(key));
        let word = match known.cloned() {
            Some(word) if fate == Fate::ALL[0] => word,
            Some(_) => return None,
            None => {
                let word = till.act(&step, fate)?;
                till.answers.extend(key.map(|key| (key, word.clone())));
                word
            }
        };
        till.hands[hand] = InHand::Answer { step, word, late: false };
        till.in_order()
    }

    /// It stands in the books how things are: no call of this kind changes them.
    pub fn ask(&self, step: &Step, late: bool) -> Option<Till> {
        let word = match step {
            Step::Ask { intent, .. } => {
                Word::Intent(Ok(self.intents[number(intent)].word(number(intent))))
            }
            Step::AskRefund { .. } => Word::Refunds(Ok((self.refunds > 0).then(refunded))),
            Step::MakeIntent { .. }
            | Step::MakeMethod { .. }
            | Step::Confirm { .. }
            | Step::GiveUp { .. }
            | Step::CancelIntent { .. }
            | Step::Refund { .. } => return None,
        };
        self.take(InHand::Answer { step: step.clone(), word, late })
    }

    /// Something more is in hand.
    pub fn take(&self, hand: InHand) -> Option<Till> {
        let mut till = self.clone();
        till.hands.push(hand);
        till.in_order()
    }

    /// What was in hand is dealt with, or forgotten by a process that was killed.
    pub fn drop(&self, hand: usize) -> Option<Till> {
        let mut till = self.clone();
        till.hands.remove(hand);
        Some(till)
    }

    pub fn charges(&self) -> usize {
        self.intents.iter().filter(|intent| intent.end == Some(End::Succeeded)).count()
    }

    pub fn refunds(&self) -> usize {
        self.refunds
    }

    /// How often the card of one click was tried.
    pub fn tries(&self) -> usize {
        let cards = self.intents.iter().flat_map(|intent| &intent.tried);
        let tries = |card| cards.clone().filter(|tried| *tried == card).count();
        cards.clone().map(tries).max().unwrap_or(0)
    }

    fn in_order(mut self) -> Option<Till> {
        self.hands.sort_by_key(|hand| format!("{hand:?}"));
        Some(self)
    }

    fn act(&mut self, step: &Step, Fate { deed, fails }: Fate) -> Option<Word> {
        let failed = || Trouble::Failed("500".to_owned());
        let declined = deed == Deed::Declined;
        match step {
            Step::MakeIntent { .. } if !declined => {
                if deed == Deed::Done {
                    self.intents.push(PaymentIntent::default());
                }
                let id = format!("pi_{}", self.intents.len().saturating_sub(1));
                Some(Word::Made(if fails { Err(failed()) } else { Ok(id) }))
            }
            Step::Confirm { intent, method, .. } => {
                let number = number(intent);
                let intent = &mut self.intents[number];
                if let Some(end) = intent.end {
                    let code = Some("payment_intent_unexpected_state".to_owned());
                    let message = format!("{end:?}");
                    let refused = Trouble::Refused { code, param: None, message };
                    return (deed == Deed::Done && !fails).then_some(Word::Intent(Err(refused)));
                }
                match deed {
                    Deed::Done => intent.end = Some(End::Succeeded),
                    Deed::Declined => intent.declined = true,
                    Deed::Nothing => {}
                }
                if deed != Deed::Nothing {
                    intent.tried.push(method.clone());
                }
                Some(Word::Intent(match (fails, declined) {
                    (true, _) => Err(failed()),
                    (false, true) => Err(Trouble::Declined {
                        code: "card_declined".to_owned(),
                        charge: intent.newest_charge(number),
                    }),
                    (false, false) => Ok(Intent::Succeeded),
                }))
            }
            // A call that is lost is one that never arrives: failures of these change nothing.
            Step::CancelIntent { intent } if deed == Deed::Done && !fails => {
                let number = number(intent);
                let intent = &mut self.intents[number];
                intent.end.get_or_insert(End::Canceled);
                Some(Word::Intent(Ok(intent.word(number))))
            }
            Step::Refund { .. } if !declined => {
                if self.refunds == self.charges() {
                    let code = Some("charge_already_refunded".to_owned());
                    let refused = Trouble::Refused { code, param: None, message: String::new() };
                    return (!fails).then_some(Word::Refund(Err(refused)));
                }
                if deed == Deed::Done {
                    self.refunds += 1;
                }
                Some(Word::Refund(if fails { Err(failed()) } else { Ok(refunded()) }))
            }
            Step::MakeIntent { .. }
            | Step::MakeMethod { .. }
            | Step::Ask { .. }
            | Step::GiveUp { .. }
            | Step::CancelIntent { .. }
            | Step::Refund { .. }
            | Step::AskRefund { .. } => None,
        }
    }
}

impl PaymentIntent {
    fn word(&self, number: usize) -> Intent {
        match self.end {
            Some(End::Succeeded) => Intent::Succeeded,
            Some(End::Canceled) => Intent::Canceled,
            None => Intent::Open {
                charge: self.newest_charge(number),
                decline: self.declined.then(|| "card_declined".to_owned()),
            },
        }
    }

    fn newest_charge(&self, number: usize) -> Option<String> {
        let tries = self.tried.len();
        (tries > 0).then(|| format!("ch_{number}_{tries}"))
    }
}

fn refunded() -> RefundWord {
    RefundWord::Succeeded { id: "re_1".to_owned() }
}

fn number(intent: &str) -> usize {
    intent.trim_start_matches("pi_").parse().expect("an id that we made")
}

/// The idempotency key that the gateway sends.
fn key(step: &Step) -> Option<String> {
    match step {
        Step::MakeIntent { key, .. } => Some(format!("pi:{key}")),
        Step::MakeMethod { key, .. } => Some(format!("pm:{key}")),
        Step::Confirm { key, .. } => Some(format!("confirm:{key}")),
        Step::Refund { key, .. } => Some(format!("refund:{key}")),
        Step::Ask { .. }
        | Step::GiveUp { .. }
        | Step::CancelIntent { .. }
        | Step::AskRefund { .. } => None,
    }
}
