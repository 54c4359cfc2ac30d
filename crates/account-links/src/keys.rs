//! The keys that codes are computed with. They are those of links alone: the keys of sessions and of admissions sign nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

use anyhow::{Context as _, ensure};
use clap::Args;
use common::events::LinkPurpose;
use common::ids::UserId;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::code::Code;

/// The length of a key in bytes; the file has two hexadecimal digits for each.
const KEY: usize = 32;

/// The setting of the services that compute or verify codes.
#[derive(Clone, Debug, Args)]
pub struct LinkSettings {
    /// File with the keys of the links that users are mailed (64 hexadecimal digits each, one per line): the first is used
    /// for new links, all verify
    #[arg(long, env = "LINK_KEYS")]
    pub link_keys: PathBuf,
}

impl LinkSettings {
    pub fn read(&self) -> anyhow::Result<LinkKeys> {
        LinkKeys::from_file(&self.link_keys).context("LINK_KEYS")
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct LinkKeys(Arc<[[u8; KEY]]>);

impl fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkKeys({})", self.0.len())
    }
}

impl LinkKeys {
    pub fn from_file(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file);
        Self::parse(&text.with_context(|| format!("could not read {}", file.display()))?)
            .with_context(|| file.display().to_string())
    }

    /// From one or more keys, one per line. (An error doesn't contain a key.)
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<_> = lines
            .map(|line| from_hex(line).context("expected 64 hexadecimal digits on each line"))
            .collect::<anyhow::Result<_>>()?;
        ensure!(!keys.is_empty(), "it has no key");
        Ok(LinkKeys(keys.into()))
    }

    /// The code of a link: always the same one, until the first key is another.
    pub fn code(&self, purpose: LinkPurpose, user: UserId, nonce: &str) -> anyhow::Result<Code> {
        let mac = mac(&self.0[0], purpose, user, nonce)?;
        Ok(Code::new(user, mac.finalize().into_bytes().into()))
    }

    /// Whether the code is that of this link, compared in constant time.
    pub fn verify(&self, code: &Code, purpose: LinkPurpose, nonce: &str) -> bool {
        self.0.iter().any(|key| {
            mac(key, purpose, code.user(), nonce)
                .is_ok_and(|mac| mac.verify_slice(&code.mac).is_ok())
        })
    }
}

/// The purpose ends with a line break and the id has a fixed length, so that no two links have the same text.
fn mac(
    key: &[u8; KEY],
    purpose: LinkPurpose,
    user: UserId,
    nonce: &str,
) -> anyhow::Result<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
    mac.update(purpose.as_str().as_bytes());
    mac.update(b"\n");
    mac.update(&user.to_bytes());
    mac.update(nonce.as_bytes());
    Ok(mac)
}

fn from_hex(text: &str) -> Option<[u8; KEY]> {
    if text.len() != 2 * KEY || !text.is_ascii() {
        return None;
    }
    let mut key = [0; KEY];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(key)
}

/// A file with one key, of these random bytes.
pub fn generate(random: [u8; KEY]) -> String {
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}\n")
}

#[cfg(test)]
mod tests {
    use common::Time;

    use super::*;
    use crate::NotACode;

    fn keys(bytes: &[u8]) -> LinkKeys {
        LinkKeys::parse(&bytes.iter().map(|byte| generate([*byte; KEY])).collect::<String>())
            .unwrap()
    }

    fn user() -> UserId {
        UserId::new(Time::from_millis(1_800_000_000_000))
    }

    #[test]
    fn a_code_is_that_of_one_purpose_user_nonce_and_key() {
        let (keys, user) = (keys(&[7]), user());
        let code = keys.code(LinkPurpose::Recovery, user, "nonce").unwrap();
        assert_eq!(code, keys.code(LinkPurpose::Recovery, user, "nonce").unwrap());
        let read: Code = code.to_string().parse().unwrap();
        assert!(read == code && code.to_string().len() == 64);
        assert!(keys.verify(&read, LinkPurpose::Recovery, "nonce"));
        assert!(!keys.verify(&read, LinkPurpose::Verification, "nonce"));
        assert!(!keys.verify(&read, LinkPurpose::Recovery, "nonc"));
        let of_another = Code::new(self::user(), code.mac);
        assert!(!keys.verify(&of_another, LinkPurpose::Recovery, "nonce"));
    }

    #[test]
    fn a_rotation_keeps_the_links_of_the_old_key() {
        let code = keys(&[1]).code(LinkPurpose::Recovery, user(), "nonce").unwrap();
        let is_verified = |keys: LinkKeys| keys.verify(&code, LinkPurpose::Recovery, "nonce");
        assert!(is_verified(keys(&[1, 2])) && is_verified(keys(&[2, 1])));
        assert!(!is_verified(keys(&[2])));
        let new = keys(&[2, 1]).code(LinkPurpose::Recovery, user(), "nonce").unwrap();
        assert!(new != code);
    }

    #[test]
    fn what_is_not_a_code_or_not_a_key_is_refused_without_showing_it() {
        let code = keys(&[1]).code(LinkPurpose::Disown, user(), "n").unwrap().to_string();
        for text in
            ["", "x", &code[1..], &format!("{code}A"), &format!("{code}="), &format!("{code} ")]
        {
            assert_eq!(text.parse::<Code>().err(), Some(NotACode), "{text}");
        }
        let key = generate([171; KEY]);
        for text in ["", "\n", &key[1..], &format!("{}x\n", &key.trim()[1..]), &"é".repeat(32)] {
            let error = format!("{:#}", LinkKeys::parse(text).err().unwrap());
            assert!(!error.contains("abab"), "{error}");
        }
        assert!(!format!("{:?}", keys(&[171])).contains("ab"));
    }
}
