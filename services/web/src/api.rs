//! The services' HTTP API, called in a visitor's name: with their cookies, their address and the id of
//! their request, and never with what a browser adds (`Origin`, `Sec-Fetch-…`). web checks by itself that
//! a form was its own; what it sends on is a program's request.

mod call;
mod failure;
mod things;

pub use call::{Api, Caller, Signed, TicketDraft};
pub use failure::{Failure, Refusal};
pub use things::{
    Contact, List, Order, OrderedTicket, Payment, PaymentStatus, Ticket, TicketStatus, User,
};
