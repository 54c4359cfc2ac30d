//! The mails about an account: what they say, and where their links lead.

use std::time::Duration;

use anyhow::Context as _;
use common::Time;
use common::events::{AccountLink, LinkPurpose};

use super::attachments::Attachments;
use super::{Content, Letterhead, templates};
use crate::domain::{Kind, Mail, UserReplica};

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

impl Letterhead {
    /// None for mails about something else.
    pub(super) fn about_account(
        &self,
        mail: &Mail,
        to: &UserReplica,
        now: Time,
    ) -> anyhow::Result<Option<Content>> {
        let account = self.account(mail, to, now)?;
        let (subject, (text, html)) = match mail.kind {
            Kind::Welcome => ("Welcome to Ticketing", templates::welcome(&account)?),
            Kind::Verification => {
                ("Confirm your email address", templates::verification(&account)?)
            }
            Kind::Recovery => ("Choose a new password", templates::recovery(&account)?),
            Kind::EmailChange => {
                ("Confirm your new email address", templates::email_change(&account)?)
            }
            Kind::EmailChangeNotice => {
                ("Your email address is about to change", templates::email_change_notice(&account)?)
            }
            Kind::PasswordChanged => {
                ("Your password was changed", templates::password_changed(&account)?)
            }
            Kind::Paid
            | Kind::Expired
            | Kind::Refunded
            | Kind::Released
            | Kind::TicketSent
            | Kind::PaymentFailed
            | Kind::Sold
            | Kind::ProblemReported
            | Kind::SaleRefunded
            | Kind::SaleDisputed
            | Kind::SaleFailed
            | Kind::Unknown => return Ok(None),
        };
        let (subject, attachments) = (subject.to_owned(), Attachments::default());
        Ok(Some(Content { subject, text, html, attachments }))
    }

    fn account(&self, mail: &Mail, to: &UserReplica, now: Time) -> anyhow::Result<Account> {
        // The welcome has whichever link is outstanding by now.
        let link = if mail.kind == Kind::Welcome {
            to.link(LinkPurpose::Verification, now)
        } else {
            mail.link.as_ref()
        };
        let confirms = link.is_some_and(|link| link.purpose == LinkPurpose::Verification);
        let disown = to.link(LinkPurpose::Disown, now).filter(|_| confirms);
        Ok(Account {
            home: self.link(&[]),
            name: to.confirmed_name().map(str::to_owned),
            link: link.map(|link| self.opening(to, link)).transpose()?,
            disown: disown.map(|link| self.page(to, link)).transpose()?,
            new_email: link.map(|link| link.email.clone()).unwrap_or_default(),
            recover: self.link(&["recover"]),
            password: self.link(&["account", "password"]),
        })
    }

    fn opening(&self, to: &UserReplica, link: &AccountLink) -> anyhow::Result<Opening> {
        let life = link.ends_at.map_or(Duration::ZERO, |end| link.issued_at.until(end));
        Ok(Opening { address: self.page(to, link)?, life: in_words(life) })
    }

    /// The page that opens a link. Opening the page alone changes nothing: programs that scan mails do that.
    fn page(&self, to: &UserReplica, link: &AccountLink) -> anyhow::Result<String> {
        let path: &[&str] = match link.purpose {
            LinkPurpose::Verification | LinkPurpose::EmailChange => &["verify"],
            LinkPurpose::Recovery => &["recover", "new"],
            LinkPurpose::Disown => &["disown"],
            LinkPurpose::Unknown => anyhow::bail!("a later version opens links of this purpose"),
        };
        let code = self.link_keys.code(link.purpose, to.id, &link.nonce);
        let code = code.context("the code of a link")?;
        Ok(format!("{}?code={code}", self.link(path)))
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
