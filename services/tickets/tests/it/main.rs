//! The service through its door, on real servers.

mod create;
mod delete;
mod door;
mod edit;
mod list;
mod listeners;
mod market;
mod plans;
mod search;
mod show;
