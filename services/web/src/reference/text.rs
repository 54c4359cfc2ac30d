//! Texts of the document, which name code between backticks.

/// A text with names of the code in between.
pub struct Text(pub Vec<Span>);

pub struct Span {
    pub is_code: bool,
    pub text: String,
}

impl Text {
    pub(super) fn of(text: &str) -> Text {
        let span = |(number, text): (usize, &str)| Span {
            is_code: number % 2 == 1,
            text: text.to_owned(),
        };
        Text(text.split('`').enumerate().map(span).filter(|span| !span.text.is_empty()).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
