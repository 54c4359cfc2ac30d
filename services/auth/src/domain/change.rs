//! What users change of their own account.

use common::Time;
use common::events::{LinkPurpose, PasswordChange};
use store::Change;

use super::{EmailAddress, LinkRefusal, User};

/// A change that a user has asked for; each field satisfies its rule. None: unchanged.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// The name; the inner none takes it away.
    pub name: Option<Option<String>>,
    pub phone: Option<Option<String>>,
    /// Takes effect once the link is opened that is mailed there.
    pub email: Option<EmailAddress>,
    pub password_hash: Option<String>,
}

impl User {
    /// What becomes of the account; none if nothing changes. `nonce` is that of the link to another address.
    pub fn change(
        &self,
        change: ProfileChange,
        nonce: String,
        now: Time,
    ) -> Result<Option<Change<User>>, LinkRefusal> {
        let ProfileChange { name, phone, email, password_hash } = change;
        let mut user = User {
            name: name.unwrap_or_else(|| self.name.clone()),
            phone: phone.unwrap_or_else(|| self.phone.clone()),
            ..self.clone()
        };
        if let Some(hash) = password_hash {
            user = user.with_password(hash, now);
        }
        if let Some(email) = email {
            user = if email == self.email {
                // Back to the address that it is.
                user.without_links(&[LinkPurpose::EmailChange])
            } else {
                user.with_email_change(&email, nonce, now)?
            };
        }
        Ok((user != *self).then(|| self.changed(user)))
    }

    /// With another password. All sessions end, and no link goes on that the old one may have issued, or that leads around the
    /// new one.
    pub(super) fn with_password(self, password_hash: String, now: Time) -> User {
        let session_generation = self.session_generation + 1;
        let user = self.without_links(&[LinkPurpose::Recovery, LinkPurpose::EmailChange]);
        let password_change =
            Some(PasswordChange { at: now, email: user.email.as_str().to_owned() });
        User { password_hash, password_change, session_generation, ..user }
    }
}
