//! How text is folded into the words that a search compares, and in whose lists a ticket is found.
//!
//! Case, accents and punctuation make no difference. Words that punctuation joins are also one word: *AC/DC* is `ac`, `dc`
//! and `acdc`. The scripts of East Asia have no blanks between words: a run of them is indexed by its pairs of characters.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Changes with what [`Folded`] makes of a text: documents that another one has written are indexed again.
pub const VERSION: i64 = 1;

/// The length of the prefixes in whose lists tickets are found. A longer term is looked up by its own, and compared with the
/// words of what that finds; so is a shorter one, among everything.
const PREFIX: usize = 3;

/// The words of a text, without case, accents and punctuation. They consist of letters and digits alone, so none contains a
/// character that has a meaning in a regular expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    words: Vec<String>,
    /// Runs of East Asian characters.
    runs: Vec<String>,
}

impl Folded {
    pub fn of(text: &str) -> Self {
        let mut folded = Folded::default();
        for parts in chunks(text) {
            let joined = (parts.len() > 1).then(|| parts.concat());
            for part in parts.iter().chain(&joined) {
                for segment in segments(part) {
                    let list = if is_run(segment) { &mut folded.runs } else { &mut folded.words };
                    list.push(segment.to_owned());
                }
            }
        }
        for list in [&mut folded.words, &mut folded.runs] {
            list.sort_unstable();
            list.dedup();
        }
        folded
    }

