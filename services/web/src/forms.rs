//! Forms: the submitted fields, their errors, the idempotency key, and where to go next.

mod errors;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::problem;
use http::StatusCode;
use httpkit::Error;
use serde::de::DeserializeOwned;

pub use errors::{FieldError, FormErrors};

/// The fields of a submitted form.
pub struct Form<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Error::refused(&problem::TOO_LARGE, "The form is too large.")
            } else {
                Error::refused(&problem::MALFORMED, "The form is malformed.")
            }
        })?;
        let pairs = url::form_urlencoded::parse(&bytes);
        let form = T::deserialize(serde_html_form::Deserializer::new(pairs));
        form.map(Form).map_err(|error| Error::refused(&problem::MALFORMED, error.to_string()))
    }
}

/// A fresh idempotency key for each rendered form: submitting the form twice has one effect.
pub fn new_key() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>())
}

/// Normalises an amount to the API's format: `$1,234.50`, `20,50 €` and ` 20 ` become `1234.50`, `20.50`
/// and `20`. Anything else is passed on unchanged, for the API to reject.
pub fn typed_amount(text: &str) -> String {
    let plain: String =
        text.chars().filter(|char| !char.is_whitespace() && !"$€£\u{a0}".contains(*char)).collect();
    match (plain.split_once('.'), plain.split_once(',')) {
        (Some((whole, decimals)), _) if are_thousands(whole) && !decimals.contains(',') => {
            plain.replace(',', "")
        }
        (None, Some((whole, decimals))) if decimals.len() <= 2 => format!("{whole}.{decimals}"),
        (None, _) if are_thousands(&plain) => plain.replace(',', ""),
        (Some(_) | None, _) => plain,
    }
}

/// Whether every comma separates thousands.
fn are_thousands(whole: &str) -> bool {
    let mut groups = whole.split(',');
    groups.next().is_some_and(|first| (1..=3).contains(&first.len()))
        && groups.all(|group| group.len() == 3)
}

/// Appends parameters to a path of ours.
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{query}")
}

/// Where to go after signing in: only a page of ours, never an open redirect.
pub fn next_page(next: Option<&str>) -> &str {
    let is_ours = |path: &&str| {
        // Browsers read `//host` and `/\host` as other sites, and drop tabs and line breaks.
        path.starts_with('/')
            && !path.starts_with("//")
            && !path.contains('\\')
            && !path.chars().any(char::is_control)
            && !path.starts_with("/auth/")
    };
    next.filter(is_ours).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_redirects_to_our_own_pages_only() {
        for ours in ["/", "/tickets/1?notice=sold", "/orders#pay", "/tickets/new?like=1&x=//a"] {
            assert_eq!(next_page(Some(ours)), ours);
        }
        for other in [
            "",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil.example",
            "tickets/1",
            " /",
            "/auth/signout",
        ] {
            assert_eq!(next_page(Some(other)), "/", "{other:?}");
        }
        assert_eq!(next_page(None), "/");
    }

    #[test]
    fn amounts_are_normalised() {
        for (typed, read) in [
            ("20.50", "20.50"),
            (" $ 20.5 ", "20.5"),
            ("20,50 €", "20.50"),
            ("1,234.50", "1234.50"),
            ("12,345,678", "12345678"),
            ("1,234", "1234"),
            ("1,23,456", "1,23,456"),
            ("1.234,50", "1.234,50"),
            ("a lot", "alot"),
            ("", ""),
        ] {
            assert_eq!(typed_amount(typed), read, "{typed}");
        }
    }

    #[test]
    fn every_form_has_its_own_key() {
        let (one, other) = (new_key(), new_key());
        assert!(one.len() == 24 && one != other);
    }

    #[test]
    fn parameters_are_appended_to_a_path() {
        assert_eq!(with_query("/a", &[("b", "c d&e")]), "/a?b=c+d%26e");
        assert_eq!(with_query("/a?x=1", &[("b", "")]), "/a?x=1&b=");
    }
}
