//! Where the model keeps what it has seen. A document and a decision are made once: the services'
//! functions are pure, so what one of them said to a question it says again. A state is then a few
//! numbers, quick to copy and to compare.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{PoisonError, RwLock};

use store::Change;

use crate::messages::Message;

/// A value that is kept once: the same value has the same number.
pub struct Kept<T: 'static> {
    number: u32,
    value: &'static T,
}

impl<T> Kept<T> {
    pub fn number(self) -> u64 {
        self.number.into()
    }

    pub fn get(self) -> &'static T {
        self.value
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Kept<T> {}

impl<T> Deref for Kept<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<T> Eq for Kept<T> {}

impl<T> Hash for Kept<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u32(self.number);
    }
}

impl<T: Debug> Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// What a decision came to: what the thing becomes, and what is to be told. None: it stays as it is.
pub type Decided<T> = Option<(Kept<T>, &'static [Kept<Message>])>;

/// What was decided, on which thing, and about what.
type Question<T> = (&'static str, Option<Kept<T>>, u64);

/// All that was ever seen of one kind, and all that was ever decided about it.
pub struct Shelf<T: 'static> {
    things: RwLock<HashMap<String, Kept<T>>>,
    decisions: RwLock<HashMap<Question<T>, Decided<T>>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf { things: RwLock::default(), decisions: RwLock::default() }
    }
}

impl<T: Debug> Shelf<T> {
    pub fn keep(&self, thing: T) -> Kept<T> {
        let name = format!("{thing:?}");
        let mut things = self.things.write().unwrap_or_else(PoisonError::into_inner);
        let number = u32::try_from(things.len()).unwrap_or(u32::MAX);
        // What is kept is kept for as long as the tests run.
        let kept = things
            .entry(name)
            .or_insert_with(|| Kept { number, value: Box::leak(Box::new(thing)) });
        *kept
    }

    /// What `decide` says to this question, which it is asked once.
    pub fn decide(
        &self,
        messages: &Shelf<Message>,
        question: Question<T>,
        decide: impl FnOnce() -> Option<Change<T>>,
    ) -> Decided<T> {
        let known =
            self.decisions.read().unwrap_or_else(PoisonError::into_inner).get(&question).copied();
        known.unwrap_or_else(|| {
            let decided = decide().map(|Change { thing, events }| {
                let told = events.iter().map(|event| messages.keep(Message::of(event)));
                (self.keep(thing), &*told.collect::<Vec<_>>().leak())
            });
            let mut decisions = self.decisions.write().unwrap_or_else(PoisonError::into_inner);
            decisions.insert(question, decided);
            decided
        })
    }
}
