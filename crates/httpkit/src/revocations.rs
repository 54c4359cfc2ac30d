//! Session tokens that are refused before they expire: those of a session that has ended, and those of a user whose sessions
//! have all been ended. Every process has the live ones in memory.
//!
//! A revocation is only ever added, so it doesn't matter in which order, or how often, they arrive. It is kept for as long
//! as a token that was issued before it may be valid.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use common::Time;
use common::events::{Subject, UserSessionEnded, UserUpdated};
use common::ids::{SessionId, UserId};

/// How long a session token is valid.
pub const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long a revocation is kept: for the life of a token, and for clocks that differ.
pub const RETENTION: Duration = Duration::from_secs(TOKEN_LIFE.as_secs() + 60);

/// Which tokens are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revocation {
    /// Those of one session.
    Session(SessionId),
    /// Those of a user's sessions of earlier generations: all that had begun when they were ended.
    Generations {
        user: UserId,
        /// The first generation whose tokens are valid.
        first_valid: i64,
    },
}

impl Revocation {
    /// The events that revoke.
    pub const SUBJECTS: [Subject; 2] = [Subject::UserUpdated, Subject::UserSessionEnded];

    /// What an event revokes, if it is one of these.
    pub fn of_event(subject: &str, data: &[u8]) -> serde_json::Result<Option<Self>> {
        Ok(if subject == Subject::UserSessionEnded.as_str() {
            let UserSessionEnded(session) = serde_json::from_slice(data)?;
            Some(Revocation::Session(session.id))
        } else if subject == Subject::UserUpdated.as_str() {
            let UserUpdated(user) = serde_json::from_slice(data)?;
            let first_valid = user.session_generation;
            // Those of the first generation are valid as long as there is no other.
            (first_valid > 0).then_some(Revocation::Generations { user: user.id, first_valid })
        } else {
            None
        })
    }
}

/// The live revocations of this process.
#[derive(Clone, Debug, Default)]
pub struct Revocations(Arc<RwLock<State>>);

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<SessionId, Time>,
    generations: HashMap<UserId, (i64, Time)>,
    /// How many are kept before those are dropped that no valid token can belong to.
    next_pruning: usize,
}

/// So many are never worth a look for those that can be dropped.
const PRUNED_FROM: usize = 1_024;

impl Revocations {
    /// Adds a revocation, until then. Whether it says something new: it is kept longer than before, or refuses more.
    pub fn add(&self, revocation: Revocation, until: Time, now: Time) -> bool {
        let mut state = self.write();
        let is_new = match revocation {
            Revocation::Session(session) => {
                let known = state.sessions.entry(session).or_insert(now);
                std::mem::replace(known, until.max(*known)) < until
            }
            Revocation::Generations { user, first_valid } => {
                let known = state.generations.entry(user).or_insert((first_valid, now));
                let newer = (first_valid.max(known.0), until.max(known.1));
                std::mem::replace(known, newer) != newer
            }
        };
        if state.len() >= state.next_pruning.max(PRUNED_FROM) {
            state.sessions.retain(|_, until| *until > now);
            state.generations.retain(|_, (_, until)| *until > now);
            state.next_pruning = state.len() * 2;
        }
        metrics::gauge!("revocations").set(u32::try_from(state.len()).unwrap_or(u32::MAX));
        is_new
    }

    /// All of them, and until when they are kept.
    pub fn all(&self) -> Vec<(Revocation, Time)> {
        let state = self.read();
        let sessions = state.sessions.iter();
        let sessions = sessions.map(|(session, until)| (Revocation::Session(*session), *until));
        let generations = state.generations.iter().map(|(user, (first_valid, until))| {
            (Revocation::Generations { user: *user, first_valid: *first_valid }, *until)
        });
        sessions.chain(generations).collect()
    }

    /// Whether a token of this session and generation is refused.
    pub fn refuse(&self, user: UserId, session: SessionId, generation: i64) -> bool {
        let state = self.read();
        state.sessions.contains_key(&session)
            || state.generations.get(&user).is_some_and(|(first, _)| generation < *first)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn len(&self) -> usize {
        self.sessions.len() + self.generations.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    #[test]
    fn a_session_and_earlier_generations_are_refused_in_whichever_order_that_arrives() {
        let (user, other) = (UserId::new(at(0)), UserId::new(at(0)));
        let (ended, session) = (SessionId::new(at(0)), SessionId::new(at(0)));
        let generations = |first_valid| Revocation::Generations { user, first_valid };
        let all = [Revocation::Session(ended), generations(2), generations(3)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let revocations = Revocations::default();
            for index in order.into_iter().chain(order) {
                revocations.add(all[index], at(900), at(0));
            }
            assert!(revocations.refuse(other, ended, 9));
            for generation in [0, 1, 2] {
                assert!(revocations.refuse(user, session, generation), "{generation}");
            }
            assert!(!revocations.refuse(user, session, 3));
            assert!(!revocations.refuse(other, session, 0));
        }
    }

    #[test]
    fn what_says_nothing_new_is_recognised() {
        let (revocations, user) = (Revocations::default(), UserId::new(at(0)));
        let session = Revocation::Session(SessionId::new(at(0)));
        let generations = |first_valid| Revocation::Generations { user, first_valid };
        for (revocation, until, is_new) in [
            (session, 900, true),
            (session, 900, false),
            (session, 800, false),
            (session, 901, true),
            (generations(2), 900, true),
            (generations(2), 900, false),
            (generations(1), 900, false),
            (generations(3), 900, true),
            (generations(3), 901, true),
        ] {
            assert_eq!(revocations.add(revocation, at(until), at(0)), is_new, "{revocation:?}");
        }
    }

    #[test]
    fn memory_is_bounded_by_what_is_live() {
        let revocations = Revocations::default();
        for second in 0..100_000 {
            let session = Revocation::Session(SessionId::new(at(second)));
            revocations.add(session, at(second) + RETENTION, at(second));
        }
        let live = usize::try_from(RETENTION.as_secs()).unwrap();
        assert!(revocations.read().len() <= 2 * PRUNED_FROM.max(live));
    }
}
