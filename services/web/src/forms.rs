//! Forms: what was sent, what was wrong with it, the key that makes a repetition harmless, and where to
//! go next.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::problem;
use http::StatusCode;
use httpkit::Error;
use serde::de::DeserializeOwned;

use crate::api::{Failure, Refusal};

/// The fields of a form that was sent.
pub struct Form<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Error::refused(&problem::TOO_LARGE, "The form holds more than we take.")
            } else {
                Error::refused(&problem::MALFORMED, "The form could not be read.")
            }
        })?;
        let pairs = url::form_urlencoded::parse(&bytes);
        let form = T::deserialize(serde_html_form::Deserializer::new(pairs));
        form.map(Form).map_err(|error| Error::refused(&problem::MALFORMED, error.to_string()))
    }
}

/// A key that is new with each form that is shown: sent twice, the form is done once.
pub fn new_key() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>())
}

/// What is wrong with what was typed.
#[derive(Clone, Debug, Default)]
pub struct Complaints(Vec<Complaint>);

#[derive(Clone, Debug, PartialEq)]
pub struct Complaint {
    /// The `name` of the field that it is about.
    pub field: Option<&'static str>,
    pub message: String,
}

/// A field: its name in the API, its name in the form, and what people call it.
pub type Named = (&'static str, &'static str, &'static str);

impl Complaints {
    pub fn none() -> Self {
        Complaints::default()
    }

    pub fn of(message: impl Into<String>) -> Self {
        Complaints(vec![Complaint { field: None, message: message.into() }])
    }

    pub fn about(field: &'static str, message: impl Into<String>) -> Self {
        Complaints(vec![Complaint { field: Some(field), message: message.into() }])
    }

    /// What a service says, in the words of the form: *price must be …* is *Price must be …*.
    pub fn from_refusal(refusal: &Refusal, fields: &[Named]) -> Self {
        let said = refusal.errors.iter().map(|violation| {
            let name = violation.field.as_deref();
            let known = fields.iter().find(|(api, ..)| Some(*api) == name);
            match known {
                Some((_, field, label)) => {
                    let message = format!("{label} {}.", violation.message);
                    Complaint { field: Some(field), message }
                }
                None => Complaint { field: None, message: violation.to_string() },
            }
        });
        Complaints(said.collect())
    }

    /// What a form says about a call that failed, and the status that it is shown under. What was typed
    /// stays, with the form's key: it may be sent again.
    pub fn from_failure(failure: &Failure, fields: &[Named]) -> (StatusCode, Self) {
        match failure {
            Failure::Refused(refusal) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Self::from_refusal(refusal, fields))
            }
            Failure::Down(cause) => {
                tracing::warn!(error = format!("{cause:#}"), "a form could not be done");
                let text = "This can’t be done just now: a part of Ticketing is down. What you typed \
                    is still here. Send it again in a moment: nothing is done twice.";
                (StatusCode::SERVICE_UNAVAILABLE, Self::of(text))
            }
        }
    }

    pub fn add(&mut self, other: Complaints) {
        self.0.extend(other.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn all(&self) -> &[Complaint] {
        &self.0
    }

    /// The first complaint about a field.
    pub fn on(&self, field: &str) -> Option<&str> {
        let found = self.0.iter().find(|complaint| complaint.field == Some(field))?;
        Some(&found.message)
    }
}

/// An amount as people type it, in the API's way of writing it: `$1,234.50`, `20,50 €` and ` 20 ` are
/// `1234.50`, `20.50` and `20`. What can't be read so is handed on as it is, to be refused.
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

/// Whether its commas stand where they part the thousands.
fn are_thousands(whole: &str) -> bool {
    let mut groups = whole.split(',');
    groups.next().is_some_and(|first| (1..=3).contains(&first.len()))
        && groups.all(|group| group.len() == 3)
}

/// A path of ours with more parameters.
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{query}")
}

/// Where to go after signing in: only ever a page of ours, whatever the address said.
pub fn next_page(next: Option<&str>) -> &str {
    let is_ours = |path: &&str| {
        // `//host` and `/\host` are other sites to a browser, which also leaves out tabs and line breaks.
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
    fn one_comes_back_to_a_page_of_ours_alone() {
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
    fn an_amount_is_read_as_people_type_it() {
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
    fn each_form_has_a_key_of_its_own() {
        let (one, other) = (new_key(), new_key());
        assert!(one.len() == 24 && one != other);
    }

    #[test]
    fn a_query_is_added_to_a_path() {
        assert_eq!(with_query("/a", &[("b", "c d&e")]), "/a?b=c+d%26e");
        assert_eq!(with_query("/a?x=1", &[("b", "")]), "/a?x=1&b=");
    }
}
