//! What a user states when they sign up, and the rule of each field.
//!
//! A rule is refused with a text that continues the field's name: *password* — *must be between 8 and 128 characters*.

use std::ops::RangeInclusive;

use common::text::{self, TextError};

use super::email_address::EmailAddress;

pub const PASSWORD_CHARS: RangeInclusive<usize> = 8..=128;
pub const MAX_NAME_CHARS: usize = 100;
pub const MAX_PHONE_CHARS: usize = 32;
/// A number has at most 15 digits (ITU-T E.164).
const PHONE_DIGITS: RangeInclusive<usize> = 3..=15;

/// What a user states about themselves; every field satisfies its rule.
#[derive(Clone, Debug)]
pub struct Profile {
    pub email: EmailAddress,
    pub name: Option<String>,
    pub phone: Option<String>,
}

pub fn password(text: String) -> Result<String, String> {
    if PASSWORD_CHARS.contains(&text.chars().count()) {
        Ok(text)
    } else {
        let (min, max) = (PASSWORD_CHARS.start(), PASSWORD_CHARS.end());
        Err(format!("must be between {min} and {max} characters"))
    }
}

/// A name is written into the headers of mails, where a line break would begin another header.
pub fn name(text: &str) -> Result<Option<String>, TextError> {
    if text.contains(char::is_control) {
        return Err(TextError::Control);
    }
    text::one_line(text, usize::MAX)
}

pub fn name_length(text: &str) -> Result<(), String> {
    let fits = text.chars().count() <= MAX_NAME_CHARS;
    fits.then_some(()).ok_or_else(|| format!("must be at most {MAX_NAME_CHARS} characters"))
}

/// As people write it: digits with an optional + in front, and the characters that group them.
pub fn phone(text: Option<String>) -> Result<Option<String>, &'static str> {
    const RULE: &str = "must be a phone number like +420 777 123 456";
    let number = text::one_line(&text.unwrap_or_default(), MAX_PHONE_CHARS).map_err(|_| RULE)?;
    let Some(number) = number else { return Ok(None) };
    let rest = number.strip_prefix('+').unwrap_or(&number);
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    let is_allowed = |char: char| char.is_ascii_digit() || " -./()".contains(char);
    let is_number = PHONE_DIGITS.contains(&digits) && rest.chars().all(is_allowed);
    if is_number { Ok(Some(number)) } else { Err(RULE) }
}
