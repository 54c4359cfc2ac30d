//! The rules for texts that people write and that other people read: titles, venues, names, phone numbers, descriptions.
//!
//! Such a text is shown beside others, so it must not be able to change how they look. A text of one line has no line
//! breaks, no control characters, nothing that changes the direction of what follows, and no characters without width,
//! with which two texts would look the same. A text of which nothing is visible is empty.

use std::borrow::Cow;

/// Why a text is refused. The message continues the field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A line break or a control character.
    #[error("can't contain line breaks or control characters")]
    Control,
    /// A character without width, or one that changes the direction of the text.
    #[error("can't contain invisible characters")]
    Invisible,
    /// More characters than the limit.
    #[error("must be at most {0} characters")]
    TooLong(usize),
}

/// A text of one line without the white space around it; none if nothing in it is visible.
pub fn one_line(text: &str, max_chars: usize) -> Result<Option<String>, TextError> {
    let text = text.trim();
    if text.chars().any(breaks_line) {
        return Err(TextError::Control);
    }
    if is_blank(text) {
        return Ok(None);
    }
    if has_stray_invisible(text) {
        return Err(TextError::Invisible);
    }
    limited(text, max_chars)
}

/// A text of several lines without the white space around it; none if nothing in it is visible. What changes the
/// direction is refused here too; other characters without width are kept.
pub fn multi_line(text: &str, max_chars: usize) -> Result<Option<String>, TextError> {
    let text = text.replace("\r\n", "\n");
    if text.chars().any(|char| char.is_control() && char != '\n' && char != '\t') {
        return Err(TextError::Control);
    }
    if text.chars().any(overrides_direction) {
        return Err(TextError::Invisible);
    }
    let text = text.trim();
    if is_blank(text) { Ok(None) } else { limited(text, max_chars) }
}

/// Whether nothing in a text is visible: it has only white space, ignorable characters and fillers.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|char| {
        char.is_whitespace() || char.is_control() || is_ignorable(char) || is_blank_symbol(char)
    })
}

fn limited(text: &str, max_chars: usize) -> Result<Option<String>, TextError> {
    if text.chars().count() > max_chars {
        return Err(TextError::TooLong(max_chars));
    }
    Ok(Some(text.to_owned()))
}

/// Control characters, and Unicode's own line breaks.
fn breaks_line(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')
}

