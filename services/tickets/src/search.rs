//! What a list is asked for, and how text is cut into the words that it is found by.

use common::Time;
use common::ids::UserId;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::domain::Ticket;

/// What a list is narrowed to, and its order. A cursor is bound to all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Search {
    pub whose: Whose,
    /// Each must begin a word of the ticket's. None: it isn't searched by words.
    pub terms: Option<Vec<String>>,
    /// In minor units.
    pub min_price: Option<i64>,
    /// In minor units.
    pub max_price: Option<i64>,
    pub from: Option<Time>,
    pub to: Option<Time>,
    pub sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Whose {
    /// What is on sale, whoever sells it.
    OnSale,
    /// All that one sells or has sold.
    Of(UserId),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Sort {
    #[default]
    Newest,
    Cheapest,
    Dearest,
    /// By date; what has none comes last.
    Soonest,
}

impl Sort {
    pub const ALL: [Sort; 4] = [Sort::Newest, Sort::Cheapest, Sort::Dearest, Sort::Soonest];

    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Sort::Newest => "-createdAt",
            Sort::Cheapest => "price",
            Sort::Dearest => "-price",
            Sort::Soonest => "date",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Sort::ALL.into_iter().find(|sort| sort.as_str() == text)
    }

    /// What a ticket is sorted by, in its own unit: cents, or milliseconds.
    pub fn key(self, ticket: &Ticket) -> i64 {
        match self {
            Sort::Newest => ticket.created_at.millis(),
            Sort::Cheapest | Sort::Dearest => ticket.listing.price.minor(),
            Sort::Soonest => ticket.on_sale_until().millis(),
        }
    }
}

/// The words of a text, each once: without case and accents, of letters and digits alone. So none has
/// a character that means something to a regular expression.
pub fn words(text: &str) -> Vec<String> {
    let plain: String =
        text.nfkd().filter(|&char| !is_combining_mark(char)).flat_map(char::to_lowercase).collect();
    let mut folded = String::with_capacity(plain.len());
    for char in plain.chars().filter(|&char| !is_combining_mark(char)) {
        match undecomposed(char) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(char),
        }
    }
    let mut words: Vec<String> = folded
        .split(|char: char| !char.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Letters that people write without their strokes, and that Unicode doesn't decompose.
fn undecomposed(char: char) -> Option<&'static str> {
    Some(match char {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' => "d",
        'ı' => "i",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_neither_case_nor_accents_nor_punctuation() {
        for (text, expected) in [
            ("Motörhead, live!", vec!["live", "motorhead"]),
            ("ÉDITH Piaf — Olympia", vec!["edith", "olympia", "piaf"]),
            ("Große Łódź Øresund", vec!["grosse", "lodz", "oresund"]),
            ("rock ROCK Rock", vec!["rock"]),
            ("İstanbul ﬁn ①", vec!["1", "fin", "istanbul"]),
            ("AC/DC: 40 años", vec!["40", "ac", "anos", "dc"]),
            ("東京 コンサート", vec!["コンサート", "東京"]),
            ("  \u{0} !!! ", vec![]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn words_can_stand_in_a_regular_expression() {
        let all: String = (0..=0x2FFF_u32).filter_map(char::from_u32).collect();
        for word in words(&all) {
            assert!(word.chars().all(char::is_alphanumeric), "{word}");
        }
        assert_eq!(words(r"a.*b$ ^c (d|e) [f] \g {2}"), ["2", "a", "b", "c", "d", "e", "f", "g"]);
    }

    #[test]
    fn every_sort_is_read_as_it_is_written() {
        for sort in Sort::ALL {
            assert_eq!(Sort::parse(sort.as_str()), Some(sort));
        }
        assert_eq!(Sort::parse("createdAt"), None);
    }
}
