//! `Stripe-Signature`: <https://docs.stripe.com/webhooks#verify-manually>.

use sha2::{Digest, Sha256};

const BLOCK: usize = 64;

/// `t=…,v1=…`, with the `v0` that Stripe adds to the events of test keys and that no receiver may accept.
pub fn header(secret: &str, at_seconds: u64, body: &str) -> String {
    let signed = format!("{at_seconds}.{body}");
    let v1 = hex(&hmac_sha256(secret.as_bytes(), signed.as_bytes()));
    let v0 = hex(&hmac_sha256(b"not the secret", signed.as_bytes()));
    format!("t={at_seconds},v1={v1},v0={v0}")
}

/// RFC 2104. Written here rather than shared with the receivers, whose mistakes the double must not repeat.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{hex, hmac_sha256};

    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        for (key, message, mac) in [
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(&hmac_sha256(&key, &message)), mac);
        }
    }
}
