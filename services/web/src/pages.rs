//! One page per file: what it shows, and what its forms do. `app::routes` maps addresses to pages; each
//! page has a template of the same name in `templates/`.

pub mod account;
pub mod account_email;
pub mod account_password;
pub mod admin;
pub mod browse;
pub mod disown;
pub mod docs;
pub mod door;
pub mod errors;
pub mod order;
pub mod order_history;
#[cfg(feature = "pdf")]
pub mod order_pdf;
pub mod order_tickets;
pub mod orders;
pub mod problems;
pub mod receipt;
pub mod recover;
pub mod recover_new;
pub mod refund;
pub mod sales;
pub mod sessions;
pub mod signin;
pub mod signout;
pub mod signup;
pub mod sitemap;
pub mod ticket;
pub mod ticket_delete;
pub mod ticket_edit;
mod ticket_form;
pub mod ticket_new;
pub mod ticket_orders;
pub mod ticket_sale;
pub mod tokens;
pub mod verify;
