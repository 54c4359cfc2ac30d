//! What all pages share: the frame, the security headers, and the cache policy.

use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::Quantity;
use common::ids::OrderId;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use httpkit::Error;
use sha2::{Digest, Sha256};

use crate::format::{Countdown, duration};
use crate::forms::{next_page, with_query};
use crate::notice::Notice;
use crate::state::App;
use crate::stripe;
use crate::visitor::{Identity, Visitor};

/// A page: a template, its frame and its cache policy.
pub trait Page: askama::Template {
    /// Who may cache it.
    const CACHE: Cache;

    fn frame(&self) -> &Frame;

    /// Whether it embeds Stripe's form.
    fn embeds_stripe(&self) -> bool {
        false
    }

    /// Whether its script may ask for the camera.
    fn uses_camera(&self) -> bool {
        false
    }

    /// Whether its address has the code of a link that was mailed: it is given to nobody, and indexed nowhere.
    fn has_code(&self) -> bool {
        false
    }

    fn show(&self) -> Result<Response, Error> {
        self.show_as(StatusCode::OK)
    }

    fn show_as(&self, status: StatusCode) -> Result<Response, Error> {
        let html = self.render().map_err(|error| Error::Internal(error.into()))?;
        // A page with a notice is shown once, to one visitor.
        let personal = self.frame().signed_in || self.frame().notice.is_some();
        let etag = match (Self::CACHE, personal) {
            (Cache::Anyone, false) => {
                // The resume token changes with every event; the page itself doesn't.
                let shown = html.replace(&self.frame().resume_token, "");
                let digest = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(&shown)[..12]);
                // Weak: the page may be sent compressed or not.
                HeaderValue::from_str(&format!("W/\"{digest}\"")).ok()
            }
            (Cache::Anyone, true) | (Cache::Form | Cache::Nobody, _) => None,
        };
        let mut response = (status, Html(html)).into_response();
        let headers = response.headers_mut();
        let cache = match (Self::CACHE, personal) {
            // A reservation may end at any second: revalidate every time.
            (Cache::Anyone, false) => "no-cache",
            (Cache::Form, _) => "private, no-cache",
            (Cache::Anyone, true) | (Cache::Nobody, _) => "no-store",
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        headers.insert(header::VARY, HeaderValue::from_static("Cookie"));
        headers.extend(etag.map(|etag| (header::ETAG, etag)));
        let stripe = self.embeds_stripe().then(|| self.frame().stripe_origin.as_deref());
        set_security_headers(headers, stripe);
        if self.has_code() {
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            let robots = header::HeaderName::from_static("x-robots-tag");
            headers.insert(robots, HeaderValue::from_static("noindex"));
        }
        if self.uses_camera() {
            let own = HeaderValue::from_static(WITH_CAMERA);
            headers.insert(header::HeaderName::from_static("permissions-policy"), own);
        }
        Ok(response)
    }
}

/// Who may cache a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// The same for all visitors who aren't signed in; personal for the others.
    Anyone,
    /// Private: *Back* restores the submitted form, with its idempotency key.
    Form,
    /// Personal: not cached.
    Nobody,
}

/// The Content-Security-Policy. Pages have no inline scripts or styles, so user content can't become one.
const OWN: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The Permissions-Policy of the page that scans codes.
const WITH_CAMERA: &str = "camera=(self), geolocation=(), microphone=(), payment=()";

/// `stripe` is where the page embeds Stripe's script from, if it does.
fn set_security_headers(headers: &mut HeaderMap, stripe: Option<Option<&str>>) {
    let (policy, permissions) = match stripe {
        Some(local) => (stripe::policy(local), stripe::permissions(local)),
        None => (OWN.to_owned(), "camera=(), geolocation=(), microphone=(), payment=()".to_owned()),
    };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("permissions-policy"), permissions.as_str()),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        // An origin has no character that a header can't have.
        headers.extend(HeaderValue::from_str(value).map(|value| (name, value)));
    }
}

/// Responds 304 if the visitor's copy is current (RFC 9110 §13.1.2).
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

/// The layout around every page.
#[derive(Clone)]
pub struct Frame {
    pub signed_in: bool,
    /// The session could not be renewed, so it isn't known who the visitor is.
    pub session_unknown: bool,
    /// The requested path and query.
    pub address: String,
    /// The point in the event stream that this page reflects (`live`).
    pub resume_token: String,
    /// How often the page should be fetched again at most, in milliseconds.
    pub pace: u128,
    pub reserved: Option<ReservationBar>,
    pub notice: Option<Notice>,
    /// How long a ticket is reserved for a buyer, in words: `15 minutes`. None where the settings aren't at
    /// hand.
    pub reservation: Option<String>,
    /// Where browsers reach the local Stripe, if there is one.
    pub stripe_origin: Option<String>,
}

/// The pages that links in mails lead to.
const CODE_PAGES: [&str; 3] = ["/verify", "/recover/new", "/disown"];

/// The visitor's most urgent reservation.
#[derive(Clone)]
pub struct ReservationBar {
    pub order: OrderId,
    pub title: String,
    pub quantity: Quantity,
    pub countdown: Countdown,
    /// How many other reservations the visitor has.
    pub others: usize,
}

impl ReservationBar {
    pub fn is_of_many(&self) -> bool {
        self.quantity > Quantity::ONE
    }
}

