//! A mail as it is read: parsed by another library than the one that the services write mails with.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders as _};
use serde::Serialize;

use crate::mailbox::{Envelope, Mail};

/// A line of the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub id: u64,
    #[serde(flatten)]
    pub envelope: Envelope,
    pub subject: String,
    pub message_id: String,
    pub size: usize,
}

/// A mail, taken apart.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    #[serde(flatten)]
    pub summary: Summary,
    pub headers: Vec<Header>,
    /// None: it has no such part.
    pub text: Option<String>,
    pub html: Option<String>,
    pub attachments: Vec<Attachment>,
}

#[derive(Debug, Serialize)]
pub struct Header {
    pub name: String,
    /// As it was sent, unfolded but still encoded.
    pub value: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    pub number: usize,
    pub name: String,
    pub content_type: String,
    pub content_id: Option<String>,
    pub size: usize,
}

pub fn summarise(mail: &Mail) -> Summary {
    of(mail, &parse(mail))
}

pub fn read(mail: &Mail) -> Reading {
    let message = parse(mail);
    let headers = message.headers_raw().map(|(name, value)| Header {
        name: name.to_owned(),
        value: value.split_whitespace().collect::<Vec<_>>().join(" "),
    });
    let part = |part: &MessagePart<'_>| part.text_contents().map(str::to_owned);
    let attachments = message.attachments().enumerate().map(|(number, part)| Attachment {
        number,
        name: part.attachment_name().unwrap_or("unnamed").to_owned(),
        content_type: content_type(part),
        content_id: part.content_id().map(str::to_owned),
        size: part.contents().len(),
    });
    Reading {
        summary: of(mail, &message),
        headers: headers.collect(),
        // Where a mail has only one of the two, the parser would convert it into the other.
        text: message.text_bodies().find(|it| !it.is_text_html()).and_then(part),
        html: message.html_bodies().find(|it| it.is_text_html()).and_then(part),
        attachments: attachments.collect(),
    }
}

/// The HTML part, with the images that it refers to in the mail itself (`cid:`): nothing else is loaded.
pub fn self_contained_html(mail: &Mail) -> Option<String> {
    let message = parse(mail);
    let mut html = message.html_bodies().find(|it| it.is_text_html())?.text_contents()?.to_owned();
    for part in message.attachments() {
        let Some(id) = part.content_id() else { continue };
        let data = BASE64_STANDARD.encode(part.contents());
        let url = format!("data:{};base64,{data}", content_type(part));
        html = html.replace(&format!("cid:{id}"), &url);
    }
    Some(html)
}

/// The content of one attachment, and its type.
pub fn attachment(mail: &Mail, number: usize) -> Option<(String, Vec<u8>)> {
    let message = parse(mail);
    let part = message.attachments().nth(number)?;
    Some((content_type(part), part.contents().to_owned()))
}

fn parse(mail: &Mail) -> Message<'_> {
    MessageParser::default().parse(&mail.raw).unwrap_or_default()
}

fn of(mail: &Mail, message: &Message<'_>) -> Summary {
    Summary {
        id: mail.id,
        envelope: mail.envelope.clone(),
        subject: message.subject().unwrap_or_default().to_owned(),
        message_id: message.message_id().unwrap_or_default().to_owned(),
        size: mail.raw.len(),
    }
}

fn content_type(part: &MessagePart<'_>) -> String {
    match part.content_type() {
        Some(kind) => format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("octet-stream")),
        None => "application/octet-stream".to_owned(),
    }
}
