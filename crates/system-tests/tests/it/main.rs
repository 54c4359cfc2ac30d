//! The whole marketplace through its gateway.

mod documents;
mod gateway;
mod races;
mod shared;
mod tour;
mod walkthroughs;
