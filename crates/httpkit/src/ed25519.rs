//! Ed25519 for session tokens: the only algorithm that this program can sign or verify with. jsonwebtoken's own provider
//! brings RSA and ECDSA along, whose implementations have had side channels (RUSTSEC-2023-0071), and an algorithm that
//! isn't there can't be confused with another.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use sha2::{Digest as _, Sha256};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Ed25519Signer::new(*algorithm, key)?)),
    verifier_factory: |algorithm, key| Ok(Box::new(Ed25519Verifier::new(*algorithm, key)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

/// A private key, to sign with.
pub struct PrivateKey {
    /// What the tokens that it signs call it: the thumbprint of its public half.
    pub kid: String,
    pub encoding: EncodingKey,
}

impl PrivateKey {
    /// From PEM (PKCS#8).
    pub fn from_pem(pem: &str) -> Result<Self> {
        install_provider()?;
        let key = SigningKey::from_pkcs8_pem(pem.trim());
        let key = key.map_err(anyhow::Error::msg).context("not an Ed25519 private key in PEM")?;
        let kid = thumbprint(&key.verifying_key());
        Ok(PrivateKey { kid, encoding: EncodingKey::from_ed_der(key.as_bytes()) })
    }

    /// The header of the tokens that it signs.
    pub fn header(&self) -> Header {
        Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) }
    }
}

/// A public key, to verify with.
pub struct PublicKey {
    /// What tokens call it: its thumbprint.
    pub kid: String,
    /// Its 32 bytes in base64url, as a JWK has them (RFC 8037 §2).
    pub x: String,
    pub decoding: DecodingKey,
}

impl PublicKey {
    /// From PEM (SubjectPublicKeyInfo).
    pub fn from_pem(pem: &str) -> Result<Self> {
        install_provider()?;
        let key = VerifyingKey::from_public_key_pem(pem.trim());
        let key = key.map_err(anyhow::Error::msg).context("not an Ed25519 public key in PEM")?;
        let (kid, x) = (thumbprint(&key), BASE64_URL_SAFE_NO_PAD.encode(key.as_bytes()));
        Ok(PublicKey { kid, x, decoding: DecodingKey::from_ed_der(key.as_bytes()) })
    }
}

/// The name of a key, computed from the key itself (RFC 7638): the SHA-256 of its JWK, with the members in this order.
fn thumbprint(key: &VerifyingKey) -> String {
    let x = BASE64_URL_SAFE_NO_PAD.encode(key.as_bytes());
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(jwk))
}

/// Keys exist only once the provider does, so nothing is signed or verified before. All but the first call have no effect.
fn install_provider() -> Result<()> {
    // The provider of another library would be used by all of the process, ours included.
    if PROVIDER.install_default().is_err() {
        let installed = CryptoProvider::try_get_default().context("no provider")?;
        anyhow::ensure!(std::ptr::eq(installed, &PROVIDER), "another JWT provider is installed");
    }
    Ok(())
}

/// The 32 bytes of a key, if it is for EdDSA.
fn ed25519(algorithm: Algorithm, key: &[u8]) -> Result<&[u8; 32], Error> {
    if algorithm != Algorithm::EdDSA {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    key.try_into().map_err(|_| ErrorKind::InvalidEddsaKey.into())
}

struct Ed25519Signer(SigningKey);

impl Ed25519Signer {
    fn new(algorithm: Algorithm, key: &EncodingKey) -> Result<Self, Error> {
        ed25519(algorithm, key.as_bytes()).map(|key| Ed25519Signer(SigningKey::from_bytes(key)))
    }
}

impl Signer<Vec<u8>> for Ed25519Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).to_vec())
    }
}

impl JwtSigner for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct Ed25519Verifier(VerifyingKey);

impl Ed25519Verifier {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, Error> {
        let key = VerifyingKey::from_bytes(ed25519(algorithm, key.try_get_as_bytes()?)?);
        key.map(Ed25519Verifier).map_err(|_| ErrorKind::InvalidEddsaKey.into())
    }
}

impl Verifier<Vec<u8>> for Ed25519Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let refused = |_| signature::Error::new();
        let signature = Signature::from_slice(signature).map_err(refused)?;
        // Strict: it refuses small-order keys and malleable signatures too (RFC 8032 permits both ways).
        self.0.verify_strict(message, &signature).map_err(refused)
    }
}

impl JwtVerifier for Ed25519Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Validation, decode, encode};
    use serde_json::{Value, json};

    use super::*;

    // RFC 8410 §10.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    fn encoding_key(pem: &str) -> Result<EncodingKey> {
        PrivateKey::from_pem(pem).map(|key| key.encoding)
    }

    fn decoding_key(pem: &str) -> Result<DecodingKey> {
        PublicKey::from_pem(pem).map(|key| key.decoding)
    }

    /// The key and its thumbprint are those of RFC 8037, appendix A.3.
    #[test]
    fn a_key_is_called_by_its_thumbprint() {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        let key = VerifyingKey::from_bytes(&bytes.unwrap().try_into().unwrap()).unwrap();
        assert_eq!(thumbprint(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let (ours, public) =
            (PrivateKey::from_pem(PRIVATE).unwrap(), PublicKey::from_pem(PUBLIC).unwrap());
        assert_eq!(ours.header().kid, Some(public.kid));
    }

    fn validation(algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation
    }

    #[test]
    fn a_signature_is_accepted_for_its_own_claims_only() {
        let (signing, verifying) = (encoding_key(PRIVATE).unwrap(), decoding_key(PUBLIC).unwrap());
        let sign = |claims| encode(&Header::new(Algorithm::EdDSA), &claims, &signing).unwrap();
        let (ours, other) = (sign(json!({ "sub": "kim" })), sign(json!({ "sub": "lee" })));
        let check = |token: &str| decode::<Value>(token, &verifying, &validation(Algorithm::EdDSA));
        assert_eq!(check(&ours).unwrap().claims["sub"], "kim");
        let (claims, _) = ours.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        assert!(check(&format!("{claims}.{signature}")).is_err());
    }

    #[test]
    fn there_is_no_other_algorithm() {
        let (signing, verifying) = (encoding_key(PRIVATE).unwrap(), decoding_key(PUBLIC).unwrap());
        let (secret, shared) = (EncodingKey::from_secret(b"x"), DecodingKey::from_secret(b"x"));
        let header = Header::new(Algorithm::HS256);
        assert!(encode(&header, &json!({}), &secret.unwrap()).is_err());
        // HMAC of `{}` with the secret `x`; the provider has no HMAC, so even the right secret is of no use.
        let token = encode(&Header::new(Algorithm::EdDSA), &json!({}), &signing).unwrap();
        let shared = shared.unwrap();
        for (key, algorithm) in [(&shared, Algorithm::HS256), (&verifying, Algorithm::HS256)] {
            assert!(decode::<Value>(&token, key, &validation(algorithm)).is_err());
        }
        for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::HS256] {
            assert!((PROVIDER.verifier_factory)(&algorithm, &verifying).is_err());
            assert!((PROVIDER.signer_factory)(&algorithm, &signing).is_err());
        }
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        assert!(encoding_key(PUBLIC).is_err());
        assert!(decoding_key(PRIVATE).is_err());
        assert!(decoding_key("").is_err());
    }
}
