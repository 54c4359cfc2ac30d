//! The keys that codes are signed with. They are admissions' own: the keys of sessions sign nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

use anyhow::{Context as _, ensure};
use clap::Args;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use crate::code::{Admission, Code, KEY_ID, NotACode, Unverified};

const END: &str = "-----END PRIVATE KEY-----";

/// The setting of the services that sign or verify codes.
#[derive(Clone, Debug, Args)]
pub struct AdmissionSettings {
    /// File with the Ed25519 private keys (PEM, one after the other) of the codes that open doors: the first signs, all
    /// verify
    #[arg(long, env = "ADMISSION_KEYS")]
    pub admission_keys: PathBuf,
}

impl AdmissionSettings {
    pub fn read(&self) -> anyhow::Result<AdmissionKeys> {
        AdmissionKeys::from_file(&self.admission_keys).context("ADMISSION_KEYS")
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct AdmissionKeys(Arc<[Key]>);

impl fmt::Debug for AdmissionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdmissionKeys({})", self.0.len())
    }
}

struct Key {
    id: [u8; KEY_ID],
    signing: SigningKey,
}

impl AdmissionKeys {
    pub fn from_file(file: &Path) -> anyhow::Result<Self> {
        let pem = fs::read_to_string(file);
        Self::from_pem(&pem.with_context(|| format!("could not read {}", file.display()))?)
            .with_context(|| file.display().to_string())
    }

    /// From one or more keys in PKCS#8.
    pub fn from_pem(pem: &str) -> anyhow::Result<Self> {
        let keys = pem.split_inclusive(END).filter(|key| !key.trim().is_empty());
        let keys: Vec<Key> = keys
            .map(|pem| {
                // Its error doesn't contain the key.
                let signing = SigningKey::from_pkcs8_pem(pem.trim())
                    .map_err(|error| anyhow::anyhow!("not an Ed25519 private key: {error}"))?;
                Ok(Key { id: id_of(&signing), signing })
            })
            .collect::<anyhow::Result<_>>()?;
        ensure!(!keys.is_empty(), "it has no key");
        Ok(AdmissionKeys(keys.into()))
    }

    /// The code of a place: always the same one, until the first key is another.
    pub fn code(&self, admission: &Admission) -> Code {
        let Key { id, signing } = &self.0[0];
        let statement = admission.statement(*id);
        Code::of(&statement, &signing.sign(&statement))
    }

    /// What a text says, if one of the keys has signed it. It doesn't say that the order still has its places.
    pub fn verify(&self, text: &str) -> Result<Admission, NotACode> {
        let code = Unverified::parse(text)?;
        let key = self.0.iter().find(|key| key.id == code.key_id).ok_or(NotACode)?;
        key.signing
            .verifying_key()
            .verify_strict(&code.statement, &code.signature)
            .map_err(|_| NotACode)?;
        Ok(code.admission)
    }
}

/// The beginning of the hash of the public key.
fn id_of(key: &SigningKey) -> [u8; KEY_ID] {
    let hash = Sha256::digest(key.verifying_key().as_bytes());
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use common::ids::{OrderId, TicketId};
    use common::{Place, Time};
    use ed25519_dalek::pkcs8::EncodePrivateKey;
    use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;

    use super::*;

    fn pem(seed: u8) -> String {
        SigningKey::from_bytes(&[seed; 32]).to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
    }

    fn admission(place: u16) -> Admission {
        let now = Time::from_millis(1_800_000_000_000);
        Admission { ticket: TicketId::new(now), order: OrderId::new(now), place: Place::new(place) }
    }

    #[test]
    fn a_code_says_which_place_of_which_order_and_is_always_the_same() {
        let keys = AdmissionKeys::from_pem(&pem(1)).unwrap();
        let admission = admission(1000);
        let code = keys.code(&admission);
        assert_eq!(code, keys.code(&admission));
        assert_eq!(keys.verify(code.reveal()), Ok(admission));
        assert_eq!(format!("{code:?}"), "Code(…)");
        // As forms, clipboards and scanners that act as keyboards send it.
        for text in [format!("{}\r\n", code.reveal()), code.reveal().trim_end().to_lowercase()] {
            assert_eq!(keys.verify(&text), Ok(admission));
        }
    }

    #[test]
    fn one_changed_bit_is_refused_wherever_it_is() {
        let keys = AdmissionKeys::from_pem(&pem(1)).unwrap();
        let code = keys.code(&admission(7));
        let bytes = base45::decode(code.reveal()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keys.verify(&base45::encode(changed)), Err(NotACode), "bit {bit}");
        }
        for text in ["", " ", "TOSCA", &code.reveal()[1..], &format!("{}A", code.reveal()), "é"] {
            assert_eq!(keys.verify(text), Err(NotACode), "{text}");
        }
    }

    #[test]
    fn after_a_rotation_codes_of_both_keys_are_valid_and_those_of_others_are_not() {
        let old = AdmissionKeys::from_pem(&pem(1)).unwrap();
        let both = AdmissionKeys::from_pem(&format!("{}\n{}", pem(2), pem(1))).unwrap();
        let admission = admission(1);
        assert_eq!(both.verify(old.code(&admission).reveal()), Ok(admission));
        assert_eq!(old.verify(both.code(&admission).reveal()), Err(NotACode));
        assert!(AdmissionKeys::from_pem(" \n").is_err());
        let error = AdmissionKeys::from_pem(&pem(1).replace("PRIVATE", "PUBLIC")).err().unwrap();
        assert!(error.to_string().contains("not an Ed25519 private key"), "{error}");
    }
}
