//! The client of the services' HTTP API. Calls carry the visitor's cookies, IP address and request id, but not
//! the browser's `Origin` and `Sec-Fetch-…`: web itself checks that a form was submitted by its own page.

mod client;
mod failure;
mod history;
mod models;

pub use client::{Api, Caller, ServiceUrls, Session, TicketDraft, Wanted};
pub use failure::{Failure, Refusal};
pub use history::{CheckIn, HistoryEntry, Mail};
pub use models::{
    Account, AccountBan, Admission, Admitted, ApiToken, CheckedIn, Contact, Door, Handover,
    HandoverState, List, NewApiToken, Order, OrderedTicket, Payment, PaymentStatus, Receipt,
    ReportedOrder, Ticket, TicketStatus, User, UserAct, UserSession,
};
