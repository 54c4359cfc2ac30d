//! One event a file. Each listener has the same outcome when its event comes twice, late, or before
//! another one.

pub mod expiration_complete;
pub mod payment_created;
pub mod payment_failed;
pub mod payment_refunded;
pub mod ticket_created;
pub mod ticket_deleted;
pub mod ticket_updated;
pub mod user_created;
pub mod user_updated;
