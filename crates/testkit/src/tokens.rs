//! Users with session tokens as auth issues them, and forged ones.

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::Clock;
use common::ids::{SessionId, UserId};
use common::scopes::Scope;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use hmac::{Hmac, Mac};
use httpkit::auth::{ADMIN, API_AUDIENCE, AUDIENCE, Claims, ISSUER};
use httpkit::ed25519::PrivateKey;
use jsonwebtoken::Header;
use serde_json::json;
use sha2::Sha256;

/// A signed-in user: pass it to `TestService::client_as`.
#[derive(Clone, Debug)]
pub struct TestUser {
    pub id: UserId,
    pub session: SessionId,
    /// The session token: the cookie's value.
    pub token: String,
}

/// The ways in which a token can be invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// It expires now.
    Expired,
    /// `alg: none`, without a signature.
    NoSignature,
    /// HMAC, keyed with the public key.
    PublicKeyAsSecret,
    /// The claims were changed to those of an admin; the signature is of the original.
    ChangedClaims,
    /// Signed with another key.
    OtherKey,
    /// The same, which claims to be ours.
    OtherKeyAsOurs,
    /// Signed with our key, by a name that no key of ours has.
    UnknownKeyId,
    OtherIssuer,
    OtherAudience,
    /// For the other kind of client: a session token as an access token, or an access token as a session token.
    OtherKind,
}

impl Forgery {
    pub const ALL: [Forgery; 10] = [
        Forgery::Expired,
        Forgery::NoSignature,
        Forgery::PublicKeyAsSecret,
        Forgery::ChangedClaims,
        Forgery::OtherKey,
        Forgery::OtherKeyAsOurs,
        Forgery::UnknownKeyId,
        Forgery::OtherIssuer,
        Forgery::OtherAudience,
        Forgery::OtherKind,
    ];
}

/// A key pair, PEM-encoded.
pub struct Keys {
    pub private_pem: String,
    pub public_pem: String,
    signing: PrivateKey,
}

impl Keys {
    /// The key pair that all tests of a process share.
    pub fn ours() -> &'static Keys {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(Keys::generate)
    }

    /// The pair of a private key in PEM, such as that of a running system.
    pub fn of_private(private_pem: &str) -> Keys {
        let key = SigningKey::from_pkcs8_pem(private_pem).expect("a private key");
        let public_pem = key.verifying_key().to_public_key_pem(LineEnding::LF);
        Keys {
            signing: PrivateKey::from_pem(private_pem).expect("httpkit reads our keys"),
            private_pem: private_pem.to_owned(),
            public_pem: public_pem.expect("a key has a PEM form"),
        }
    }

    fn generate() -> Keys {
        let key = SigningKey::from_bytes(&rand::random());
        Keys::of_private(&key.to_pkcs8_pem(LineEnding::LF).expect("a new key has a PEM form"))
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Claims) -> String {
        self.sign_as(&self.signing.header(), claims)
    }

    /// A token as the version before issued them: it doesn't name its key.
    pub fn sign_without_key_id(&self, claims: &Claims) -> String {
        self.sign_as(&Header { kid: None, ..self.signing.header() }, claims)
    }

    fn sign_as(&self, header: &Header, claims: &Claims) -> String {
        jsonwebtoken::encode(header, claims, &self.signing.encoding).expect("claims can be signed")
    }

    /// A token that must be refused, made of claims that would be accepted.
    pub fn forge(&self, valid: Claims, forgery: Forgery) -> String {
        let header = self.signing.header();
        let unsigned = |alg: &str| {
            let header = json!({ "alg": alg, "typ": "JWT", "kid": header.kid });
            format!("{}.{}", part(&header), part(&json!(valid)))
        };
        match forgery {
            Forgery::Expired => {
                let now = valid.iat;
                self.sign(&Claims { iat: now - 900, exp: now, ..valid })
            }
            Forgery::NoSignature => format!("{}.", unsigned("none")),
            Forgery::PublicKeyAsSecret => {
                let message = unsigned("HS256");
                let secret = self.public_pem.as_bytes();
                let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is a key");
                mac.update(message.as_bytes());
                let signature = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
                format!("{message}.{signature}")
            }
            Forgery::ChangedClaims => {
                let signed = self.sign(&valid);
                let (header, rest) = signed.split_once('.').expect("a token has three parts");
                let (_, signature) = rest.split_once('.').expect("a token has three parts");
                let changed = Claims { groups: vec![ADMIN.to_owned()], ..valid };
                format!("{header}.{}.{signature}", part(&json!(changed)))
            }
            Forgery::OtherKey => Keys::generate().sign(&valid),
            Forgery::OtherKeyAsOurs => Keys::generate().sign_as(&header, &valid),
            Forgery::UnknownKeyId => {
                self.sign_as(&Header { kid: Some("unknown".to_owned()), ..header }, &valid)
            }
            Forgery::OtherIssuer => self.sign(&Claims { iss: "someone".to_owned(), ..valid }),
            Forgery::OtherAudience => self.sign(&Claims { aud: "someone".to_owned(), ..valid }),
            Forgery::OtherKind => {
                let aud = if valid.aud == AUDIENCE { API_AUDIENCE } else { AUDIENCE };
                self.sign(&Claims { aud: aud.to_owned(), ..valid })
            }
        }
    }
}

/// A key that signs the codes of tests, and no session.
pub fn admission_key() -> String {
    Keys::generate().private_pem
}

/// A user whose token is valid for 30 days by `clock`, so that tests can advance it by hours.
pub fn user(clock: &Clock, groups: &[&str]) -> TestUser {
    let now = clock.now();
    let claims = claims(UserId::new(now), SessionId::new(now), clock, groups);
    TestUser { id: claims.sub, session: claims.sid, token: Keys::ours().sign(&claims) }
}

/// A user whose address isn't confirmed.
pub fn unverified(clock: &Clock) -> TestUser {
    let now = clock.now();
    let claims = claims(UserId::new(now), SessionId::new(now), clock, &[]);
    let token = Keys::ours().sign(&Claims { verified: false, ..claims.clone() });
    TestUser { id: claims.sub, session: claims.sid, token }
}

pub fn admin(clock: &Clock) -> TestUser {
    user(clock, &[ADMIN])
}

/// The same user with a forged token.
pub fn forge(user: &TestUser, clock: &Clock, forgery: Forgery) -> TestUser {
    let valid = claims(user.id, user.session, clock, &[]);
    TestUser { token: Keys::ours().forge(valid, forgery), ..user.clone() }
}

/// The access token of a program that acts for the user, for these scopes.
pub fn access(user: &TestUser, clock: &Clock, scopes: &[Scope]) -> String {
    Keys::ours().sign(&access_claims(user.id, user.session, clock, scopes))
}

/// What an access token says.
pub fn access_claims(user: UserId, session: SessionId, clock: &Clock, scopes: &[Scope]) -> Claims {
    let scope = Some(scopes.iter().copied().collect());
    Claims { aud: API_AUDIENCE.to_owned(), scope, ..claims(user, session, clock, &[]) }
}

/// What a session token says.
pub fn claims(user: UserId, session: SessionId, clock: &Clock, groups: &[&str]) -> Claims {
    const TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: user,
        sid: session,
        generation: 0,
        iat: clock.now().millis() / 1000,
        exp: (clock.now() + TTL).millis() / 1000,
        groups: groups.iter().map(ToString::to_string).collect(),
        scope: None,
        verified: true,
    }
}

fn part(json: &serde_json::Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}
