//! What is wrong with a submitted form. Both web's own checks and the API's violations become
//! [`FormErrors`], which `templates/form.html` shows above the form and beside each field.

use std::fmt;

use common::text::{self, TextError};
use http::StatusCode;

use super::with_query;
use crate::api::{Failure, Refusal};

/// The errors of a form, in the order in which they are shown.
#[derive(Clone, Debug, Default)]
pub struct FormErrors(Vec<FieldError>);

#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// The `name` of the field; none if the error concerns the whole form.
    pub field: Option<&'static str>,
    pub message: String,
    /// Where the user can resolve it, other than in the form.
    pub link: Option<Link>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub address: String,
    pub text: &'static str,
    /// Whether the form stays open: its entries would be lost otherwise.
    pub new_tab: bool,
}

impl FieldError {
    pub fn on(field: &'static str, message: impl Into<String>) -> Self {
        FieldError { field: Some(field), message: message.into(), link: None }
    }

    /// The rule of `common::text` that a text of one line breaks.
    pub fn on_line(field: &'static str, label: &str, text: &str, max_chars: usize) -> Self {
        let rule = match text::one_line(text, max_chars) {
            Err(TextError::Control) => "can’t contain line breaks".to_owned(),
            Err(TextError::Invisible) => "can’t contain invisible characters".to_owned(),
            Err(TextError::TooLong(max_chars)) => format!("must be at most {max_chars} characters"),
            Ok(_) => "isn’t valid".to_owned(),
        };
        FieldError::on(field, format!("{label} {rule}"))
    }

    pub fn of_form(message: impl Into<String>) -> Self {
        FieldError { field: None, message: message.into(), link: None }
    }

    /// Adds a link to another page, shown after the message.
    pub fn linked(mut self, address: impl Into<String>, text: &'static str) -> Self {
        self.link = Some(Link { address: address.into(), text, new_tab: false });
        self
    }

    /// The same, in a new tab: the entries are kept.
    pub fn linked_in_a_new_tab(self, address: impl Into<String>, text: &'static str) -> Self {
        let mut error = self.linked(address, text);
        error.link = error.link.map(|link| Link { new_tab: true, ..link });
        error
    }

    /// The visitor is signed out, perhaps in another tab: the entries are kept. `page` is the form's own.
    pub fn signed_out(page: &str) -> Self {
        let text = "You’re signed out. Your entries are still here. Sign in in a new tab, then \
            submit again.";
        let address = with_query("/auth/signin", &[("next", page)]);
        FieldError::of_form(text).linked_in_a_new_tab(address, "Sign in")
    }
}

impl FormErrors {
    pub fn none() -> Self {
        FormErrors::default()
    }

    /// The API's violations in the form's own words. `word` maps a field of the API to the form's field and
    /// its message; violations of other fields are shown as the API describes them.
    pub fn from_refusal(refusal: &Refusal, word: impl Fn(&str) -> Option<FieldError>) -> Self {
        let mut errors = FormErrors::none();
        for violation in &refusal.errors {
            let worded = violation.field.as_deref().and_then(&word);
            let error = worded.unwrap_or_else(|| FieldError::of_form(violation.to_string()));
            // Several rules for one field may share a message.
            if !errors.0.contains(&error) {
                errors.push(error);
            }
        }
        errors
    }

    /// The errors of a form whose call failed, and the status of its page. The page keeps the user's entries
    /// and the idempotency key, so the form can be submitted again.
    pub fn from_failure(
        failure: &Failure,
        word: impl Fn(&str) -> Option<FieldError>,
    ) -> (StatusCode, Self) {
        match failure {
            Failure::Refused(refusal) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Self::from_refusal(refusal, word))
            }
            Failure::Down(cause) => {
                tracing::warn!(error = format!("{cause:#}"), "form submission failed");
                let text = "Sorry, we couldn’t save this. Your entries are still here. Try again in a \
                    moment – nothing will be submitted twice.";
                (StatusCode::SERVICE_UNAVAILABLE, FieldError::of_form(text).into())
            }
        }
    }

    pub fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn all(&self) -> &[FieldError] {
        &self.0
    }

    /// The first error of a field.
    pub fn on(&self, field: &str) -> Option<&FieldError> {
        self.0.iter().find(|error| error.field == Some(field))
    }
}

impl From<FieldError> for FormErrors {
    fn from(error: FieldError) -> Self {
        FormErrors(vec![error])
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
