//! One endpoint a file; `app::routes` says which is which.

pub mod currentuser;
pub mod refresh;
pub mod signin;
pub mod signout;
pub mod signup;

use common::Time;
use common::ids::{SessionId, UserId};
use httpkit::Result;
use serde::Serialize;
use tower_cookies::Cookies;

use crate::domain::{Session, User};
use crate::state::App;
use crate::tokens::{RefreshToken, rotation_secret};

/// A user, as they see themselves.
#[derive(Debug, Serialize)]
pub struct UserBody {
    id: UserId,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        UserBody {
            id: user.id,
            email: user.email.as_str().to_owned(),
            name: user.name,
            phone: user.phone,
        }
    }
}

impl App {
    /// Begins a session for someone who has shown who they are, and gives them its cookies.
    async fn begin_session(&self, user: &User, cookies: &Cookies) -> Result<()> {
        let now = self.clock.now();
        let token = RefreshToken::random(SessionId::new(now));
        let session =
            Session::begin(token.session(), user.id, token.hash(), rotation_secret(), now);
        self.store.insert_session(&session).await?;
        self.give_cookies(user, &session, &token, now, cookies)
    }

    fn give_cookies(
        &self,
        user: &User,
        session: &Session,
        refresh: &RefreshToken,
        now: Time,
        cookies: &Cookies,
    ) -> Result<()> {
        let token = self.minter.mint(user.id, session.id, &user.groups, now)?;
        self.cookies.set(cookies, token, refresh, now, session.expires_at);
        Ok(())
    }
}
