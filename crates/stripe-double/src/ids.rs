//! Ids in Stripe's format: a prefix, letters and digits. They sort by creation time, so that a list needs no second index.

use uuid::Uuid;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub fn new(prefix: &str) -> String {
    // 22 base-62 digits hold 128 bits; a fixed length preserves the order of the numbers.
    let mut digits = [b'0'; 22];
    let mut rest = Uuid::now_v7().as_u128();
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    format!("{prefix}_{}", String::from_utf8_lossy(&digits))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_later_id_sorts_after_an_earlier_one() {
        let ids: Vec<_> = (0..1000).map(|_| super::new("pi")).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].len(), "pi_".len() + 22);
    }
}
