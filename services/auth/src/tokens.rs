//! The two tokens of a session: the signed session token, which every service verifies for a quarter of an hour, and the
//! refresh token, which only this service can verify, by its hash.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::Time;
use common::ids::{SessionId, UserId};
use hmac::{Hmac, Mac};
use httpkit::auth::{API_AUDIENCE, API_TOKEN_PREFIX, AUDIENCE, Claims, ISSUER, Verifier};
use httpkit::ed25519::PrivateKey;
use httpkit::revocations::TOKEN_LIFE;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::domain::{ApiToken, Session, TokenHash, User};

/// How many rotations ago a token may have been current to be recognised: ten days of continuous use.
const MAX_ROTATIONS: usize = 1_000;

/// Signs session tokens with the private key.
#[derive(Clone)]
pub struct TokenIssuer(Arc<PrivateKey>);

impl TokenIssuer {
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        let pem = std::fs::read_to_string(path)
            .with_context(|| format!("JWT_PRIVATE_KEY: can't read {}", path.display()))?;
        let key = PrivateKey::from_pem(&pem).with_context(|| {
            format!("JWT_PRIVATE_KEY: {}: expected an Ed25519 key (PKCS#8, PEM)", path.display())
        })?;
        Ok(TokenIssuer(Arc::new(key)))
    }

    pub fn issue(&self, user: &User, session: &Session, now: Time) -> anyhow::Result<String> {
        self.sign(&Claims {
            generation: session.generation,
            groups: user.groups.clone(),
            verified: user.email_verified,
            ..claims(user.id, session.id, now)
        })
    }

    /// An access token, for a program. It names no group: no program is an administrator.
    pub fn issue_access(
        &self,
        token: &ApiToken,
        user: &User,
        now: Time,
    ) -> anyhow::Result<(String, Time)> {
        let expires = (now + TOKEN_LIFE).min(token.expires_at);
        let signed = self.sign(&Claims {
            aud: API_AUDIENCE.to_owned(),
            generation: token.generation,
            exp: expires.millis() / 1000,
            scope: Some(token.scopes),
            verified: user.email_verified,
            ..claims(token.user_id, token.id, now)
        })?;
        Ok((signed, expires))
    }

    /// Signs whatever a token says.
    pub fn sign(&self, claims: &impl Serialize) -> anyhow::Result<String> {
        jsonwebtoken::encode(&self.0.header(), claims, &self.0.encoding).context("signing a token")
    }

    /// Whether `verifier` accepts the tokens that this issues.
    pub fn is_trusted_by(&self, verifier: &Verifier, now: Time) -> bool {
        self.sign(&claims(UserId::new(now), SessionId::new(now), now))
            .is_ok_and(|token| verifier.verify(&token).is_some())
    }
}

/// What a token says at least.
fn claims(user: UserId, session: SessionId, now: Time) -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: user,
        sid: session,
        generation: 0,
        iat: now.millis() / 1000,
        exp: (now + TOKEN_LIFE).millis() / 1000,
        groups: Vec::new(),
        verified: false,
        scope: None,
    }
}

/// A refresh token: `<session id>.<32 bytes, base64url>`.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    session: SessionId,
    secret: [u8; 32],
}

impl RefreshToken {
    /// The first one of a session.
    pub fn random(session: SessionId) -> Self {
        RefreshToken { session, secret: rand::random() }
    }

    /// Accepts only the canonical form that [`RefreshToken::text`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (session, secret) = text.split_once('.')?;
        let secret = BASE64_URL_SAFE_NO_PAD.decode(secret).ok()?;
        Some(RefreshToken { session: session.parse().ok()?, secret: secret.try_into().ok()? })
    }

    /// The session that it claims to belong to.
    pub fn session(&self) -> SessionId {
        self.session
    }

    pub fn text(&self) -> String {
        format!("{}.{}", self.session, BASE64_URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// What is stored. A plain hash suffices for 256 random bits.
    pub fn hash(&self) -> TokenHash {
        let digest = Sha256::digest(self.text());
        TokenHash::new(BASE64_URL_SAFE_NO_PAD.encode(digest))
    }

    /// Whether a session has, or had, this token: the chain of its successors leads to the current one. Only the holder
    /// of a token of the session can present one.
    pub fn belongs_to(&self, session: &Session) -> anyhow::Result<bool> {
        let mut token = self.clone();
        for _ in 0..MAX_ROTATIONS {
            if token.hash() == session.current {
                return Ok(true);
            }
            token = token.successor(&session.rotation_secret)?;
        }
        Ok(false)
    }

    /// The token that follows this one: always the same, so that two tabs that refresh concurrently get the same one.
    pub fn successor(&self, rotation_secret: &str) -> anyhow::Result<Self> {
        let mut mac = Hmac::<Sha256>::new_from_slice(rotation_secret.as_bytes())?;
        mac.update(self.text().as_bytes());
        Ok(RefreshToken { session: self.session, secret: mac.finalize().into_bytes().into() })
    }
}

/// A new API token: `tkt_` and 32 random bytes, base64url.
pub fn random_api_token() -> String {
    format!("{API_TOKEN_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

/// What is stored of it. A plain hash suffices for 256 random bits.
pub fn api_token_hash(token: &str) -> TokenHash {
    TokenHash::new(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token)))
}

/// A new session's key for [`RefreshToken::successor`].
pub fn rotation_secret() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionId {
        SessionId::new(Time::from_millis(1_700_000_000_000))
    }

    #[test]
    fn a_refresh_token_is_parsed_from_its_own_text() {
        let token = RefreshToken::random(session());
        assert!(RefreshToken::parse(&token.text()) == Some(token.clone()));
        assert!(!token.text().contains(token.hash().as_str()));
    }

    #[test]
    fn what_is_not_a_refresh_token_is_refused() {
        let valid = RefreshToken::random(session()).text();
        let (id, secret) = valid.split_once('.').unwrap();
        for text in [
            String::new(),
            id.to_owned(),
            format!("{id}."),
            format!("{id}.{}", &secret[1..]),
            format!("{id}.{secret}="),
            format!("{id}.{secret}AAAA"),
            format!("{}.{secret}", id.to_uppercase()),
            format!(".{secret}"),
            format!("{valid}.{valid}"),
        ] {
            assert!(RefreshToken::parse(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_token_has_one_successor_which_depends_on_both_the_token_and_the_secret() {
        let token = RefreshToken::random(session());
        let successor = token.successor("secret").unwrap();
        assert!(successor == token.successor("secret").unwrap());
        assert!(successor != token);
        assert!(successor != token.successor("another").unwrap());
        assert!(successor != RefreshToken::random(session()).successor("secret").unwrap());
    }
}