impl Frame {
    pub async fn of(app: &App, visitor: &Visitor) -> Frame {
        let reservations = visitor.reservations().await;
        // One may have expired in the meantime.
        let mut running = reservations.iter().filter(|order| order.expires_at > visitor.now);
        let reserved = running.next().map(|order| ReservationBar {
            order: order.id,
            title: order.ticket.title.clone(),
            quantity: order.quantity,
            countdown: Countdown::to(order.expires_at, visitor.now, &app.settings.market.time_zone),
            others: running.count(),
        });
        Frame {
            signed_in: visitor.user().is_some(),
            session_unknown: matches!(visitor.identity, Identity::SessionUnknown),
            address: visitor.address.clone(),
            resume_token: visitor.resume_token.clone(),
            pace: app.live.pace().as_millis(),
            reserved,
            notice: visitor.notice,
            reservation: Some(duration(app.settings.reservation_seconds)),
            stripe_origin: app.settings.stripe_origin(),
        }
    }

    /// With a part that was read at this point of the event stream, or later.
    pub fn with_part_of(self, app: &App, resume_token: &str) -> Frame {
        let resume_token = app.live.hub.earlier(&self.resume_token, resume_token).to_owned();
        Frame { resume_token, ..self }
    }

    /// With a message that isn't about the last action.
    pub fn with_notice(self, notice: Notice) -> Frame {
        Frame { notice: Some(notice), ..self }
    }

    /// The frame of a page whose address has a code: no link of the page has it.
    pub fn without_query(mut self) -> Frame {
        self.address.truncate(self.address.find('?').unwrap_or(self.address.len()));
        self
    }

    /// The page of an order doesn't repeat its own reservation in the bar.
    pub fn without_reservation_of(mut self, order: OrderId) -> Frame {
        self.reserved =
            self.reserved.filter(|reserved| reserved.order != order || reserved.others > 0);
        self
    }

    /// The frame of an error without a known visitor.
    pub fn plain() -> Frame {
        Frame {
            signed_in: false,
            session_unknown: true,
            address: String::new(),
            resume_token: String::new(),
            pace: 0,
            reserved: None,
            notice: None,
            reservation: None,
            stripe_origin: None,
        }
    }

    /// What a reservation offers, for descriptions of the marketplace.
    pub fn reservation_offer(&self) -> String {
        match &self.reservation {
            Some(time) => format!("We reserve a ticket for you for {time} while you pay."),
            None => "We reserve a ticket for you while you pay.".to_owned(),
        }
    }

    /// What happens on *Buy*, to *it* or *them*.
    pub fn reservation_promise(&self, what: &str) -> String {
        match &self.reservation {
            Some(time) => format!("We’ll reserve {what} for you for {time} while you pay."),
            None => format!("We’ll reserve {what} for you while you pay."),
        }
    }

    /// The address of the sign-in or sign-up page, which leads back to this page.
    pub fn with_return(&self, path: &str) -> String {
        match self.return_address() {
            next if next == "/" => path.to_owned(),
            next => with_query(path, &[("next", &next)]),
        }
    }

    /// This page, without the message about the last action. The pages of a session pass on their own `next`.
    fn return_address(&self) -> String {
        let (path, query) = self.address.split_once('?').unwrap_or((&self.address, ""));
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        // Nobody comes back to a page that is left with a code.
        if CODE_PAGES.contains(&path) {
            return "/".to_owned();
        }
        if path.starts_with("/auth/") {
            let next = pairs.iter().find(|(name, _)| name == "next").map(|(_, next)| &**next);
            return next_page(next).to_owned();
        }
        let pairs: Vec<_> = pairs
            .iter()
            .filter(|(name, _)| name != "notice")
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let address = if pairs.is_empty() { path.to_owned() } else { with_query(path, &pairs) };
        next_page(Some(&address)).to_owned()
    }

    /// The form of a session, which was submitted to an address without its `next`.
    pub fn returning_to(mut self, next: &str) -> Frame {
        let path = self.address.split('?').next().unwrap_or_default();
        self.address = with_query(path, &[("next", next)]);
        self
    }

    /// Whether this is the current page, for the navigation.
    pub fn is_at(&self, path: &str) -> bool {
        self.address.split('?').next() == Some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_links_to_sign_in_lead_back_to_this_page() {
        for (address, expected) in [
            ("/", "/auth/signin"),
            ("/?notice=signed-out", "/auth/signin"),
            ("/tickets/1", "/auth/signin?next=%2Ftickets%2F1"),
            ("/?q=a%C3%AFda&notice=x", "/auth/signin?next=%2F%3Fq%3Da%25C3%25AFda"),
            ("/auth/signup?next=%2Forders", "/auth/signin?next=%2Forders"),
            ("/auth/signin?next=%2F%2Fevil.example", "/auth/signin"),
            ("/auth/signout", "/auth/signin"),
            ("//evil.example/", "/auth/signin"),
            ("/verify?code=x", "/auth/signin"),
        ] {
            let frame = Frame { address: address.to_owned(), ..Frame::plain() };
            assert_eq!(frame.with_return("/auth/signin"), expected, "{address}");
        }
        let frame = Frame { address: "/auth/signup".to_owned(), ..Frame::plain() };
        let link = frame.returning_to("/orders").with_return("/auth/signin");
        assert_eq!(link, "/auth/signin?next=%2Forders");
    }
}
