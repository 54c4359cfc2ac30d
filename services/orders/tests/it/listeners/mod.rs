//! One event a file, as in `src/listeners`, and what holds for all of them.

mod dead_letters;
mod every_order;
mod expiration_complete;
mod payment_created;
mod payment_failed;
mod payment_refunded;
mod ticket_deleted;
mod ticket_updated;
