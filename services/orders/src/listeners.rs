//! One event per file. Each listener has the same outcome when its event is delivered twice, late, or out of order.

pub mod expiration_complete;
pub mod payment_created;
pub mod payment_failed;
pub mod payment_refunded;
pub mod ticket_created;
pub mod ticket_deleted;
pub mod ticket_reserved;
pub mod ticket_updated;
pub mod user_created;
pub mod user_updated;
