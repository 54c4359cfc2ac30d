//! One page: whom it lets in, where and when, and the code.

use admissions::{QUIET, QrCode};
use common::Place;
use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Rect, Transform};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule};
use krilla::surface::Surface;
use krilla::text::TextDirection;

use crate::text::Typeface;
use crate::ticket::ETicket;

/// A4, in points.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 56.0;
/// As wide as a phone, with the light margin that scanners want: nine centimetres and more.
const CODE: f32 = 280.0;
/// Where the values of the facts begin.
const VALUES: f32 = MARGIN + 72.0;

const TERMS: &str = "It lets one person in, once: share it only with the person who comes with you. \
    It is valid as long as your order is; after a refund it no longer opens the door.";

const BRAND: (u8, u8, u8) = (0xc1, 0x2b, 0x09);
const INK: (u8, u8, u8) = (0x20, 0x20, 0x30);
const SOFT: (u8, u8, u8) = (0x53, 0x54, 0x63);
const RULE: (u8, u8, u8) = (0xd7, 0xd0, 0xc4);

pub struct Pages<'a> {
    pub ticket: &'a ETicket,
    pub typeface: &'a Typeface,
    /// How many there are.
    pub count: usize,
}

impl Pages<'_> {
    /// None: the measures aren't those of a page.
    pub fn draw(
        &self,
        document: &mut Document,
        number: usize,
        place: Place,
        code: &QrCode,
    ) -> Option<()> {
        let mut page = document.start_page_with(PageSettings::from_wh(WIDTH, HEIGHT)?);
        let mut sheet = Sheet { surface: page.surface(), typeface: self.typeface, y: MARGIN };
        sheet.header(number, self.count)?;
        sheet.title(&self.ticket.title);
        self.facts(&mut sheet, place);
        sheet.code(code)?;
        sheet.paragraph("Show this code at the door, on your phone or printed.", 12.0, INK);
        sheet.y += 4.0;
        sheet.paragraph(TERMS, 10.0, SOFT);
        sheet.y += 8.0;
        sheet.paragraph(&self.ticket.link, 9.0, SOFT);
        drop(sheet);
        page.finish();
        Some(())
    }

    fn facts(&self, sheet: &mut Sheet<'_>, place: Place) {
        let ETicket { venue, date, order, receipt, .. } = self.ticket;
        if let Some(date) = date {
            sheet.fact("Date", &format!("{}, {} {}", date.date, date.time, date.zone));
        }
        if let Some(venue) = venue {
            sheet.fact("Venue", venue);
        }
        sheet.fact("Ticket", &place.to_string());
        sheet.fact("Order", order);
        sheet.fact("Receipt", receipt);
    }
}

/// A page that is filled from the top.
struct Sheet<'a> {
    surface: Surface<'a>,
    typeface: &'a Typeface,
    /// Where the next line begins.
    y: f32,
}

impl Sheet<'_> {
    fn header(&mut self, number: usize, count: usize) -> Option<()> {
        self.y += 14.0;
        self.write(MARGIN, "Ticketing", 18.0, BRAND);
        let label =
            if count > 1 { format!("E-ticket {number} of {count}") } else { "E-ticket".to_owned() };
        self.write(WIDTH - MARGIN - self.typeface.width(&label, 11.0), &label, 11.0, SOFT);
        self.y += 14.0;
        let rule = Rect::from_xywh(MARGIN, self.y, WIDTH - 2.0 * MARGIN, 1.0)?;
        self.fill([rule], RULE)?;
        self.y += 14.0;
        Some(())
    }

    /// A long one is smaller: it may fill a quarter of the page.
    fn title(&mut self, title: &str) {
        const SHORT: usize = 60;
        let size = if title.chars().count() > SHORT { 17.0 } else { 25.0 };
        self.paragraph(title, size, INK);
        self.y += 8.0;
    }

    fn fact(&mut self, name: &str, value: &str) {
        const SIZE: f32 = 11.5;
        for (index, line) in
            self.typeface.lines(value, SIZE, WIDTH - MARGIN - VALUES).iter().enumerate()
        {
            self.y += SIZE * 1.45;
            if index == 0 {
                self.write(MARGIN, name, SIZE, SOFT);
            }
            self.write(VALUES, line, SIZE, INK);
        }
    }

    fn paragraph(&mut self, text: &str, size: f32, colour: (u8, u8, u8)) {
        for line in self.typeface.lines(text, size, WIDTH - 2.0 * MARGIN) {
            self.y += size * 1.3;
            self.write(MARGIN, &line, size, colour);
        }
    }

    /// The modules, as one drawing, so that there are no seams between them; in units of a module, so that it is small.
    fn code(&mut self, code: &QrCode) -> Option<()> {
        self.y += 14.0;
        let module = CODE / code.size() as f32;
        let left = MARGIN - module * QUIET as f32;
        self.surface.push_transform(&Transform::from_row(module, 0.0, 0.0, module, left, self.y));
        let rows =
            (0..code.size()).flat_map(|y| code.dark_runs(y).into_iter().map(move |run| (y, run)));
        let runs = rows
            .filter_map(|(y, (x, length))| Rect::from_xywh(x as f32, y as f32, length as f32, 1.0));
        self.fill(runs, (0, 0, 0))?;
        self.surface.pop();
        self.y += CODE;
        Some(())
    }

    fn fill(&mut self, shapes: impl IntoIterator<Item = Rect>, colour: (u8, u8, u8)) -> Option<()> {
        let mut path = PathBuilder::new();
        for shape in shapes {
            path.push_rect(shape);
        }
        self.surface.set_fill(Some(fill(colour)));
        self.surface.draw_path(&path.finish()?);
        Some(())
    }

    fn write(&mut self, x: f32, text: &str, size: f32, colour: (u8, u8, u8)) {
        self.surface.set_fill(Some(fill(colour)));
        let (start, font) = (Point::from_xy(x, self.y), self.typeface.font.clone());
        self.surface.draw_text(start, font, size, text, false, TextDirection::Auto);
    }
}

fn fill((red, green, blue): (u8, u8, u8)) -> Fill {
    let paint = rgb::Color::new(red, green, blue).into();
    Fill { paint, opacity: NormalizedF32::ONE, rule: FillRule::NonZero }
}
