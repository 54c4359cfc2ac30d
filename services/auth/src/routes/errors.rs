//! The problems that refusals become.

use common::problem;
use httpkit::Error;

use crate::domain::LinkRefusal;

/// 409.
pub(super) fn email_in_use() -> Error {
    Error::refused(&problem::EMAIL_IN_USE, "An account with this email address already exists.")
}

/// 403, to those who know the password.
pub(super) fn account_banned(reason: &str) -> Error {
    let detail = format!("This account is banned. Reason: {reason}");
    Error::refused(&problem::ACCOUNT_BANNED, detail)
}

/// 409.
pub(super) fn too_many_tokens() -> Error {
    let detail = "You have as many API tokens as one can have. Revoke one that isn't needed.";
    Error::refused(&problem::TOO_MANY_TOKENS, detail)
}

/// 401, to a program.
pub(super) fn invalid_api_token() -> Error {
    let detail = "Send an API token as Authorization: Bearer. This one is missing, unknown, expired or revoked.";
    Error::refused(&problem::NOT_SIGNED_IN, detail)
}

/// 401: the same for an unknown address and a wrong password, so that it doesn't disclose who has an account.
pub(super) fn invalid_credentials() -> Error {
    Error::refused(&problem::INVALID_CREDENTIALS, "Invalid credentials")
}

/// 409: the same for what never was a code, what was used, what has ended, and what a newer link has replaced.
pub(super) fn link_invalid() -> Error {
    let detail = "This link was used already, has expired, or was replaced by a newer one.";
    Error::refused(&problem::LINK_INVALID, detail)
}

/// 409.
pub(super) fn already_verified() -> Error {
    Error::refused(&problem::ALREADY_VERIFIED, "Your email address is confirmed already.")
}

impl From<LinkRefusal> for Error {
    fn from(refusal: LinkRefusal) -> Error {
        match refusal {
            LinkRefusal::AlreadyVerified => already_verified(),
            LinkRefusal::TooSoon(wait) => {
                let detail =
                    "A link was sent a moment ago. Wait a minute before you ask for another.";
                Error::too_many_requests(detail, wait)
            }
        }
    }
}