/// Embeddings, overrides and isolates: they change the direction of everything up to their end.
fn overrides_direction(char: char) -> bool {
    matches!(char, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character without width stands where no script and no emoji needs it.
fn has_stray_invisible(text: &str) -> bool {
    let mut before: Option<char> = None;
    let mut in_flag = false;
    for char in text.chars() {
        in_flag = char == '\u{1F3F4}' || (in_flag && is_tag(char));
        let is_stray = match char {
            // The joiners of Indic scripts, Persian and emoji stand after a character of those.
            '\u{200C}' | '\u{200D}' => !before.is_some_and(can_be_joined),
            // Variation selectors choose the form of the character before, and tags spell a flag.
            _ if is_variation_selector(char) => before.is_none_or(is_ignorable),
            _ if is_tag(char) => !in_flag,
            // The fillers of Hangul are letters.
            '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' => false,
            _ => is_ignorable(char),
        };
        if is_stray {
            return true;
        }
        before = Some(char);
    }
    false
}

fn can_be_joined(char: char) -> bool {
    let is_shaped = is_variation_selector(char) || !is_ignorable(char);
    !char.is_ascii() && !char.is_whitespace() && is_shaped
}

fn is_variation_selector(char: char) -> bool {
    matches!(char, '\u{180B}'..='\u{180D}' | '\u{180F}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

fn is_tag(char: char) -> bool {
    matches!(char, '\u{E0020}'..='\u{E007F}')
}

/// Characters that fonts draw as nothing: Unicode's `Default_Ignorable_Code_Point`, and the interlinear annotations.
/// <https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt>
fn is_ignorable(char: char) -> bool {
    matches!(
        char,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// Symbols whose glyph is empty: the braille pattern without dots, the musical null note head, and the place of an object that
/// a text can't contain.
fn is_blank_symbol(char: char) -> bool {
    matches!(char, '\u{2800}' | '\u{1D159}' | '\u{FFFC}')
}

/// A text without the email addresses in it: for log lines and spans, of which some repeat what another program says.
pub fn without_addresses(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let is_part = |char: char| char.is_alphanumeric() || "@.!#$%&'*+/=?^_`{|}~-".contains(char);
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, word) = rest.split_at(start);
        let (word, after) = word.split_at(word.find(|char| !is_part(char)).unwrap_or(word.len()));
        cleaned.push_str(before);
        cleaned.push_str(if word.contains('@') { "[address]" } else { word });
        rest = after;
    }
    cleaned.push_str(rest);
    Cow::Owned(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_left_out() {
        let said = "550 5.1.1 <ada+x@example.com>: unknown; {email: \"bert@bücher.example\"}.";
        assert_eq!(
            without_addresses(said),
            "550 5.1.1 <[address]>: unknown; {email: \"[address]\"}."
        );
        assert_eq!(without_addresses("nothing, at all"), "nothing, at all");
    }

    fn line(text: &str) -> Result<Option<String>, TextError> {
        one_line(text, 200)
    }

    #[test]
    fn a_text_of_which_nothing_is_visible_is_empty() {
        for text in [
            "",
            " \t",
            "\u{A0}\u{3000}",
            "\u{3164}",
            "\u{115F}\u{1160}",
            "\u{2800}\u{2800}",
            "\u{FFA0} \u{200B}",
            "\u{AD}",
            "\u{FE0F}",
            "\u{E0041}",
            "\u{202E}",
            "\u{180E}",
            "\u{200E}\u{61C}",
            "\u{FFF9}\u{FFFB}",
            "\u{FFFC}",
        ] {
            assert_eq!(line(text), Ok(None), "{text:?}");
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["\n\u{3164}\n", "\u{2800}\n\u{2800}"] {
            assert_eq!(multi_line(text, 9), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn characters_that_change_or_hide_other_text_are_refused_in_one_line() {
        for char in [
            '\u{202A}',
            '\u{202B}',
            '\u{202C}',
            '\u{202D}',
            '\u{202E}',
            '\u{2066}',
            '\u{2067}',
            '\u{2068}',
            '\u{2069}',
            '\u{200B}',
            '\u{200C}',
            '\u{200D}',
            '\u{200E}',
            '\u{200F}',
            '\u{2060}',
            '\u{2063}',
            '\u{FEFF}',
            '\u{AD}',
            '\u{61C}',
            '\u{34F}',
            '\u{180E}',
            '\u{E0041}',
            '\u{FFF9}',
        ] {
            assert_eq!(line(&format!("Ada{char}m")), Err(TextError::Invisible), "{char:?}");
        }
        for char in ['\n', '\r', '\t', '\0', '\u{85}', '\u{2028}', '\u{2029}'] {
            assert_eq!(line(&format!("Ada{char}m")), Err(TextError::Control), "{char:?}");
        }
        assert_eq!(multi_line("a\u{202E}b", 9), Err(TextError::Invisible));
        assert_eq!(multi_line("a\u{0}b", 9), Err(TextError::Control));
    }

    #[test]
    fn scripts_and_emoji_keep_the_characters_that_they_need() {
        for text in [
            "Zoë Ångström",
            "می\u{200C}خواهم",
            "क\u{94D}\u{200D}ष",
            "👩\u{200D}👧",
            "❤\u{FE0F}\u{200D}🔥",
            "1\u{FE0F}\u{20E3}",
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
            "가수 이름",
            "⠓⠊",
            "שלום",
        ] {
            assert_eq!(line(text).as_ref().map(Option::as_deref), Ok(Some(text)), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters_after_trimming() {
        assert!(one_line(&"é".repeat(200), 200).is_ok());
        assert_eq!(one_line(&"é".repeat(201), 200), Err(TextError::TooLong(200)));
        assert_eq!(one_line("  a b ", 3), Ok(Some("a b".to_owned())));
        assert_eq!(multi_line(" a\r\n\tb ", 9), Ok(Some("a\n\tb".to_owned())));
    }
}
