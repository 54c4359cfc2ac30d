//! Interns documents and memoizes decisions. The services' functions are pure, so that a decision has to be computed only
//! once. A state then consists of a few numbers that are quick to copy and to compare.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{PoisonError, RwLock};

use store::Change;

use crate::events::Message;

/// An interned value: equal values have the same number.
pub struct Interned<T: 'static> {
    number: u32,
    value: &'static T,
}

impl<T> Interned<T> {
    pub fn number(self) -> u64 {
        self.number.into()
    }

    pub fn get(self) -> &'static T {
        self.value
    }
}

impl<T> Clone for Interned<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Interned<T> {}

impl<T> Deref for Interned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> PartialEq for Interned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<T> Eq for Interned<T> {}

impl<T> Hash for Interned<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u32(self.number);
    }
}

impl<T: Debug> Debug for Interned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// The result of a decision: the new document and the events to publish. None: no change.
pub type Decided<T> = Option<(Interned<T>, &'static [Interned<Message>])>;

/// The key of a decision: its name, the document, and a number for its other inputs.
type Question<T> = (&'static str, Option<Interned<T>>, u64);

/// All values of one type, and all decisions about them.
pub struct Interner<T: 'static> {
    values: RwLock<HashMap<String, Interned<T>>>,
    decisions: RwLock<HashMap<Question<T>, Decided<T>>>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Interner { values: RwLock::default(), decisions: RwLock::default() }
    }
}

impl<T: Debug> Interner<T> {
    pub fn intern(&self, value: T) -> Interned<T> {
        let name = format!("{value:?}");
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        let number = u32::try_from(values.len()).unwrap_or(u32::MAX);
        // Interned values live as long as the process.
        let interned = values
            .entry(name)
            .or_insert_with(|| Interned { number, value: Box::leak(Box::new(value)) });
        *interned
    }

    /// The result of `decide`, which is called once for each question.
    pub fn decide(
        &self,
        messages: &Interner<Message>,
        question: Question<T>,
        decide: impl FnOnce() -> Option<Change<T>>,
    ) -> Decided<T> {
        let memoized =
            self.decisions.read().unwrap_or_else(PoisonError::into_inner).get(&question).copied();
        memoized.unwrap_or_else(|| {
            let decided = decide().map(|Change { thing, events }| {
                let published = events.iter().map(|event| messages.intern(Message::of(event)));
                (self.intern(thing), &*published.collect::<Vec<_>>().leak())
            });
            let mut decisions = self.decisions.write().unwrap_or_else(PoisonError::into_inner);
            decisions.insert(question, decided);
            decided
        })
    }
}
