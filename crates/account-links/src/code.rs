//! The text of a code: whose account it is for, and the message authentication code.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::ids::UserId;

const USER: usize = 16;
/// All of HMAC-SHA256.
pub(crate) const MAC: usize = 32;

/// What the address of a link contains: 64 characters of base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    user: UserId,
    pub(crate) mac: [u8; MAC],
}

/// A text that can't be a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACode;

impl Code {
    pub(crate) fn new(user: UserId, mac: [u8; MAC]) -> Self {
        Code { user, mac }
    }

    /// The account that it claims to be for.
    pub fn user(&self) -> UserId {
        self.user
    }
}

impl FromStr for Code {
    type Err = NotACode;

    /// Accepts only the spelling that is written.
    fn from_str(text: &str) -> Result<Self, NotACode> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotACode)?;
        let (user, mac) = bytes.split_first_chunk::<USER>().ok_or(NotACode)?;
        let mac = mac.try_into().map_err(|_| NotACode)?;
        Ok(Code { user: UserId::from_bytes(*user), mac })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.user.to_bytes().as_slice(), &self.mac].concat();
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// It opens a link: it is in no log.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code(of {})", self.user)
    }
}
