//! Exploring a model: all of it, or until a mutation is found.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

/// Explores every state; those with the names in `expected` must be reachable.
pub fn verify<M>(model: M, bounds: &str, expected: &[&'static str])
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + Hash + Send + Sync + 'static,
    M::Action: Clone + PartialEq + Debug,
{
    let started = Instant::now();
    let checker = model.checker().threads(2).spawn_dfs().join();
    let (states, seconds) = (checker.unique_state_count(), started.elapsed().as_secs());
    println!("{bounds}: {states} states in {seconds} s, up to {} steps", checker.max_depth());
    for (name, path) in checker.discoveries() {
        let is_broken = checker.model().property(name).expectation.discovery_is_failure();
        assert!(!is_broken, "{name} is violated by\n{:#?}", path.into_actions());
    }
    for name in expected {
        assert!(checker.discovery(name).is_some(), "never reached: {name}");
    }
}

/// How many steps a mutation may take to violate a property.
const MAX_STEPS: usize = 20;

/// Explores ever longer paths until a mutation violates this property.
pub fn detects<M>(model: impl Fn() -> M, mutants: &str, name: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + Hash + Send + Sync + 'static,
    M::Action: Clone + PartialEq,
{
    let steps = (1..=MAX_STEPS).find(|steps| {
        let checker = model().checker().target_max_depth(steps + 2);
        let found = HasDiscoveries::AnyOf([name].into());
        checker.finish_when(found).spawn_bfs().join().discovery(name).is_some()
    });
    let steps = steps.unwrap_or_else(|| panic!("{mutants}: {name} is not violated"));
    println!("{mutants}: {name} is violated after {steps} steps");
}
