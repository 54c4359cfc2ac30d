//! Mails and their transitions: what is written about an event, and what becomes of it. Pure: the time is a parameter.

mod kind;
mod mail;
mod replicas;
mod resend;

pub use kind::Kind;
pub use mail::{Mail, MailId, RENEWAL, Status};
pub use replicas::{OrderReplica, UserReplica, is_of_our_time};
pub use resend::ResendRefusal;
