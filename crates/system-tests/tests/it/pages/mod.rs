//! The pages, as a browser without scripts sees and sends them.

mod down;
mod errors;
mod escaping;
mod forms;
mod guards;
mod load;
mod purchase;
mod search;
mod session;
