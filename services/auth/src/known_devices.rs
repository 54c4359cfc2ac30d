//! Devices from which somebody has signed in to an account: they have a cookie that says so, signed like a session token, for
//! another audience. It opens nothing. It is what tells the owner of an account from those who guess its password.

use std::time::Duration;

use common::Time;
use common::ids::UserId;
use httpkit::auth::{ISSUER, Verifier, is_https};
use serde::{Deserialize, Serialize};
use tower_cookies::Cookies;
use url::Url;
use uuid::Uuid;

use crate::cookies::lasting_cookie;
use crate::tokens::TokenIssuer;

/// For whom the cookie is: no service accepts it as a session.
const AUDIENCE: &str = "ticketing/known-device";
/// How long a device is known after its last sign-in.
const LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Recognises devices, and makes them known.
#[derive(Clone)]
pub struct KnownDevices {
    issuer: TokenIssuer,
    verifier: Verifier,
    cookie: &'static str,
    secure: bool,
}

/// Which device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceId(pub Uuid);

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    jti: DeviceId,
    exp: i64,
}

impl KnownDevices {
    pub fn new(issuer: &TokenIssuer, verifier: &Verifier, public_url: &Url) -> Self {
        let secure = is_https(public_url);
        let cookie = if secure { "__Host-device" } else { "device" };
        KnownDevices { issuer: issuer.clone(), verifier: verifier.clone(), cookie, secure }
    }

    /// The device that sends the request, if somebody has signed in to this account from it.
    pub fn recognise(&self, cookies: &Cookies, user: UserId, now: Time) -> Option<DeviceId> {
        let cookie = cookies.get(self.cookie)?;
        let claims: Claims = self.verifier.claims(cookie.value(), AUDIENCE)?;
        let expires = Time::from_millis(claims.exp.checked_mul(1000)?);
        (claims.sub == user && now < expires).then_some(claims.jti)
    }

    /// Makes the device known to this account, once somebody has signed in to it.
    pub fn remember(&self, cookies: &Cookies, user: UserId, now: Time) -> anyhow::Result<()> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            jti: self.recognise(cookies, user, now).unwrap_or_else(|| DeviceId(Uuid::now_v7())),
            exp: (now + LIFE).millis() / 1000,
        };
        let token = self.issuer.sign(&claims)?;
        cookies.add(lasting_cookie(self.cookie, token, LIFE, self.secure));
        Ok(())
    }
}
