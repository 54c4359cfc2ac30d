//! The links that users are mailed: which of them are outstanding, and what opening one does. Nobody knows what opens a link but
//! who has the key ([`account_links`]): here it has a nonce.
//!
//! A link is used once, for the write that has its effect takes it away. A newer one of the same purpose replaces the older.

use std::time::Duration;

use common::Time;
use common::events::{AccountLink, LinkPurpose, UserStatus};
use store::Change;

use super::{EmailAddress, User};

/// How long the link that confirms an address can be opened.
pub const VERIFICATION_LIFE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How long the link to another password can be opened.
pub const RECOVERY_LIFE: Duration = Duration::from_secs(60 * 60);
/// How long the link to another address can be opened.
pub const EMAIL_CHANGE_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// The least time between two links of one purpose.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// Why no link is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRefusal {
    /// The address is confirmed already.
    AlreadyVerified,
    /// The next one is possible after this time.
    TooSoon(Duration),
}

impl User {
    /// The outstanding link of a purpose, unless it has ended.
    pub fn link(&self, purpose: LinkPurpose, now: Time) -> Option<&AccountLink> {
        let link = self.links.iter().find(|link| link.purpose == purpose)?;
        link.ends_at.is_none_or(|end| now < end).then_some(link)
    }

    /// Those that a new account is welcomed with. `nonces` are random, as everywhere here.
    pub(super) fn links_at_sign_up(
        email: &EmailAddress,
        nonces: [String; 2],
        now: Time,
    ) -> Vec<AccountLink> {
        let [verification, disown] = nonces;
        let link = |purpose, nonce, life: Option<Duration>| AccountLink {
            at_sign_up: true,
            ..new_link(purpose, nonce, email.as_str(), life, now)
        };
        vec![
            link(LinkPurpose::Verification, verification, Some(VERIFICATION_LIFE)),
            link(LinkPurpose::Disown, disown, None),
        ]
    }

    /// Another link that confirms the address. The one of an account from before there were links comes with one to disown it.
    pub fn request_verification(
        &self,
        nonces: [String; 2],
        now: Time,
    ) -> Result<Change<User>, LinkRefusal> {
        if self.email_verified {
            return Err(LinkRefusal::AlreadyVerified);
        }
        self.allowed_at(LinkPurpose::Verification, now)?;
        let [verification, disown] = nonces;
        let email = self.email.as_str();
        let life = Some(VERIFICATION_LIFE);
        let link = new_link(LinkPurpose::Verification, verification, email, life, now);
        let mut user = self.clone().with_link(link);
        if user.link(LinkPurpose::Disown, now).is_none() {
            user = user.with_link(new_link(LinkPurpose::Disown, disown, email, None, now));
        }
        Ok(self.changed(user))
    }

    /// A link to another password; none if the last one is too recent, or the user can't sign in anyway.
    pub fn request_recovery(&self, nonce: String, now: Time) -> Option<Change<User>> {
        if self.status != UserStatus::Active || self.allowed_at(LinkPurpose::Recovery, now).is_err()
        {
            return None;
        }
        let (purpose, life) = (LinkPurpose::Recovery, Some(RECOVERY_LIFE));
        let link = new_link(purpose, nonce, self.email.as_str(), life, now);
        Some(self.changed(self.clone().with_link(link)))
    }

    /// With a link to another address, which is mailed there. One that was issued a moment ago is on its way.
    pub(super) fn with_email_change(
        self,
        email: &EmailAddress,
        nonce: String,
        now: Time,
    ) -> Result<User, LinkRefusal> {
        if let Err(refusal) = self.allowed_at(LinkPurpose::EmailChange, now) {
            let known = self.link(LinkPurpose::EmailChange, now);
            let is_same = known.is_some_and(|link| link.email == email.as_str());
            return if is_same { Ok(self) } else { Err(refusal) };
        }
        let (purpose, life) = (LinkPurpose::EmailChange, Some(EMAIL_CHANGE_LIFE));
        Ok(self.with_link(new_link(purpose, nonce, email.as_str(), life, now)))
    }

    /// The link that confirms the address was opened. What remains is one to another password.
    pub fn verify_email(&self) -> Change<User> {
        let user = User { email_verified: true, ..self.clone() };
        self.changed(user.without_links(&[LinkPurpose::Verification, LinkPurpose::Disown]))
    }

    /// The link that was mailed to another address was opened: it is the user's. All other links were mailed to the one before.
    pub fn change_email(&self, email: EmailAddress) -> Change<User> {
        self.changed(User { email, email_verified: true, links: Vec::new(), ..self.clone() })
    }

    /// The link to another password was opened, so the address is the user's own. All sessions end, and nothing that was
    /// requested under the old password comes about.
    pub fn recover(&self, password_hash: String, now: Time) -> Change<User> {
        self.changed(User {
            email_verified: true,
            links: Vec::new(),
            ..self.clone().with_password(password_hash, now)
        })
    }

