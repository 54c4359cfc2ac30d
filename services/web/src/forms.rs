//! Forms: the submitted fields, their errors, the idempotency key, and where to go next.

mod errors;

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::money::Currency;
use common::problem;
use http::StatusCode;
use http::request::Parts;
use httpkit::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::format;

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
        if !is_utf8(&bytes) {
            return Err(Error::refused(&problem::MALFORMED, "The form is not encoded as UTF-8."));
        }
        let pairs = url::form_urlencoded::parse(&bytes);
        let form = T::deserialize(serde_html_form::Deserializer::new(pairs));
        form.map(Form).map_err(|error| Error::refused(&problem::MALFORMED, error.to_string()))
    }
}

/// Whether a form's bytes, decoded, are UTF-8: otherwise `url` would replace what isn't, and that would be stored.
fn is_utf8(form: &[u8]) -> bool {
    let is_text = |part: &[u8]| percent_encoding::percent_decode(part).decode_utf8().is_ok();
    form.split(|byte| matches!(byte, b'&' | b'=')).all(is_text)
}

/// The code of a link in a mail: in the address of its page, and in the page's form.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct LinkCode {
    pub code: String,
}

/// The query of a page. Nothing in it makes the page fail: an address may be old, or shortened by hand. Of a repeated
/// parameter, the last one counts.
pub struct PageQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequestParts<S> for PageQuery<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(PageQuery(lenient(parts.uri.query().unwrap_or_default())))
    }
}

fn lenient<T: DeserializeOwned + Default>(query: &str) -> T {
    let pairs: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let once = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    serde_html_form::from_str(&once).unwrap_or_default()
}

/// A fresh idempotency key for each rendered form: submitting the form twice has one effect.
pub fn new_key() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>())
}

/// Normalises an amount to the API's format: `1,234.50`, `1.234,50` and ` 20 ` become `1234.50`, `1234.50` and `20`. The sign or
/// code of this currency may stand before or after it. Anything else, also another currency's sign, is passed on
/// unchanged, for the API to reject.
///
/// The last separator is the decimal one if one or two digits follow it. Separators of thousands are all the same, and
/// every group after the first has three digits; the first one doesn't begin with a zero. Three digits after a single
/// point are rejected: `1.234` means a thousand to some, and a little more than one to others.
pub fn typed_amount(text: &str, currency: &Currency) -> String {
    let plain = without_currency(text.trim(), currency);
    let (whole, decimals) = match plain.rsplit_once(['.', ',']) {
        Some((whole, decimals)) if (1..=2).contains(&decimals.len()) => (whole, Some(decimals)),
        Some(_) | None => (plain, None),
    };
    let decimal_separator = decimals.and_then(|_| plain[whole.len()..].chars().next());
    let is_ambiguous = decimals.is_none() && whole.matches('.').count() == 1;
    let digits = without_thousands(whole, decimal_separator).filter(|_| !is_ambiguous);
    match (digits, decimals) {
        (Some(digits), None) => digits,
        (Some(digits), Some(decimals)) if is_number(decimals) => format!("{digits}.{decimals}"),
        (Some(_) | None, _) => plain.to_owned(),
    }
}

fn without_currency<'a>(text: &'a str, currency: &Currency) -> &'a str {
    let code = currency.as_str();
    let upper = code.to_uppercase();
    let mut names = [code, &upper].into_iter().chain(format::sign(currency));
    let strip = |name: &str| text.strip_prefix(name).or_else(|| text.strip_suffix(name));
    names.find_map(strip).unwrap_or(text).trim()
}

/// The digits of a whole number, without the separators of its thousands.
pub fn without_thousands(whole: &str, decimal_separator: Option<char>) -> Option<String> {
    if is_number(whole) {
        return Some(whole.to_owned());
    }
    let separator = whole.chars().find(|char| !char.is_ascii_digit())?;
    let is_separator = ".,'’ \u{a0}\u{2009}\u{202f}".contains(separator);
    let mut groups = whole.split(separator);
    let first = groups.next()?;
    let is_grouped = is_separator
        && decimal_separator != Some(separator)
        && first.len() <= 3
        && is_number(first)
        && !first.starts_with('0')
        && groups.all(|group| group.len() == 3 && is_number(group));
    is_grouped.then(|| whole.replace(separator, ""))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
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

    fn usd() -> Currency {
        "usd".parse().expect("a currency")
    }

    #[test]
    fn amounts_are_normalised() {
        for (typed, read) in [
            ("20.50", "20.50"),
            (" $ 20.5 ", "20.5"),
            ("USD 20,50", "20.50"),
            ("20 usd", "20"),
            ("0,50", "0.50"),
            ("1,234.50", "1234.50"),
            ("1.234,50", "1234.50"),
            ("1 234,5", "1234.5"),
            ("1\u{202f}234,50\u{a0}$", "1234.50"),
            ("1'234.50", "1234.50"),
            ("1.234.567,8", "1234567.8"),
            ("12,345,678", "12345678"),
            ("1.234.567", "1234567"),
            ("1,234", "1234"),
            ("999999.99", "999999.99"),
        ] {
            assert_eq!(typed_amount(typed, &usd()), read, "{typed}");
        }
    }

    #[test]
    fn an_ambiguous_or_malformed_amount_is_left_for_the_api_to_reject() {
        for typed in [
            "0,500",
            "0.500",
            "1.234",
            "20.505",
            "012,345",
            "1,23,456",
            "1,234,50",
            "1.234.50",
            "1,2345",
            "12345,678",
            "1,234.567",
            "1.234,567",
            ",234",
            "20.",
            "20,",
            "1 2",
            "a lot",
            "-5",
            "٢٠",
            "1e3",
            "",
            "$",
            "20 €",
            "£20",
            "$20$",
            "CHF 20",
            "US$ 20",
        ] {
            let read = typed_amount(typed, &usd());
            assert_eq!(read.parse::<common::Money>().ok(), None, "{typed}: {read}");
        }
    }

    #[test]
    fn a_form_s_bytes_are_utf_8() {
        for body in ["", "a=b", "title=Mot%C3%B6rhead", "a=%EF%BF%BD", "a=100%&b=%zz"] {
            assert!(is_utf8(body.as_bytes()), "{body}");
        }
        for body in [b"a=%FF".as_slice(), b"a=\xff", b"%C3=b", b"a=%C3&b=%B6", b"a=%ED%A0%80"] {
            assert!(!is_utf8(body), "{body:?}");
        }
    }

    #[test]
    fn a_page_ignores_what_is_wrong_with_its_query() {
        #[derive(Debug, Default, PartialEq, serde::Deserialize)]
        #[serde(default)]
        struct Params {
            cursor: String,
        }
        let read = |query: &str| lenient::<Params>(query).cursor;
        assert_eq!(read("cursor=x&other=y"), "x");
        assert_eq!(read("cursor=x&cursor=y"), "y");
        assert_eq!(read("cursor"), "");
        assert_eq!(read("&&="), "");
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
