//! The problems that refusals become.

use common::problem;
use httpkit::Error;

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
