//! What mails about an account show.

use std::time::Duration;

/// What the templates show.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub home: String,
    /// As the user wants to be addressed, if the address is known to be theirs.
    pub name: Option<String>,
    /// The page of the link that the mail is about, and for how long it can be opened.
    pub link: Option<Opening>,
    /// The page on which the owner of an address says that they haven't signed up.
    pub disown: Option<String>,
    /// The address that the user wants to have.
    pub new_email: String,
    /// Where a forgotten password is replaced, and where a known one is.
    pub recover: String,
    pub password: String,
}

#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub address: String,
    /// In words: `3 days`.
    pub life: String,
}

impl Opening {
    pub fn new(address: String, life: Duration) -> Opening {
        Opening { address, life: in_words(life) }
    }
}

fn in_words(life: Duration) -> String {
    const HOUR: u64 = 60 * 60;
    let hours = life.as_secs() / HOUR;
    let (number, unit) = if hours > 24 { (hours / 24, "day") } else { (hours, "hour") };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_link_in_words() {
        let hours = |hours: u64| in_words(Duration::from_secs(hours * 60 * 60));
        assert_eq!(
            (hours(1), hours(24), hours(72)),
            ("1 hour".into(), "24 hours".into(), "3 days".into())
        );
    }
}
