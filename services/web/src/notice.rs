//! Notices: the result of the previous action, shown once above the next page.
//!
//! A notice travels in a short-lived cookie that only our own responses set, as a code from a closed set. So no address
//! that somebody else has crafted can make a page say what isn't so. (It needs no signature: decision 0036.)

use axum::response::{IntoResponse, Redirect, Response};
use http::HeaderValue;
use httpkit::auth::is_https;
use url::Url;

/// How long a notice waits for the page that shows it, in seconds.
const LIFE_SECONDS: u32 = 60;

macro_rules! notices {
    ($($name:ident = $slug:literal $tone:ident $text:literal;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Notice {
            $($name),+
        }

        impl Notice {
            pub fn slug(self) -> &'static str {
                match self { $(Notice::$name => $slug),+ }
            }

            pub fn text(self) -> &'static str {
                match self { $(Notice::$name => $text),+ }
            }

            pub fn tone(self) -> Tone {
                match self { $(Notice::$name => Tone::$tone),+ }
            }

            fn named(slug: &str) -> Option<Notice> {
                match slug { $($slug => Some(Notice::$name),)+ _ => None }
            }
        }
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
}

impl Tone {
    pub fn as_str(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Bad => "bad",
        }
    }
}

notices! {
    SignedOut = "signed-out" Good "You are signed out.";
    Banned = "banned" Good "The user is banned.";
    BanUnread = "ban-unread" Bad "Give a reason, in up to 500 characters on one line.";
    Unbanned = "unbanned" Good "The ban is lifted.";
    AdminAdded = "admin-added" Good "They’re an administrator from their next sign-in on.";
    AdminRemoved = "admin-removed" Good "They’re no longer an administrator.";
    ProfileSaved = "profile-saved" Good "Your changes have been saved.";
    PasswordChanged = "password-changed" Good "Your password is changed. You’re signed out on all other devices.";
    PasswordReplaced = "password-replaced" Good "Your new password is set, and you’re signed in. You’re signed out on all other devices.";
    EmailRequested = "email-requested" Good "Check your new mailbox: open the link that we sent there to finish the change.";
    EmailConfirmed = "email-confirmed" Good "Your email address is confirmed.";
    VerificationSent = "verification-sent" Good "We’ve sent you another link. Check your mailbox, and the spam folder.";
    VerificationTooSoon = "verification-too-soon" Bad "We’ve just sent you a link. Check your mailbox, or wait a minute before you ask for another.";
    VerificationDown = "verification-down" Bad "We couldn’t send a link right now. Try again in a moment.";
    RecoverySent = "recovery-sent" Good "If there is an account with that email address, we’ve sent a link to choose a new password. It works for an hour.";
    Disowned = "disowned" Good "The account is closed. You won’t get any more email about it.";
    VerifyToBuy = "verify-to-buy" Bad "Confirm your email address before you buy. Nothing is reserved yet.";
    SessionEnded = "session-ended" Good "That device is signed out.";
    TokenRevoked = "token-revoked" Good "The token is revoked. Programs that use it are refused from now on.";
    SignedOutEverywhere = "signed-out-everywhere" Good "You are signed out everywhere.";
    Listed = "listed" Good "Your ticket is on sale.";
    Edited = "edited" Good "Your changes have been saved.";
    SaleClosed = "sale-closed" Good "The sale is closed. Reserved tickets can still be paid for.";
    SaleReopened = "sale-reopened" Good "Your listing is on sale again.";
    Deleted = "deleted" Good "Listing removed.";
    Refunding = "refunding" Good "The buyer’s refund is on its way.";
    Reserved = "reserved" Bad "Someone else is already buying this ticket.";
    Sold = "sold" Bad "Sorry, this ticket has just been sold.";
    AllReserved = "all-reserved" Bad "All tickets that are left are reserved just now. If a buyer doesn’t finish in time, you can buy them.";
    SoldOut = "sold-out" Bad "Sorry, the last ticket has just been sold.";
    Closed = "closed" Bad "This listing isn’t on sale at the moment.";
    Past = "past" Bad "This event has already taken place, so the ticket is no longer for sale.";
    PriceChanged = "price-changed" Bad "The price has changed. You haven’t bought anything – check the new price below.";
    OwnTicket = "own-ticket" Bad "You can’t buy your own ticket.";
    AlreadyPaid = "already-paid" Good "You’ve already paid for this order. You haven’t been charged again.";
    ReservationEnded = "reservation-ended" Bad "Your earlier reservation of this ticket has ended. To buy the ticket, reserve it again.";
    ListingChanged = "listing-changed" Bad "This listing has changed. Check the details and try again.";
    CardUnread = "card-unread" Bad "We couldn’t read your card. You haven’t been charged. Try again or use another card.";
    PaymentsDown = "payments-down" Bad "We can’t take payments right now. Try again in a moment – you won’t be charged twice.";
    RefundsDown = "refunds-down" Bad "We can’t issue refunds right now. Try again in a moment – nothing will be refunded twice.";
    OrdersDown = "orders-down" Bad "We can’t take orders right now. Try again in a moment – you won’t be charged twice.";
    ListingDown = "listing-down" Bad "We couldn’t change your listing. Try again in a moment.";
    DoorJoined = "door-joined" Good "You’re on the door. Scan the first code.";
    DoorDismissed = "door-dismissed" Good "Removed. The link is gone, too: make a new one to invite somebody.";
    Reported = "reported" Good "Thank you. The other party can see it.";
    ReportUnread = "report-unread" Bad "Say in a few words (up to 1,000 characters) what is wrong.";
    ReportDown = "report-down" Bad "We couldn’t save that. Try again in a moment.";
    CancelDown = "cancel-down" Bad "We couldn’t cancel your reservation. Try again in a moment.";
}

