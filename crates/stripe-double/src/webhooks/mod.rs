//! Events, sent to webhook endpoints: <https://docs.stripe.com/webhooks>.

pub mod dispatcher;
mod payload;
pub mod plan;
mod signature;
