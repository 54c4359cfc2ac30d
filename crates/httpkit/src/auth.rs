//! The signed-in user: the claims of a session token, their verification with the public key, and the extractor that
//! passes the user to a handler.
//!
//! Only the auth service can issue a token (EdDSA, RFC 8037); every other service verifies.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use axum::extract::{FromRef, FromRequestParts, MatchedPath, OptionalFromRequestParts};
use common::ids::{SessionId, UserId};
use common::permissions::{self, Action, Owners, Principal};
use common::problem;
use common::scopes::{Scope, Scopes};
use common::{Clock, Time};
use http::request::Parts;
use http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, Validation};
use quick_cache::sync::Cache;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tower_cookies::Cookies;
use url::Url;

use crate::ed25519::PublicKey;
use crate::error::{Error, Result};
use crate::revocations::Revocations;

/// Who issues tokens.
pub const ISSUER: &str = "ticketing/auth";
/// For whom session tokens are issued, which browsers send as a cookie.
pub const AUDIENCE: &str = "ticketing";
/// For whom access tokens are issued, which programs send as `Authorization: Bearer`. Neither is accepted as the other.
pub const API_AUDIENCE: &str = "ticketing/api";
/// The group whose members may do everything.
pub const ADMIN: &str = "admin";

/// What a session token or an access token says (RFC 7519 §4.1); times are seconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: UserId,
    pub sid: SessionId,
    /// The generation of the user's sessions that this one belongs to: ending all of them begins the next one. (The
    /// version before issued tokens without it.)
    #[serde(default)]
    pub generation: i64,
    pub iat: i64,
    pub exp: i64,
    #[serde(default)]
    pub groups: Vec<String>,
    /// Of an access token: what it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scopes>,
    /// Whether the user's address is confirmed. (The version before didn't say so; the next refresh does.)
    #[serde(default)]
    pub verified: bool,
}

/// The signed-in user who sent the request, or whose program did: an extractor that responds 401 to anyone else, and 403 to a
/// program whose scopes don't allow it. As `Option<CurrentUser>` it admits those who are not signed in, but no program with a token
/// that is refused. The token is verified once per request, however many extractors ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentUser {
    pub id: UserId,
    /// The session, or the API token.
    pub session: SessionId,
    pub groups: Vec<String>,
    /// Of a program: what it may do.
    pub scopes: Option<Scopes>,
    /// Whether their address is confirmed.
    pub verified: bool,
}

impl CurrentUser {
    /// Who wants to do something.
    pub fn principal(&self) -> Principal {
        Principal { id: self.id, is_admin: self.is_admin(), scopes: self.scopes }
    }

    /// Responds 403 unless the user's address is confirmed, if that is `required`.
    pub fn require_verified(&self, required: bool) -> Result<()> {
        if self.verified || !required {
            return Ok(());
        }
        let detail = "Confirm your email address first: open the link that was mailed to it, or have another one sent.";
        Err(Error::refused(&problem::EMAIL_NOT_VERIFIED, detail))
    }

    /// Whether the user belongs to the group [`ADMIN`].
    pub fn is_admin(&self) -> bool {
        self.groups.iter().any(|group| group == ADMIN)
    }

    /// Responds 403 unless the rules ([`common::permissions`]) allow the user to do this.
    pub fn require(&self, action: Action, owners: Owners) -> Result<()> {
        if permissions::may(self.principal(), action, owners) {
            return Ok(());
        }
        if let (Some(scopes), Some(scope)) = (self.scopes, action.scope())
            && !scopes.contains(scope)
        {
            return Err(Error::insufficient_scope(Some(scope)));
        }
        let (problem, detail) = action.refusal();
        Err(Error::refused(problem, detail))
    }
}

/// Verifies session tokens with the public keys, several of which may be valid at once (a rotation).
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    keys: Vec<PublicKey>,
    cookie: &'static str,
    clock: Clock,
    /// Tokens whose signature is valid, by their SHA-256: a browser sends the same one with every request.
    signed: Cache<[u8; 32], Signed>,
    revocations: Revocations,
}

/// What a token says that one of our keys has signed.
#[derive(Clone)]
struct Signed {
    user: CurrentUser,
    generation: i64,
    expires: Time,
}

/// How many tokens are remembered.
const REMEMBERED: usize = 4096;

impl Verifier {
    /// Reads a file of one or more Ed25519 public keys in PEM, one after the other.
    pub fn from_file(path: &PathBuf, public_url: &Url, clock: Clock) -> anyhow::Result<Self> {
        let pem = std::fs::read_to_string(path)
            .with_context(|| format!("JWT_PUBLIC_KEYS: can't read {}", path.display()))?;
        Self::new(&pem, public_url, clock)
            .with_context(|| format!("JWT_PUBLIC_KEYS: {}", path.display()))
    }

    pub fn new(pem: &str, public_url: &Url, clock: Clock) -> anyhow::Result<Self> {
        const END: &str = "-----END PUBLIC KEY-----";
        let keys = pem
            .split_inclusive(END)
            .filter(|block| block.contains(END))
            .map(PublicKey::from_pem)
            .collect::<Result<Vec<_>, _>>()
            .context("expected Ed25519 public keys in PEM")?;
        anyhow::ensure!(!keys.is_empty(), "expected at least one Ed25519 public key in PEM");
        let (cookie, signed) = (session_cookie(public_url), Cache::new(REMEMBERED));
        let revocations = Revocations::default();
        Ok(Verifier(Arc::new(Inner { keys, cookie, clock, signed, revocations })))
    }

    /// Which tokens it refuses although they haven't expired: to be kept up to date by the service.
    pub fn revocations(&self) -> &Revocations {
        &self.0.revocations
    }

