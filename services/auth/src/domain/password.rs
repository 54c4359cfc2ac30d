//! One spelling of a password: as the profile OpaqueString of PRECIS maps it (RFC 8265 §4.2.2). What a keyboard or an
//! operating system makes of an accent or a space must not decide whether somebody can sign in.

use unicode_normalization::UnicodeNormalization;

/// No account has a longer one: it has 128 characters, which in decomposed form take up to three times four bytes each.
const MAX_BYTES: usize = 128 * 3 * 4;

/// Whether no account can have this password. Whoever sends one waits for nothing, and it isn't kept in memory.
pub fn is_too_long(typed: &str) -> bool {
    typed.len() > MAX_BYTES
}

/// Every space as U+0020, then Normalization Form C. Case and width stay as typed.
pub fn normalise(text: &str) -> String {
    text.chars().map(|char| if is_space(char) { ' ' } else { char }).nfc().collect()
}

/// Unicode's category *space separator* (Zs), which control characters such as tabs don't belong to.
fn is_space(char: char) -> bool {
    matches!(
        char,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_one_spelling_whichever_keyboard_typed_it() {
        for (typed, expected) in [
            ("correct horse", "correct horse"),
            ("correct\u{a0}horse\u{3000}", "correct horse "),
            ("pa\u{308}ssword", "p\u{e4}ssword"),
            ("\u{212b}ngstr\u{f6}m", "\u{c5}ngstr\u{f6}m"),
            ("Case and Ｗidth\t", "Case and Ｗidth\t"),
        ] {
            assert_eq!(normalise(typed), expected, "{typed:?}");
            assert_eq!(normalise(&normalise(typed)), expected, "{typed:?}");
        }
    }
}