    /// The owner of the address hasn't signed up: the account is closed. All sessions end, other services do as with a ban, and
    /// the address is free for its owner to sign up with.
    pub fn disown(&self, now: Time) -> Change<User> {
        self.changed(User {
            email: EmailAddress::of_closed(&self.id.to_string()),
            email_verified: false,
            name: None,
            phone: None,
            status: UserStatus::Closed,
            ban: None,
            closed_at: Some(now),
            links: Vec::new(),
            session_generation: self.session_generation + 1,
            ..self.clone()
        })
    }

    /// Takes away what leads into the account. (What confirms or disowns an address may be opened twice.)
    pub fn end_links_to_the_account(&mut self) {
        let leads_in = [LinkPurpose::Recovery, LinkPurpose::EmailChange];
        self.links.retain(|link| !leads_in.contains(&link.purpose));
    }

    fn allowed_at(&self, purpose: LinkPurpose, now: Time) -> Result<(), LinkRefusal> {
        let last = self.links.iter().find(|link| link.purpose == purpose);
        let allowed = last.map(|link| link.issued_at + INTERVAL).filter(|time| now < *time);
        allowed.map_or(Ok(()), |time| Err(LinkRefusal::TooSoon(now.until(time))))
    }

    fn with_link(self, link: AccountLink) -> User {
        let mut user = self.without_links(&[link.purpose]);
        user.links.push(link);
        user
    }

    /// As it is shown: what has ended isn't pending any more.
    pub fn without_ended_links(mut self, now: Time) -> User {
        self.links.retain(|link| link.ends_at.is_none_or(|end| now < end));
        self
    }

    pub(super) fn without_links(mut self, purposes: &[LinkPurpose]) -> User {
        self.links.retain(|link| !purposes.contains(&link.purpose));
        self
    }
}

fn new_link(
    purpose: LinkPurpose,
    nonce: String,
    email: &str,
    life: Option<Duration>,
    now: Time,
) -> AccountLink {
    let (email, ends_at) = (email.to_owned(), life.map(|life| now + life));
    AccountLink { purpose, nonce, email, issued_at: now, ends_at, at_sign_up: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Profile;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn nonces() -> [String; 2] {
        ["v".to_owned(), "d".to_owned()]
    }

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn email(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    fn user() -> User {
        let profile = Profile { email: email("kim@example.org"), name: None, phone: None };
        User::sign_up(profile, "hash".to_owned(), nonces(), at(0)).thing
    }

    #[test]
    fn a_link_ends_by_use_by_time_and_by_a_newer_one() {
        let user = user();
        let nonce = |user: &User, now| {
            user.link(LinkPurpose::Verification, now).map(|link| link.nonce.clone())
        };
        assert_eq!(nonce(&user, at(0)).as_deref(), Some("v"));
        assert_eq!(nonce(&user, at(0) + VERIFICATION_LIFE), None);
        let newer = ["v2".to_owned(), "d2".to_owned()];
        let refused = user.request_verification(newer.clone(), at(59)).err();
        assert_eq!(refused, Some(LinkRefusal::TooSoon(Duration::from_secs(1))));
        let again = user.request_verification(newer, at(60)).unwrap().thing;
        assert_eq!(nonce(&again, at(60)).as_deref(), Some("v2"));
        // The one to disown it remains the one of the welcome.
        let disown = again.link(LinkPurpose::Disown, at(0) + 400 * DAY).unwrap();
        assert_eq!(disown.nonce, "d");
        let verified = again.verify_email().thing;
        assert!(verified.email_verified && verified.links.is_empty());
        let refused = verified.request_verification(nonces(), at(900)).err();
        assert_eq!(refused, Some(LinkRefusal::AlreadyVerified));
    }

    #[test]
    fn another_password_ends_what_was_requested_under_the_old_one() {
        let user = user().request_recovery("r".to_owned(), at(0)).unwrap().thing;
        assert!(user.request_recovery("r2".to_owned(), at(59)).is_none());
        let user = user.with_email_change(&email("eve@example.org"), "e".to_owned(), at(1));
        let user = user.unwrap();
        assert_eq!(user.links.len(), 4);
        let recovered = user.recover("new".to_owned(), at(2)).thing;
        assert!(recovered.links.is_empty() && recovered.email_verified);
        assert_eq!(
            (recovered.session_generation, recovered.password_change.unwrap().at),
            (1, at(2))
        );
        let moved = user.change_email(email("eve@example.org")).thing;
        assert!(moved.links.is_empty() && moved.email_verified);
    }

    #[test]
    fn a_disowned_account_is_closed_and_leaves_its_address() {
        let closed = user().disown(at(9));
        let event = &closed.events[0];
        let closed = &closed.thing;
        assert_eq!((closed.status, closed.session_generation), (UserStatus::Closed, 1));
        assert!(EmailAddress::parse(closed.email.as_str()).is_err() && closed.links.is_empty());
        assert!(event.data().contains(r#""status":"closed""#), "{}", event.data());
        assert!(event.data().contains(r#""refund":false"#), "{}", event.data());
        assert!(closed.request_recovery("r".to_owned(), at(99)).is_none());
    }
}
