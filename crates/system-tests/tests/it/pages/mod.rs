//! The pages, in a browser without scripts.

mod account;
mod accounts;
mod door;
mod down;
mod errors;
mod escaping;
mod forms;
mod guards;
mod history;
mod load;
mod many;
pub mod problems;
mod purchase;
mod search;
mod session;
