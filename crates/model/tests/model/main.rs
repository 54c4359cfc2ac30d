//! What the model shows: the invariants hold in every reachable state, and each mistake that is planted violates one.

mod cards;
mod places;
