//! Email addresses.

use std::fmt;

use serde::{Deserialize, Serialize};
use validator::ValidateEmail;

/// An address that mail can be sent to, in the one spelling that is compared and stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// A text that isn't an email address. Its message continues the field's name.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnEmailAddress;

impl EmailAddress {
    /// The longest that a mail server must accept (RFC 5321 §4.5.3.1.3, without its brackets).
    const MAX_BYTES: usize = 254;

    /// The address without surrounding white space; the local part in lower case, the domain as UTS 46 maps it, in
    /// Unicode: `KIM@XN--BCHER-KVA.example` and `kim@BÜCHER.example` are one address.
    pub fn parse(text: &str) -> Result<Self, NotAnEmailAddress> {
        let typed = text.trim();
        let (local, domain) = typed.rsplit_once('@').ok_or(NotAnEmailAddress)?;
        let ascii = idna::domain_to_ascii(domain).map_err(|_| NotAnEmailAddress)?;
        let (domain, valid) = idna::domain_to_unicode(&ascii);
        valid.map_err(|_| NotAnEmailAddress)?;
        let local = local.to_lowercase();
        let address = format!("{local}@{domain}");
        // `validator` accepts anything before a literal such as [127.0.0.1], a line break included, which would inject
        // a header into the mails that are sent there.
        let is_plain =
            !typed.contains(|char: char| char.is_whitespace() || char.is_control() || char == '[');
        let fits = address.len().max(local.len() + 1 + ascii.len()) <= Self::MAX_BYTES;
        let is_valid = fits && is_plain && address.validate_email();
        if is_valid { Ok(EmailAddress(address)) } else { Err(NotAnEmailAddress) }
    }

    /// What a closed account has in place of its address: for each account its own, and nothing that anybody can sign up with.
    pub fn of_closed(id: &str) -> Self {
        EmailAddress(format!("closed:{id}"))
    }

    /// Under which texts an account of this address may be stored, which was typed as `text`: the version before compared
    /// and stored domains as they were typed, in lower case. The most exact one is the first.
    pub fn stored_spellings(&self, text: &str) -> Vec<String> {
        let mut spellings = vec![text.trim().to_lowercase()];
        let ascii = self.0.rsplit_once('@').and_then(|(local, domain)| {
            Some(format!("{local}@{}", idna::domain_to_ascii(domain).ok()?))
        });
        for spelling in ascii.into_iter().chain([self.0.clone()]) {
            if !spellings.contains(&spelling) {
                spellings.push(spelling);
            }
        }
        spellings
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NotAnEmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an email address like name@example.com")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_address_has_one_spelling() {
        for (text, expected) in [
            ("kim@example.org", "kim@example.org"),
            ("  Kim.O'Hara+tickets@Example.ORG\n", "kim.o'hara+tickets@example.org"),
            ("kim@bücher.example", "kim@bücher.example"),
            ("kim@BÜCHER.example", "kim@bücher.example"),
            ("kim@bu\u{308}cher.example", "kim@bücher.example"),
            ("KIM@XN--BCHER-KVA.example", "kim@bücher.example"),
            ("kim@ｅｘａｍｐｌｅ．org", "kim@example.org"),
            ("kim@example。org", "kim@example.org"),
        ] {
            assert_eq!(EmailAddress::parse(text).as_ref().map(EmailAddress::as_str), Ok(expected));
        }
    }

    #[test]
    fn what_is_not_an_email_address_is_refused() {
        let too_long = format!("kim@{}.org", "a.".repeat(130));
        for text in [
            "",
            " ",
            "kim",
            "@example.org",
            "kim@",
            "kim@@example.org",
            "kim@example..org",
            "k im@example.org",
            "kim@example.org,eve@example.org",
            "kim@x\r\nBcc: eve [127.0.0.1]",
            "kim@[127.0.0.1]",
            "kim\0@example.org",
            "<kim@example.org>",
            too_long.as_str(),
        ] {
            assert_eq!(EmailAddress::parse(text), Err(NotAnEmailAddress), "{text:?}");
        }
    }
}
