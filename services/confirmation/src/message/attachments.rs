//! What the confirmation has with it: the pictures of the codes, the e-tickets, and a calendar file.

use admissions::{Admission, AdmissionKeys, QrCode};
use anyhow::Context as _;
use common::events::Order;
use common::listing::Delivery;
use common::{Place, Time, calendar};
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};

use super::about::About;

#[derive(Default)]
pub(super) struct Attachments {
    pub passes: Vec<Pass>,
    /// The e-tickets, as a PDF.
    pub pdf: Option<SinglePart>,
    /// A calendar file.
    pub calendar: Option<String>,
}

/// The code of a place. The mail itself contains its picture: nothing is loaded.
pub(super) struct Pass {
    pub place: Place,
    code: QrCode,
}

impl Pass {
    pub fn cid(&self) -> String {
        format!("ticket-{}", self.place)
    }
}

impl Attachments {
    /// Those of the confirmation of an order.
    pub fn of(
        order: &Order,
        about: &About,
        keys: &AdmissionKeys,
        written_at: Time,
    ) -> anyhow::Result<Attachments> {
        let (listing, passes) = (&order.ticket.listing, passes(order, keys)?);
        let calendar = listing.date.map(|date| {
            let venue = listing.venue.as_deref();
            calendar::event(order.id, &listing.title, venue, date, &about.link, written_at)
        });
        let pdf = if passes.is_empty() { None } else { pdf(about, &passes)? };
        Ok(Attachments { pdf, passes, calendar })
    }

    /// The alternatives; the HTML together with its pictures, and beside them the files, if there are any.
    pub fn around(self, text: SinglePart, html: SinglePart) -> anyhow::Result<MultiPart> {
        let alternatives = MultiPart::alternative().singlepart(text);
        let alternatives = if self.passes.is_empty() {
            alternatives.singlepart(html)
        } else {
            let mut related = MultiPart::related().singlepart(html);
            for pass in self.passes {
                let name = format!("{}.png", pass.cid());
                let picture = Attachment::new_inline_with_name(pass.cid(), name);
                let png = pass.code.png()?;
                related = related.singlepart(picture.body(png, ContentType::parse("image/png")?));
            }
            alternatives.multipart(related)
        };
        let mut files: Vec<SinglePart> = self.pdf.into_iter().collect();
        if let Some(calendar) = self.calendar {
            let (name, media_type) = calendar::FILE;
            let file = Attachment::new(name.to_owned());
            files.push(file.body(calendar, ContentType::parse(media_type)?));
        }
        if files.is_empty() {
            return Ok(alternatives);
        }
        let mixed = MultiPart::mixed().multipart(alternatives);
        Ok(files.into_iter().fold(mixed, MultiPart::singlepart))
    }
}

/// The codes of an order whose tickets are checked in at the seller's door.
fn passes(order: &Order, keys: &AdmissionKeys) -> anyhow::Result<Vec<Pass>> {
    if order.ticket.listing.delivery != Delivery::CheckedInHere {
        return Ok(Vec::new());
    }
    let pass = |place: &Place| {
        let admission = Admission { ticket: order.ticket.id, order: order.id, place: *place };
        let code = keys.code(&admission).qr().context("a code is a QR code")?;
        Ok(Pass { place: *place, code })
    };
    let mut places = order.places.clone();
    places.sort_unstable();
    places.iter().map(pass).collect()
}

#[cfg(feature = "pdf")]
fn pdf(about: &About, passes: &[Pass]) -> anyhow::Result<Option<SinglePart>> {
    let About { title, venue, date, order, link, receipt, .. } = about.clone();
    let passes = passes.iter().map(|pass| (pass.place, &pass.code));
    let pdf = e_ticket::ETicket { title, venue, date, order, link, receipt }.pdf(passes)?;
    let (name, media_type) = e_ticket::FILE;
    Ok(Some(Attachment::new(name.to_owned()).body(pdf, ContentType::parse(media_type)?)))
}

#[cfg(not(feature = "pdf"))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as with the feature")]
fn pdf(_: &About, _: &[Pass]) -> anyhow::Result<Option<SinglePart>> {
    Ok(None)
}
