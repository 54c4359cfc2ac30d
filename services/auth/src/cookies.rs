//! The two cookies of a signed-in user. Scripts can't read them (HttpOnly), and forms of other sites don't send them
//! (SameSite).

use std::time::Duration;

use common::Time;
use httpkit::auth::{is_https, refresh_cookie, session_cookie};
use httpkit::revocations::TOKEN_LIFE;
use tower_cookies::cookie::{SameSite, time};
use tower_cookies::{Cookie, Cookies};
use url::Url;

use crate::tokens::RefreshToken;

/// The names of the cookies, and whether they are restricted to https.
#[derive(Clone, Copy)]
pub struct SessionCookies {
    session: &'static str,
    refresh: &'static str,
    secure: bool,
}

impl SessionCookies {
    pub fn of(public_url: &Url) -> Self {
        SessionCookies {
            session: session_cookie(public_url),
            refresh: refresh_cookie(public_url),
            secure: is_https(public_url),
        }
    }

    pub fn set(
        self,
        cookies: &Cookies,
        session: String,
        refresh: &RefreshToken,
        now: Time,
        expires_at: Time,
    ) {
        cookies.add(self.cookie(self.session, session, TOKEN_LIFE));
        cookies.add(self.cookie(self.refresh, refresh.text(), now.until(expires_at)));
    }

    pub fn clear(self, cookies: &Cookies) {
        for name in [self.session, self.refresh] {
            cookies.add(self.cookie(name, String::new(), Duration::ZERO));
        }
    }

    /// The refresh token of the request, if it is well-formed.
    pub fn refresh_token(self, cookies: &Cookies) -> Option<RefreshToken> {
        RefreshToken::parse(cookies.get(self.refresh)?.value())
    }

    fn cookie(self, name: &'static str, value: String, life: Duration) -> Cookie<'static> {
        lasting_cookie(name, value, life, self.secure)
    }
}

/// A cookie that lasts so long.
pub fn lasting_cookie(
    name: &'static str,
    value: String,
    life: Duration,
    secure: bool,
) -> Cookie<'static> {
    let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
    Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(secure)
        .max_age(time::Duration::seconds(seconds))
        .build()
}
