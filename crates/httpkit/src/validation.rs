//! Validating a body: every broken rule is reported, not only the first.

use std::fmt;

use common::problem::Violation;

use crate::error::Error;

/// Checks the fields of a body one after the other, and collects the violations.
///
/// ```
/// use httpkit::validation::Rules;
///
/// fn quantity(text: &str) -> Result<u32, &'static str> {
///     text.parse().map_err(|_| "must be a whole number")
/// }
///
/// let mut rules = Rules::default();
/// let first = rules.check("first", quantity("7"));
/// let second = rules.check("second", quantity("x"));
/// assert!(first.is_some() && second.is_none());
/// assert!(rules.into_error().to_string().starts_with("The request is invalid"));
/// ```
#[derive(Debug, Default)]
pub struct Rules(Vec<Violation>);

impl Rules {
    /// The parsed value of a field; none if it breaks a rule, whose text continues the field's name.
    pub fn check<T>(&mut self, field: &str, parsed: Result<T, impl fmt::Display>) -> Option<T> {
        parsed.map_err(|rule| self.0.push(Violation::of(field, rule.to_string()))).ok()
    }

    /// 400, with every violation.
    pub fn into_error(self) -> Error {
        Error::Invalid(self.0)
    }
}
