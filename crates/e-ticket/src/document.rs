//! The file.

use admissions::QrCode;
use anyhow::Context as _;
use common::Place;
use krilla::Document;
use krilla::metadata::Metadata;

use crate::page::Pages;
use crate::text::Typeface;
use crate::ticket::ETicket;

impl ETicket {
    /// The file, with a page for each place and its code.
    pub fn pdf<'a>(
        &self,
        passes: impl ExactSizeIterator<Item = (Place, &'a QrCode)>,
    ) -> anyhow::Result<Vec<u8>> {
        let typeface = Typeface::load().context("the font of e-tickets")?;
        let mut document = Document::new();
        let metadata = Metadata::new().title(self.title.clone()).language("en".to_owned());
        document.set_metadata(metadata.creator("Ticketing".to_owned()));
        let pages = Pages { ticket: self, typeface: &typeface, count: passes.len() };
        for (number, (place, code)) in (1..).zip(passes) {
            pages.draw(&mut document, number, place, code).context("a page of an e-ticket")?;
        }
        document.finish().map_err(|error| anyhow::anyhow!("an e-ticket: {error}"))
    }
}
