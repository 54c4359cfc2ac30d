//! The one font of an e-ticket, and lines that fit into a width.

use krilla::text::Font;
use skrifa::charmap::Charmap;
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider as _};

/// Latin, Greek and Cyrillic. A character that it lacks is drawn as an empty box.
static FONT: &[u8] = include_bytes!("../fonts/NotoSans-subset.ttf");

pub struct Typeface {
    pub font: Font,
    /// The glyph of each character.
    glyphs: Charmap<'static>,
    metrics: GlyphMetrics<'static>,
    units_per_em: f32,
}

impl Typeface {
    pub fn load() -> Option<Typeface> {
        let font = Font::new(FONT.into(), 0)?;
        let face = FontRef::new(FONT).ok()?;
        let metrics = face.glyph_metrics(Size::unscaled(), LocationRef::default());
        Some(Typeface { units_per_em: font.units_per_em(), font, glyphs: face.charmap(), metrics })
    }

    /// Without kerning, which only makes it narrower.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        let units: f32 = text.chars().map(|char| self.advance(char)).sum();
        units * size / self.units_per_em
    }

    fn advance(&self, char: char) -> f32 {
        let glyph = self.glyphs.map(char).unwrap_or_default();
        self.metrics.advance_width(glyph).unwrap_or_default()
    }

    /// The text in lines of at most this width, broken between words, and within a word that is wider than a line.
    pub fn lines(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if self.width(&longer, size) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for char in word.chars() {
                line.push(char);
                if line.chars().count() > 1 && self.width(&line, size) > width {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, char.to_string()));
                }
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_within_one_that_is_too_long() {
        let typeface = Typeface::load().unwrap();
        let text = format!("Tosca, row 7 {} seat 12", "w".repeat(90));
        let lines = typeface.lines(&text, 20.0, 300.0);
        assert!(lines.len() > 3, "{lines:?}");
        assert!(lines.iter().all(|line| typeface.width(line, 20.0) <= 300.0), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        assert_eq!(typeface.lines("  ", 20.0, 300.0), Vec::<String>::new());
        // One that is wider than the line stands alone.
        assert_eq!(typeface.lines("ab", 20.0, 1.0), ["a", "b"]);
    }

    #[test]
    fn the_font_has_latin_greek_cyrillic_and_currencies() {
        let typeface = Typeface::load().unwrap();
        for char in "AZaz09 ÄčłŞß ΑΩαωΐ АЯаяЁ ўїє €£₴ × – ’ № …".chars()
        {
            assert!(typeface.glyphs.map(char).is_some(), "{char}");
        }
        assert!(typeface.width("日", 10.0) > 0.0, "what it lacks is a box");
    }
}
