//! The problems that the HTTP API responds with (RFC 9457): the slugs are a contract with every client, and with web.
//! `docs/problems.md` lists them.

use std::fmt;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A kind of refusal.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The stable reference for programs: `type` is `/problems/<slug>`.
    pub slug: &'static str,
    /// The HTTP status that it comes with.
    pub status: StatusCode,
    /// The same short summary each time, for people.
    pub title: &'static str,
}

macro_rules! problems {
    ($($name:ident = $slug:literal $status:ident $title:literal;)+) => {$(
        #[doc = $title]
        pub const $name: Problem = Problem { slug: $slug, status: StatusCode::$status, title: $title };
    )+
        /// The whole table.
        pub const ALL: &[&Problem] = &[$(&$name),+];
    };
}

problems! {
    MALFORMED = "malformed" BAD_REQUEST "The request is malformed";
    INVALID = "invalid" BAD_REQUEST "The request is invalid";
    NOT_SIGNED_IN = "not-signed-in" UNAUTHORIZED "You are not signed in";
    INVALID_CREDENTIALS = "invalid-credentials" UNAUTHORIZED "Invalid credentials";
    CARD_DECLINED = "card-declined" PAYMENT_REQUIRED "The card was declined";
    ACCOUNT_BANNED = "account-banned" FORBIDDEN "The account is banned";
    EMAIL_NOT_VERIFIED = "email-not-verified" FORBIDDEN "The email address is not confirmed";
    NOT_ALLOWED = "not-allowed" FORBIDDEN "You are not allowed to do this";
    INSUFFICIENT_SCOPE = "insufficient-scope" FORBIDDEN "The token doesn't allow this";
    TOO_MANY_TOKENS = "too-many-tokens" CONFLICT "You have too many API tokens";
    CROSS_SITE = "cross-site" FORBIDDEN "The request came from another site";
    OWN_TICKET = "own-ticket" FORBIDDEN "You can't buy your own ticket";
    NOT_FOUND = "not-found" NOT_FOUND "Not found";
    METHOD_NOT_ALLOWED = "method-not-allowed" METHOD_NOT_ALLOWED "Method not allowed";
    EMAIL_IN_USE = "email-in-use" CONFLICT "The email address is in use";
    LINK_INVALID = "link-invalid" CONFLICT "The link is not valid any more";
    ALREADY_VERIFIED = "already-verified" CONFLICT "The email address is confirmed already";
    TICKET_RESERVED = "ticket-reserved" CONFLICT "The ticket is reserved";
    TICKET_SOLD = "ticket-sold" CONFLICT "The ticket is sold";
    TICKET_CLOSED = "ticket-closed" CONFLICT "The ticket is not for sale";
    NOT_ENOUGH_LEFT = "not-enough-left" CONFLICT "Not enough tickets are left";
    TOO_MANY_RESERVATIONS = "too-many-reservations" CONFLICT "You have too many unpaid reservations";
    DETAILS_FIXED = "details-fixed" CONFLICT "The details can't be changed any more";
    TICKET_PAST = "ticket-past" CONFLICT "The event has already taken place";
    PRICE_CHANGED = "price-changed" CONFLICT "The price has changed";
    ORDER_COMPLETE = "order-complete" CONFLICT "The order is complete";
    ORDER_CANCELLED = "order-cancelled" CONFLICT "The order is cancelled";
    ORDER_EXPIRED = "order-expired" CONFLICT "The order has expired";
    ORDER_NOT_COMPLETE = "order-not-complete" CONFLICT "The order is not complete";
    NOT_ADMITTED = "not-admitted" CONFLICT "Not admitted";
    ALREADY_CHECKED_IN = "already-checked-in" CONFLICT "Already checked in";
    NOT_CHECKED_IN_HERE = "not-checked-in-here" CONFLICT "The seller delivers these tickets";
    NOTHING_TO_HAND_OVER = "nothing-to-hand-over" CONFLICT "There is nothing to hand over";
    ALREADY_PAID = "already-paid" CONFLICT "The order is already paid";
    PAYMENT_IN_PROGRESS = "payment-in-progress" CONFLICT "A payment is in progress";
    PAYMENT_FAILED = "payment-failed" CONFLICT "The payment has failed permanently";
    NOT_REFUNDABLE = "not-refundable" CONFLICT "The payment can't be refunded";
    REQUEST_IN_PROGRESS = "request-in-progress" CONFLICT "An identical request is in progress";
    CONFLICT = "conflict" CONFLICT "The resource was modified concurrently";
    PRECONDITION_FAILED = "precondition-failed" PRECONDITION_FAILED "The version does not match If-Match";
    TOO_LARGE = "too-large" PAYLOAD_TOO_LARGE "The request body is too large";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE "The request body is not JSON";
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused" UNPROCESSABLE_ENTITY "The idempotency key was used for another request";
    TOO_MANY_REQUESTS = "too-many-requests" TOO_MANY_REQUESTS "Too many requests";
    INTERNAL = "internal" INTERNAL_SERVER_ERROR "Internal server error";
    UNAVAILABLE = "unavailable" SERVICE_UNAVAILABLE "Temporarily unavailable";
}

/// One broken rule: what is wrong, and with which field of the body or the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Violation {
    /// The rule, as it continues the field's name: *price* — *must be at least 0.50*.
    #[schema(example = "must not be empty")]
    pub message: String,
    /// The member of the body, or the query parameter; none for the request as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Violation {
    /// A rule that a field breaks.
    pub fn of(field: impl Into<String>, message: impl Into<String>) -> Self {
        Violation { message: message.into(), field: Some(field.into()) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field} {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