/// Where a form's response redirects to, and the notice of the page there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    address: String,
    notice: Option<Notice>,
}

impl Notice {
    /// A page that shows this notice.
    pub fn at(self, path: &str) -> Next {
        Next { address: path.to_owned(), notice: Some(self) }
    }

    /// The notice that the visitor's cookie names.
    pub fn of_cookie(value: &str) -> Option<Notice> {
        Notice::named(value)
    }

    /// The `Set-Cookie` header that makes the next page show it.
    pub fn set_cookie(self, public_url: &Url) -> Option<HeaderValue> {
        cookie(public_url, self.slug(), LIFE_SECONDS)
    }
}

impl From<String> for Next {
    fn from(address: String) -> Next {
        Next { address, notice: None }
    }
}

impl IntoResponse for Next {
    /// The middleware of sessions turns the notice into its cookie.
    fn into_response(self) -> Response {
        let mut response = Redirect::to(&self.address).into_response();
        if let Some(notice) = self.notice {
            response.extensions_mut().insert(notice);
        }
        response
    }
}

/// The name of the cookie. With the prefix, browsers accept it from this host over https alone, not from a subdomain.
pub fn flash_cookie(public_url: &Url) -> &'static str {
    if is_https(public_url) { "__Host-flash" } else { "flash" }
}

/// The `Set-Cookie` header that removes the notice: it was shown.
pub fn clear_cookie(public_url: &Url) -> Option<HeaderValue> {
    cookie(public_url, "", 0)
}

fn cookie(public_url: &Url, value: &str, seconds: u32) -> Option<HeaderValue> {
    let secure = if is_https(public_url) { "; Secure" } else { "" };
    let name = flash_cookie(public_url);
    let cookie =
        format!("{name}={value}; HttpOnly; SameSite=Lax{secure}; Path=/; Max-Age={seconds}");
    HeaderValue::from_str(&cookie).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_notices_are_read_from_a_cookie() {
        assert_eq!(Notice::of_cookie("listed"), Some(Notice::Listed));
        for other in ["", "Listed", "You have won", "listed "] {
            assert_eq!(Notice::of_cookie(other), None, "{other}");
        }
    }

    #[test]
    fn the_cookie_is_short_lived_and_bound_to_the_host() {
        let set = |url: &str| Notice::Listed.set_cookie(&url.parse().unwrap()).unwrap();
        assert_eq!(
            set("https://ticketing.dev"),
            "__Host-flash=listed; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
        );
        assert_eq!(
            set("http://localhost:8080"),
            "flash=listed; HttpOnly; SameSite=Lax; Path=/; Max-Age=60"
        );
    }
}
