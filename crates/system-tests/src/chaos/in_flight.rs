//! The requests in flight, so that it is known which of them a fault has hit.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub struct InFlight(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    requests: HashMap<u64, Request>,
    hits: Vec<FaultHit>,
}

struct Request {
    is_write: bool,
    /// The faults that were injected meanwhile.
    faults: Vec<usize>,
}

/// What a fault has hit.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultHit {
    pub requests: usize,
    /// Writes in flight at that time.
    pub writes: usize,
    /// Those of them whose outcome then was unknown.
    pub interrupted_writes: usize,
}

impl InFlight {
    pub fn begin(&self, is_write: bool) -> InFlightRequest<'_> {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.requests.insert(id, Request { is_write, faults: Vec::new() });
        InFlightRequest { in_flight: self, id }
    }

    /// A fault is injected now.
    pub fn record_fault(&self) -> FaultHit {
        let mut state = self.state();
        let index = state.hits.len();
        let mut hit = FaultHit { requests: state.requests.len(), ..FaultHit::default() };
        for request in state.requests.values_mut().filter(|request| request.is_write) {
            hit.writes += 1;
            request.faults.push(index);
        }
        state.hits.push(hit);
        hit
    }

    pub fn count(&self) -> usize {
        self.state().requests.len()
    }

    pub fn hits(&self) -> Vec<FaultHit> {
        self.state().hits.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request in flight, until this is dropped.
pub struct InFlightRequest<'a> {
    in_flight: &'a InFlight,
    id: u64,
}

impl InFlightRequest<'_> {
    /// It has ended, with a known outcome or without.
    pub fn finish(self, is_known: bool) {
        let mut state = self.in_flight.state();
        let Some(request) = state.requests.remove(&self.id) else { return };
        for hit in request.faults.into_iter().filter(|_| !is_known) {
            state.hits[hit].interrupted_writes += 1;
        }
    }
}

impl Drop for InFlightRequest<'_> {
    fn drop(&mut self) {
        self.in_flight.state().requests.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_in_flight_at_a_fault_whose_outcome_is_unknown_is_interrupted() {
        let in_flight = InFlight::default();
        let (read, known) = (in_flight.begin(false), in_flight.begin(true));
        let (lost, before) = (in_flight.begin(true), in_flight.begin(true));
        before.finish(false);
        let hit = in_flight.record_fault();
        assert_eq!((hit.requests, hit.writes, hit.interrupted_writes), (3, 2, 0));
        let after = in_flight.begin(true);
        read.finish(false);
        known.finish(true);
        lost.finish(false);
        after.finish(false);
        assert_eq!(in_flight.hits()[0].interrupted_writes, 1);
        assert_eq!(in_flight.count(), 0);
    }
}
