//! What a user states when they sign up, and the rule of each field.
//!
//! A rule is refused with a text that continues the field's name: *password* — *must be between 8 and 128 characters*.

use std::ops::RangeInclusive;

use super::email_address::EmailAddress;

const PASSWORD_CHARS: RangeInclusive<usize> = 8..=128;
const MAX_NAME_CHARS: usize = 100;
const MAX_PHONE_BYTES: usize = 32;
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
pub fn name(text: &str) -> Result<Option<String>, &'static str> {
    if text.chars().any(char::is_control) {
        return Err("can't contain line breaks or control characters");
    }
    Ok(not_empty(text))
}

pub fn name_length(text: &str) -> Result<(), String> {
    let fits = text.chars().count() <= MAX_NAME_CHARS;
    fits.then_some(()).ok_or_else(|| format!("must be at most {MAX_NAME_CHARS} characters"))
}

/// As people write it: digits with an optional + in front, and the characters that group them.
pub fn phone(text: Option<String>) -> Result<Option<String>, &'static str> {
    let Some(number) = text.as_deref().and_then(not_empty) else { return Ok(None) };
    let rest = number.strip_prefix('+').unwrap_or(&number);
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    let is_allowed = |char: char| char.is_ascii_digit() || " -./()".contains(char);
    let is_number = PHONE_DIGITS.contains(&digits)
        && number.len() <= MAX_PHONE_BYTES
        && rest.chars().all(is_allowed);
    if is_number { Ok(Some(number)) } else { Err("must be a phone number like +420 777 123 456") }
}

/// A form sends an empty text for a field that wasn't filled in.
fn not_empty(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}
