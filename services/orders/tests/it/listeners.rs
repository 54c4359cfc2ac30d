//! One event per file, as in `src/listeners`, and what applies to all of them.

mod dead_letters;
mod delivery;
mod expiration_complete;
mod payment_created;
mod payment_disputed;
mod payment_failed;
mod payment_refunded;
mod payment_released;
mod ticket_deleted;
mod ticket_reserved;
mod ticket_updated;
mod user_updated;
