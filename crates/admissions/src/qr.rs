//! The picture of a code: SVG for pages, PNG for mails, whose readers show no SVG.

use std::fmt::Write as _;

use fast_qr::{ECL, Mode, QRBuilder, QRCode, Version};

/// How wide the light margin is that scanners want: four modules (ISO/IEC 18004).
pub const QUIET: usize = 4;
/// What a code of version 7 with medium error correction holds, of these characters.
const CAPACITY: usize = 178;
const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
/// The width of a module in a PNG, in pixels.
const SCALE: usize = 6;

/// A QR code, dark on light in any colour scheme.
pub struct QrCode {
    /// The modules of each row: dark ones are true.
    rows: Vec<Vec<bool>>,
}

impl QrCode {
    /// With medium error correction, which a cracked screen or a crumpled print needs, a code has 45 × 45 modules.
    /// None of a text that can't be a code of ours.
    pub fn of(code: &str) -> Option<QrCode> {
        let is_code = code.len() <= CAPACITY && code.bytes().all(|byte| ALPHABET.contains(&byte));
        let mut builder = QRBuilder::new(code);
        builder.ecl(ECL::M).mode(Mode::Alphanumeric).version(Version::V07);
        let qr = is_code.then(|| builder.build().ok()).flatten()?;
        Some(QrCode { rows: rows(&qr) })
    }

    /// How many modules it is wide and high, with the margin.
    pub fn size(&self) -> usize {
        self.rows.len() + 2 * QUIET
    }

    /// The dark modules of a row, to draw it in another format: where each run begins, and how long it is.
    pub fn dark_runs(&self, y: usize) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for x in (0..self.size()).filter(|x| self.is_dark(*x, y)) {
            match runs.last_mut() {
                Some((start, length)) if *start + *length == x => *length += 1,
                Some(_) | None => runs.push((x, 1)),
            }
        }
        runs
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        let (Some(x), Some(y)) = (x.checked_sub(QUIET), y.checked_sub(QUIET)) else { return false };
        self.rows.get(y).and_then(|row| row.get(x)).copied().unwrap_or(false)
    }

    /// An element for a page, without style or script. `label` is what a screen reader says, and must not need escaping.
    pub fn svg(&self, label: &str) -> String {
        let size = self.size();
        let mut dark = String::new();
        for y in 0..size {
            for x in (0..size).filter(|x| self.is_dark(*x, y)) {
                let _ = write!(dark, "M{x} {y}h1v1h-1z");
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"qr\" role=\"img\" aria-label=\"{label}\" \
             viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
             <path fill=\"#fff\" d=\"M0 0h{size}v{size}H0z\"/><path fill=\"#000\" d=\"{dark}\"/></svg>"
        )
    }

    /// A picture with one bit per pixel.
    pub fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let width = self.size() * SCALE;
        let mut pixels = Vec::with_capacity(width * width.div_ceil(8));
        for y in 0..width {
            for start in (0..width).step_by(8) {
                let byte = (0..8).fold(0_u8, |byte, bit| {
                    let is_light = !self.is_dark((start + bit) / SCALE, y / SCALE);
                    byte << 1 | u8::from(is_light)
                });
                pixels.push(byte);
            }
        }
        let side = u32::try_from(width).unwrap_or(u32::MAX);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        encoder.write_header()?.write_image_data(&pixels)?;
        Ok(file)
    }
}

fn rows(qr: &QRCode) -> Vec<Vec<bool>> {
    (0..qr.size)
        .map(|y| qr[y].iter().take(qr.size).map(|module| module.value()).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use common::ids::{OrderId, TicketId};
    use common::{Place, Time};
    use ed25519_dalek::SigningKey;
    use ed25519_dalek::pkcs8::EncodePrivateKey;
    use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;

    use crate::{Admission, AdmissionKeys, Code};

    fn code() -> Code {
        let pem = SigningKey::from_bytes(&[7; 32]).to_pkcs8_pem(LineEnding::LF).unwrap();
        let now = Time::from_millis(1_800_000_000_000);
        let (ticket, order) = (TicketId::new(now), OrderId::new(now));
        AdmissionKeys::from_pem(&pem).unwrap().code(&Admission {
            ticket,
            order,
            place: Place::new(3),
        })
    }

    /// Read by another library.
    fn read(width: usize, grey: impl Fn(usize, usize) -> u8) -> String {
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, width, grey);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        let (meta, content) = grids[0].decode().unwrap();
        assert!(meta.version.0 <= 8, "{meta:?}");
        content
    }

    #[test]
    fn another_library_reads_the_code_from_the_png() {
        let code = code();
        let png = code.qr().unwrap().png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (318, 318));
        let grey = |x: usize, y: usize| {
            let byte = pixels[y * info.line_size + x / 8];
            if byte >> (7 - x % 8) & 1 == 1 { 255 } else { 0 }
        };
        assert_eq!(read(318, grey), code.reveal());
    }

    #[test]
    fn the_svg_has_the_same_modules_and_needs_no_style() {
        let code = code();
        let svg = code.qr().unwrap().svg("Ticket 3");
        assert!(!svg.contains("style") && svg.contains("viewBox=\"0 0 53 53\""), "{svg}");
        let dark = svg.split("fill=\"#000\" d=\"").nth(1).unwrap();
        let dark: std::collections::HashSet<(usize, usize)> = dark
            .split("h1v1h-1z")
            .filter_map(|module| {
                let (x, y) = module.strip_prefix('M')?.split_once(' ')?;
                Some((x.parse().unwrap(), y.parse().unwrap()))
            })
            .collect();
        let grey = |x: usize, y: usize| if dark.contains(&(x / 6, y / 6)) { 0 } else { 255 };
        assert_eq!(read(53 * 6, grey), code.reveal());
    }
}
