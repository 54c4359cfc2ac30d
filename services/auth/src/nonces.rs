//! What makes one link different from another. It is no secret: it takes the key to compute from it what opens the link.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

pub fn nonce() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}

pub fn nonces() -> [String; 2] {
    [nonce(), nonce()]
}
