//! Users with session tokens as auth issues them, and forged ones.

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::Clock;
use common::ids::{SessionId, UserId};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{EncodePrivateKey, EncodePublicKey};
use hmac::{Hmac, Mac};
use httpkit::auth::{ADMIN, AUDIENCE, Claims, ISSUER};
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
}

impl Forgery {
    pub const ALL: [Forgery; 9] = [
        Forgery::Expired,
        Forgery::NoSignature,
        Forgery::PublicKeyAsSecret,
        Forgery::ChangedClaims,
        Forgery::OtherKey,
        Forgery::OtherKeyAsOurs,
        Forgery::UnknownKeyId,
        Forgery::OtherIssuer,
        Forgery::OtherAudience,
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

    fn generate() -> Keys {
        let key = SigningKey::from_bytes(&rand::random());
        let private_pem = key.to_pkcs8_pem(LineEnding::LF).expect("a new key has a PEM form");
        let public_pem = key.verifying_key().to_public_key_pem(LineEnding::LF);
        Keys {
            signing: PrivateKey::from_pem(&private_pem).expect("httpkit reads our keys"),
            private_pem: private_pem.to_string(),
            public_pem: public_pem.expect("a new key has a PEM form"),
        }
    }

    fn sign(&self, claims: &Claims) -> String {
        self.sign_as(&self.signing.header(), claims)
    }

    fn sign_as(&self, header: &Header, claims: &Claims) -> String {
        jsonwebtoken::encode(header, claims, &self.signing.encoding).expect("claims can be signed")
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

pub fn admin(clock: &Clock) -> TestUser {
    user(clock, &[ADMIN])
}

/// The same user with a forged token.
pub fn forge(user: &TestUser, clock: &Clock, forgery: Forgery) -> TestUser {
    let valid = claims(user.id, user.session, clock, &[]);
    let token = match forgery {
        Forgery::Expired => {
            let now = clock.now().millis() / 1000;
            Keys::ours().sign(&Claims { iat: now - 900, exp: now, ..valid })
        }
        Forgery::NoSignature => {
            let header = json!({ "alg": "none", "typ": "JWT" });
            format!("{}.{}.", part(&header), part(&json!(valid)))
        }
        Forgery::PublicKeyAsSecret => {
            let header = json!({ "alg": "HS256", "typ": "JWT" });
            let message = format!("{}.{}", part(&header), part(&json!(valid)));
            let secret = Keys::ours().public_pem.as_bytes();
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is a key");
            mac.update(message.as_bytes());
            let signature = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
            format!("{message}.{signature}")
        }
        Forgery::ChangedClaims => {
            let signed = Keys::ours().sign(&valid);
            let (header, rest) = signed.split_once('.').expect("a token has three parts");
            let (_, signature) = rest.split_once('.').expect("a token has three parts");
            let changed = Claims { groups: vec![ADMIN.to_owned()], ..valid };
            format!("{header}.{}.{signature}", part(&json!(changed)))
        }
        Forgery::OtherKey => Keys::generate().sign(&valid),
        Forgery::OtherKeyAsOurs => Keys::generate().sign_as(&Keys::ours().signing.header(), &valid),
        Forgery::UnknownKeyId => {
            let kid = Some("unknown".to_owned());
            Keys::ours().sign_as(&Header { kid, ..Keys::ours().signing.header() }, &valid)
        }
        Forgery::OtherIssuer => Keys::ours().sign(&Claims { iss: "someone".to_owned(), ..valid }),
        Forgery::OtherAudience => Keys::ours().sign(&Claims { aud: "someone".to_owned(), ..valid }),
    };
    TestUser { token, ..user.clone() }
}

fn claims(user: UserId, session: SessionId, clock: &Clock, groups: &[&str]) -> Claims {
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
    }
}

fn part(json: &serde_json::Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}
