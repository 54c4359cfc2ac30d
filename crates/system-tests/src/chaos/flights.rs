//! The requests that are under way, so that it can be said which of them a fault has hit.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::door::Kind;

#[derive(Default)]
pub struct Flights(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    under_way: HashMap<u64, UnderWay>,
    strikes: Vec<Strike>,
}

struct UnderWay {
    is_write: bool,
    /// The faults that happened meanwhile.
    struck_by: Vec<usize>,
}

/// A fault, by what it met.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strike {
    pub requests: usize,
    /// Writes that were open at that instant.
    pub open_writes: usize,
    /// Those of them that then got no clean answer.
    pub cut_writes: usize,
}

impl Flights {
    pub fn begin(&self, kind: Kind) -> Flight<'_> {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.under_way.insert(id, UnderWay { is_write: kind.is_write(), struck_by: Vec::new() });
        Flight { flights: self, id }
    }

    /// A fault happens now.
    pub fn strike(&self) -> Strike {
        let mut state = self.state();
        let index = state.strikes.len();
        let mut strike = Strike { requests: state.under_way.len(), ..Strike::default() };
        for flight in state.under_way.values_mut().filter(|flight| flight.is_write) {
            strike.open_writes += 1;
            flight.struck_by.push(index);
        }
        state.strikes.push(strike);
        strike
    }

    pub fn count(&self) -> usize {
        self.state().under_way.len()
    }

    pub fn strikes(&self) -> Vec<Strike> {
        self.state().strikes.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request that is under way, until this is dropped.
pub struct Flight<'a> {
    flights: &'a Flights,
    id: u64,
}

impl Flight<'_> {
    /// It has ended; with a clean answer, or without.
    pub fn land(self, clean: bool) {
        let mut state = self.flights.state();
        let Some(flight) = state.under_way.remove(&self.id) else { return };
        for strike in flight.struck_by.into_iter().filter(|_| !clean) {
            state.strikes[strike].cut_writes += 1;
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.state().under_way.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_a_fault_met_and_that_got_no_answer_is_cut() {
        let flights = Flights::default();
        let (read, answered) = (flights.begin(Kind::Read), flights.begin(Kind::Order));
        let (lost, before) = (flights.begin(Kind::Pay), flights.begin(Kind::Pay));
        before.land(false);
        let strike = flights.strike();
        assert_eq!((strike.requests, strike.open_writes, strike.cut_writes), (3, 2, 0));
        let after = flights.begin(Kind::Edit);
        read.land(false);
        answered.land(true);
        lost.land(false);
        after.land(false);
        assert_eq!(flights.strikes()[0].cut_writes, 1);
        assert_eq!(flights.count(), 0);
    }
}