    /// The user whom a session token names, if one of our keys signed it, it hasn't expired, and it isn't revoked.
    pub fn verify(&self, token: &str) -> Option<CurrentUser> {
        self.verify_until(token).map(|(user, _)| user)
    }

    /// As [`Verifier::verify`], and when the token expires.
    pub fn verify_until(&self, token: &str) -> Option<(CurrentUser, Time)> {
        self.verify_for(AUDIENCE, token).filter(|(user, _)| user.scopes.is_none())
    }

    /// The user for whom a program acts, by its access token.
    pub fn verify_access(&self, token: &str) -> Option<CurrentUser> {
        let verified = self.verify_for(API_AUDIENCE, token).map(|(user, _)| user);
        verified.filter(|user| user.scopes.is_some())
    }

    fn verify_for(&self, audience: &'static str, token: &str) -> Option<(CurrentUser, Time)> {
        let digest = Sha256::new().chain_update(audience).chain_update(token).finalize().into();
        let Signed { user, generation, expires } = match self.0.signed.get(&digest) {
            Some(known) => known,
            None => {
                let signed = self.read(audience, token)?;
                self.0.signed.insert(digest, signed.clone());
                signed
            }
        };
        // Of a known token, too: only its signature doesn't change.
        let is_valid = self.0.clock.now() < expires
            && !self.0.revocations.refuse(user.id, user.session, generation);
        is_valid.then_some((user, expires))
    }

    /// What a token says, and until when, if one of our keys signed it.
    fn read(&self, audience: &str, token: &str) -> Option<Signed> {
        let claims: Claims = self.claims(token, audience)?;
        let expires = Time::from_millis(claims.exp.checked_mul(1000)?);
        let Claims { sub: id, sid: session, groups, verified, generation, scope: scopes, .. } =
            claims;
        let user = CurrentUser { id, session, groups, scopes, verified };
        Some(Signed { user, generation, expires })
    }

    /// What a token for this audience says, if one of our keys signed it. Whether it has expired is the caller's to check, against
    /// the clock that it was given.
    pub fn claims<T: DeserializeOwned>(&self, token: &str, audience: &str) -> Option<T> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        let kid = jsonwebtoken::decode_header(token).ok()?.kid;
        let named = |key: &&PublicKey| kid.as_ref().is_none_or(|kid| *kid == key.kid);
        let mut keys = self.0.keys.iter().filter(named);
        keys.find_map(|key| jsonwebtoken::decode::<T>(token, &key.decoding, &validation).ok())
            .map(|token| token.claims)
    }

    /// The keys that it verifies with, for publishing them.
    pub fn public_keys(&self) -> &[PublicKey] {
        &self.0.keys
    }

    /// Of a request with both, the header counts and the cookie doesn't: it says what the program was given.
    fn current(&self, parts: &mut Parts) -> Result<Option<CurrentUser>> {
        let verified = match parts.extensions.get::<Verified>() {
            Some(verified) => verified.clone(),
            None => {
                let verified = match bearer(&parts.headers) {
                    Some(token) => match self.verify_access(token) {
                        Some(user) => Verified::User(user),
                        None => Verified::Refused(token.starts_with(API_TOKEN_PREFIX)),
                    },
                    None => {
                        let cookies = parts.extensions.get::<Cookies>();
                        let cookie = cookies.and_then(|all| all.get(self.0.cookie));
                        let user = cookie.and_then(|cookie| self.verify(cookie.value()));
                        user.map_or(Verified::Nobody, Verified::User)
                    }
                };
                parts.extensions.insert(verified.clone());
                verified
            }
        };
        match verified {
            Verified::Nobody => Ok(None),
            Verified::Refused(is_api_token) => Err(Error::invalid_access_token(is_api_token)),
            Verified::User(user) => {
                if let Some(scopes) = user.scopes {
                    let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
                    let route = route.unwrap_or_else(|| parts.uri.path());
                    let needed = Scope::of_request(parts.method.is_safe(), route);
                    if !needed.is_some_and(|scope| scopes.contains(scope)) {
                        return Err(Error::insufficient_scope(needed));
                    }
                }
                Ok(Some(user))
            }
        }
    }
}

/// On a request: the outcome of the verification.
#[derive(Clone)]
enum Verified {
    Nobody,
    User(CurrentUser),
    /// A program's token isn't accepted; whether it looks like an API token, which has to be exchanged first.
    Refused(bool),
}

/// What API tokens begin with, so that people and programs that look for leaked secrets recognise them.
pub const API_TOKEN_PREFIX: &str = "tkt_";

/// The token of `Authorization: Bearer` (RFC 6750). With it, no cookie counts, so no other site's page can have sent the request:
/// browsers add the header to none.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// `__Host-` binds a cookie to our very host, but browsers accept it over https only (RFC 6265bis).
pub fn session_cookie(public_url: &Url) -> &'static str {
    if is_https(public_url) { "__Host-session" } else { "session" }
}

/// As [`session_cookie`], for the refresh token.
pub fn refresh_cookie(public_url: &Url) -> &'static str {
    if is_https(public_url) { "__Host-refresh" } else { "refresh" }
}

pub fn is_https(public_url: &Url) -> bool {
    public_url.scheme() == "https"
}

impl<S> FromRequestParts<S> for CurrentUser
where
    S: Send + Sync,
    Verifier: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        Verifier::from_ref(state).current(parts)?.ok_or_else(Error::not_signed_in)
    }
}

impl<S> OptionalFromRequestParts<S> for CurrentUser
where
    S: Send + Sync,
    Verifier: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>> {
        Verifier::from_ref(state).current(parts)
    }
}