    /// What is stored: a term is a prefix of one of these; one of several East Asian characters consists of them.
    pub fn stored(&self) -> Vec<String> {
        let pairs = self.runs.iter().flat_map(|run| pairs_and_last(run));
        let mut all: Vec<String> = self.words.iter().cloned().chain(pairs).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// In whose lists it is: those of the prefixes of its words, and of the pairs in its runs.
    pub fn prefixes(&self) -> Vec<String> {
        let of_words = self.words.iter().filter_map(|word| prefix(word));
        let of_runs = self.runs.iter().flat_map(|run| run_pairs(run));
        let mut all: Vec<String> = of_words.chain(of_runs).map(str::to_owned).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether a query's term is the beginning of a word, or within a run.
    pub fn has(&self, term: &Term) -> bool {
        if is_run(term.as_str()) {
            self.runs.iter().any(|run| run.contains(term.as_str()))
        } else {
            self.words.iter().any(|word| word.starts_with(term.as_str()))
        }
    }
}

/// A word of a query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct Term(String);

impl Term {
    /// The words of a query, without those that others imply. One letter of an alphabet begins a large part of all words, so
    /// it is ignored, unless punctuation joins it with others (`R&B`); one East Asian character is searched for.
    pub fn all_of(query: &str) -> Vec<Term> {
        let mut terms: Vec<Term> = Vec::new();
        for parts in chunks(query) {
            let long = |text: &String| -> Vec<Term> {
                let long = segments(text).filter(|one| is_run(one) || one.chars().nth(1).is_some());
                long.map(|segment| Term(segment.to_owned())).collect()
            };
            let of_parts: Vec<Term> = parts.iter().flat_map(long).collect();
            terms.extend(if of_parts.is_empty() { long(&parts.concat()) } else { of_parts });
        }
        terms.sort_unstable();
        terms.dedup();
        let is_implied =
            |term: &Term| terms.iter().any(|other| other != term && other.implies(term));
        let implied: Vec<bool> = terms.iter().map(is_implied).collect();
        terms
            .into_iter()
            .zip(implied)
            .filter(|(_, implied)| !implied)
            .map(|(term, _)| term)
            .collect()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn length(&self) -> usize {
        self.0.chars().count()
    }

    fn implies(&self, other: &Term) -> bool {
        self.0.starts_with(other.as_str())
            || (is_run(other.as_str()) && self.0.contains(other.as_str()))
    }

    /// In which lists a ticket is that has the term; in none in particular if it is too short.
    pub fn prefixes(&self) -> Vec<&str> {
        if is_run(self.as_str()) {
            run_pairs(self.as_str())
        } else {
            prefix(self.as_str()).into_iter().collect()
        }
    }

    /// What the stored words of a ticket begin with that has the term. They say it all, unless the term is a run of more
    /// than two characters: its pairs could be scattered.
    pub fn beginnings(&self) -> Vec<&str> {
        if is_run(self.as_str()) { pairs(self.as_str()) } else { vec![self.as_str()] }
    }

    /// Whether the beginnings say it all.
    pub fn is_word(&self) -> bool {
        !is_run(self.as_str()) || self.length() <= 2
    }
}

/// The pairs of a run's characters.
fn run_pairs(run: &str) -> Vec<&str> {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
    starts.windows(3).filter_map(|at| run.get(at[0]..at[2])).collect()
}

/// The same; the run itself if it is one character.
fn pairs(run: &str) -> Vec<&str> {
    let pairs = run_pairs(run);
    if pairs.is_empty() { vec![run] } else { pairs }
}

/// Each character begins one of these.
fn pairs_and_last(run: &str) -> Vec<String> {
    let last = run.chars().next_back().map(String::from);
    pairs(run).into_iter().map(str::to_owned).chain(last).collect()
}

/// The prefix of a word that is long enough to have one.
fn prefix(word: &str) -> Option<&str> {
    let ends = word.char_indices().map(|(at, _)| at).chain([word.len()]);
    ends.skip(PREFIX).map(|end| &word[..end]).next()
}

/// The folded text at its blanks, and then at its punctuation.
fn chunks(text: &str) -> Vec<Vec<String>> {
    let plain: String =
        text.nfkd().filter(|&char| !is_accent(char)).flat_map(char::to_lowercase).collect();
    let mut folded = String::with_capacity(plain.len());
    for char in plain.chars().filter(|&char| !is_accent(char)) {
        match undecomposed(char) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(char),
        }
    }
    let folded: String = folded.nfc().collect();
    let parts = |chunk: &str| -> Vec<String> {
        let parts = chunk.split(|char: char| !char.is_alphanumeric());
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    folded.split_whitespace().map(parts).filter(|parts| !parts.is_empty()).collect()
}

/// A part where it changes between East Asian and other characters.
fn segments(part: &str) -> impl Iterator<Item = &str> {
    let mut rest = part;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest.find(|char| is_east_asian(char) != is_east_asian(first));
        let (segment, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(segment)
    })
}

fn is_run(segment: &str) -> bool {
    segment.starts_with(is_east_asian)
}

/// Ideographs, kana, bopomofo and the syllables of Korean, whose words have endings.
fn is_east_asian(char: char) -> bool {
    matches!(char,
        '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{312f}'
        | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// The voicing marks of kana distinguish letters.
fn is_accent(char: char) -> bool {
    is_combining_mark(char) && !matches!(char, '\u{3099}' | '\u{309a}')
}

/// Letters that people type without their strokes or in another form, and that Unicode doesn't decompose.
fn undecomposed(char: char) -> Option<&'static str> {
    Some(match char {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'þ' => "th",
        'ı' => "i",
        'ς' => "σ",
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
            ("STRASSE Straße STRAẞE", vec!["strasse"]),
            ("Ærø Þór Ħal", vec!["aero", "hal", "thor"]),
            ("ΟΔΟΣ οδός οδοσ", vec!["οδοσ"]),
            ("DIYARBAKIR diyarbakır İstanbul ISTANBUL", vec!["diyarbakir", "istanbul"]),
            ("rock ROCK Rock", vec!["rock"]),
            ("ﬁn ①", vec!["1", "fin"]),
            ("AC/DC: 40 años", vec!["40", "ac", "acdc", "anos", "dc"]),
            ("Don't R.E.M.", vec!["don", "dont", "e", "m", "r", "rem", "t"]),
            ("東京 ガール", vec!["ガー", "ル", "ール", "京", "東京"]),
            ("라이브2026", vec!["2026", "라이", "브", "이브"]),
            ("  \u{0} !!! ", vec![]),
        ] {
            assert_eq!(Folded::of(text).stored(), expected, "{text}");
        }
    }

    #[test]
    fn words_are_safe_in_a_regular_expression() {
        let all: String = (0..=0x2FFF_u32).filter_map(char::from_u32).collect();
        for word in Folded::of(&all).stored() {
            assert!(word.chars().all(char::is_alphanumeric), "{word}");
        }
        assert_eq!(Folded::of(r"a.*b$ ^c (d|e)").stored(), ["a", "ab", "b", "c", "d", "de", "e"]);
    }

    #[test]
    fn a_query_has_the_terms_that_imply_its_others() {
        for (query, expected) in [
            ("a rock b", vec!["rock"]),
            ("é ï 7", vec![]),
            ("и", vec![]),
            ("u2 x", vec!["u2"]),
            ("東", vec!["東"]),
            ("ac/dc", vec!["ac", "dc"]),
            ("R&B r.e.m.", vec!["rb", "rem"]),
            ("roc rock ro", vec!["rock"]),
            ("武道 武道館 館", vec!["武道館"]),
            ("東京ライブ2026", vec!["2026", "東京ライブ"]),
        ] {
            let terms = Term::all_of(query);
            assert_eq!(terms.iter().map(Term::as_str).collect::<Vec<_>>(), expected, "{query}");
        }
    }

    /// Else a search would miss it.
    #[test]
    fn a_text_that_has_a_term_is_indexed_by_its_prefixes() {
        let texts = ["Motörhead at the arena", "AC/DC", "武道館ライブ 東京", "R&B, r.e.m. & u2"];
        for text in texts.map(Folded::of) {
            let (prefixes, stored) = (text.prefixes(), text.stored());
            let all = [
                "mo",
                "motor",
                "motorhead",
                "arena",
                "are",
                "acdc",
                "ac/dc",
                "武",
                "道館ラ",
                "館",
                "東京",
                "rem",
                "r&b",
            ];
            for term in all.iter().flat_map(|query| Term::all_of(query)) {
                if text.has(&term) {
                    let is_indexed = |one: &&str| prefixes.iter().any(|prefix| prefix == one);
                    assert!(term.prefixes().iter().all(is_indexed), "{term:?}: {prefixes:?}");
                    let begins = |one: &&str| stored.iter().any(|word| word.starts_with(*one));
                    assert!(term.beginnings().iter().all(begins), "{term:?}: {stored:?}");
                }
            }
        }
        let scattered = Folded::of("武道 道館");
        assert!(!scattered.has(&Term("武道館".to_owned())));
    }

    #[test]
    fn a_ticket_is_in_one_list_for_each_word() {
        let prefixes = Folded::of("U2 international arena 武道館").prefixes();
        assert_eq!(prefixes, ["are", "int", "武道", "道館"]);
    }
}
