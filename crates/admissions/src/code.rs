//! What a code says, and how it is written: Base45 (RFC 9285), which a QR code packs as densely as bytes, and which a
//! scanner that acts as a keyboard can type.

use std::fmt;

use common::Place;
use common::ids::{OrderId, TicketId};
use ed25519_dalek::Signature;

use crate::qr::QrCode;

/// The version of the format.
const VERSION: u8 = 1;
/// The version, the key's id, the ticket, the order, and the place.
pub(crate) const STATEMENT: usize = 1 + KEY_ID + 16 + 16 + 2;
pub(crate) const KEY_ID: usize = 4;
const BYTES: usize = STATEMENT + Signature::BYTE_SIZE;
/// Two bytes are three characters, a last one two.
const CHARS: usize = BYTES / 2 * 3 + BYTES % 2 * 2;

/// One place of one order of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    pub ticket: TicketId,
    pub order: OrderId,
    pub place: Place,
}

/// It lets one person in, once. It is shown to its buyer alone, and never printed to a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

/// A text that isn't a code of ours, or was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a code of ours")]
pub struct NotACode;

impl Code {
    /// For its buyer's page, mail or response.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn qr(&self) -> Option<QrCode> {
        QrCode::of(&self.0)
    }

    pub(crate) fn of(statement: &[u8; STATEMENT], signature: &Signature) -> Code {
        Code(base45::encode([statement.as_slice(), &signature.to_bytes()].concat()))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

impl Admission {
    /// What is signed.
    pub(crate) fn statement(&self, key_id: [u8; KEY_ID]) -> [u8; STATEMENT] {
        let mut statement = [0; STATEMENT];
        statement[0] = VERSION;
        statement[1..5].copy_from_slice(&key_id);
        statement[5..21].copy_from_slice(&self.ticket.to_bytes());
        statement[21..37].copy_from_slice(&self.order.to_bytes());
        statement[37..39].copy_from_slice(&self.place.number().to_be_bytes());
        statement
    }
}

/// The parts of a text as a scanner sends it, whose signature isn't verified yet.
pub(crate) struct Unverified {
    pub admission: Admission,
    pub key_id: [u8; KEY_ID],
    pub statement: [u8; STATEMENT],
    pub signature: Signature,
}

impl Unverified {
    pub fn parse(text: &str) -> Result<Unverified, NotACode> {
        // A space is one of the characters, and forms and clipboards remove it at the end.
        let text = format!("{:<CHARS$}", text.trim_matches(['\r', '\n', '\t']).to_uppercase());
        if text.len() != CHARS {
            return Err(NotACode);
        }
        let bytes: [u8; BYTES] =
            base45::decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(NotACode)?;
        let (statement, signature) = bytes.split_at(STATEMENT);
        let statement: [u8; STATEMENT] = statement.try_into().map_err(|_| NotACode)?;
        if statement[0] != VERSION {
            return Err(NotACode);
        }
        let part = |from: usize| -> Result<[u8; 16], NotACode> {
            statement[from..from + 16].try_into().map_err(|_| NotACode)
        };
        Ok(Unverified {
            admission: Admission {
                ticket: TicketId::from_bytes(part(5)?),
                order: OrderId::from_bytes(part(21)?),
                place: Place::new(u16::from_be_bytes([statement[37], statement[38]])),
            },
            key_id: [statement[1], statement[2], statement[3], statement[4]],
            signature: Signature::from_slice(signature).map_err(|_| NotACode)?,
            statement,
        })
    }
}
