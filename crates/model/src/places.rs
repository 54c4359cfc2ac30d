//! Reserving and paying for places: every reachable state within bounds, of a listing, its orders, and their money.

pub mod bounds;
mod consumers;
mod invariants;
mod money;
pub mod mutants;
mod orders_service;
mod other_services;
mod state;
mod steps;
pub mod system;
