//! What all pages have: the frame around them, the headers that guard them, and who may keep them.

use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::ids::OrderId;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use httpkit::Error;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::format::Countdown;
use crate::notice::Notice;
use crate::session::{Visitor, Who};

/// A page: a template with the frame around it, and what may be done with the result.
pub trait Page: askama::Template {
    /// Who may keep it.
    const CACHE: Cache;

    fn frame(&self) -> &Frame;

    /// Whether it holds Stripe's own form, which comes from Stripe.
    fn holds_stripe_s_form(&self) -> bool {
        false
    }

    fn show(&self) -> Result<Response, Error> {
        self.show_as(StatusCode::OK)
    }

    fn show_as(&self, status: StatusCode) -> Result<Response, Error> {
        let html = self.render().map_err(|error| Error::Internal(error.into()))?;
        let signed_in = self.frame().signed_in;
        let etag = match (Self::CACHE, signed_in) {
            (Cache::Anyone, false) => {
                // The position changes with all that happens anywhere; the page with it is the same.
                let shown = html.replace(&self.frame().position, "");
                let digest = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(&shown)[..12]);
                // Weak: the same page may be sent compressed or not.
                HeaderValue::from_str(&format!("W/\"{digest}\"")).ok()
            }
            (Cache::Anyone, true) | (Cache::Form | Cache::Nobody, _) => None,
        };
        let mut response = (status, Html(html)).into_response();
        let headers = response.headers_mut();
        let cache = match (Self::CACHE, signed_in) {
            // A hold may end at any second: it is asked for again each time.
            (Cache::Anyone, false) => "no-cache",
            (Cache::Form, _) => "private, no-cache",
            (Cache::Anyone, true) | (Cache::Nobody, _) => "no-store",
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        headers.insert(header::VARY, HeaderValue::from_static("Cookie"));
        headers.extend(etag.map(|etag| (header::ETAG, etag)));
        guard(headers, self.holds_stripe_s_form());
        Ok(response)
    }
}

/// Who may keep a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// It is the same for all who aren't signed in; to the others it shows something of theirs.
    Anyone,
    /// The visitor's browser, so that *Back* brings back the very form that was sent, with its key.
    Form,
    /// It is for one person alone.
    Nobody,
}

/// What a page may load and do. No script and no style stands in a page itself, so whatever a user
/// wrote can't become one.
const OWN: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The same with Stripe's form in it. <https://docs.stripe.com/security/guide#content-security-policy>
const WITH_STRIPE: &str = "default-src 'none'; \
    script-src 'self' https://js.stripe.com https://*.js.stripe.com; style-src 'self'; \
    img-src 'self' https://*.stripe.com; connect-src 'self' https://api.stripe.com; \
    frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn guard(headers: &mut HeaderMap, with_stripe: bool) {
    let policy = if with_stripe { WITH_STRIPE } else { OWN };
    let permissions = if with_stripe {
        "camera=(), geolocation=(), microphone=(), payment=(self \"https://js.stripe.com\")"
    } else {
        "camera=(), geolocation=(), microphone=(), payment=()"
    };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("permissions-policy"), permissions),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// 304, if the visitor's copy is still right (RFC 9110 §13.1.2).
pub fn not_modified(request: &HeaderMap, response: Response) -> Response {
    let text = |value: Option<&HeaderValue>| value?.to_str().ok().map(str::to_owned);
    let etag = text(response.headers().get(header::ETAG));
    let seen = text(request.get(header::IF_NONE_MATCH));
    let is_same = match (&etag, &seen) {
        (Some(etag), Some(seen)) => seen.split(',').any(|tag| tag.trim() == etag),
        (None, _) | (_, None) => false,
    };
    if !is_same || response.status() != StatusCode::OK {
        return response;
    }
    let mut parts = response.into_parts().0;
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, axum::body::Body::empty())
}

/// What stands around every page.
#[derive(Clone)]
pub struct Frame {
    pub signed_in: bool,
    /// Someone's session can't be renewed just now.
    pub unsure: bool,
    /// The path and the query that were asked for.
    pub address: String,
    /// From where on the page is told what changes (`live`).
    pub position: String,
    pub hold: Option<HoldBar>,
    pub notice: Option<Notice>,
}

/// The visitor's running hold, and how much time is left of it.
#[derive(Clone)]
pub struct HoldBar {
    pub order: OrderId,
    pub title: String,
    pub countdown: Countdown,
    /// How many more there are.
    pub others: usize,
}

impl Frame {
    pub async fn of(app: &App, visitor: &Visitor) -> Frame {
        let holds = visitor.holds().await;
        // It may have run out while the page was made.
        let mut running = holds.iter().filter(|order| order.expires_at > visitor.now);
        let hold = running.next().map(|order| HoldBar {
            order: order.id,
            title: order.ticket.title.clone(),
            countdown: Countdown::to(order.expires_at, visitor.now, &app.settings.market.time_zone),
            others: running.count(),
        });
        Frame {
            signed_in: visitor.user().is_some(),
            unsure: matches!(visitor.who, Who::Unsure),
            address: visitor.address.clone(),
            position: visitor.position.clone(),
            hold,
            notice: Notice::of(&visitor.address),
        }
    }

    /// On the page of an order its own hold needs no bar.
    pub fn without_hold_of(mut self, order: OrderId) -> Frame {
        self.hold = self.hold.filter(|hold| hold.order != order || hold.others > 0);
        self
    }

    /// Around an error of which it isn't known whom it met.
    pub fn plain() -> Frame {
        Frame {
            signed_in: false,
            unsure: true,
            address: String::new(),
            position: String::new(),
            hold: None,
            notice: None,
        }
    }

    /// Whether the visitor is at this address, for the navigation.
    pub fn is_at(&self, path: &str) -> bool {
        self.address.split('?').next() == Some(path)
    }
}
