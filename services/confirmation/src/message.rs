//! What a mail says: the subject, and its text and HTML from templates that the compiler checks.

use std::time::{Duration, SystemTime};

use admissions::{Admission, AdmissionKeys};
use anyhow::Context as _;
use askama::Template;
use common::Quantity;
use common::display::{When, price, product, receipt_number};
use common::events::Order;
use common::listing::Delivery;
use common::{Place, calendar};
use lettre::Message;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue,
};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use url::Url;

use crate::domain::{Kind, Mail, UserReplica};

/// Who writes, and where links lead.
#[derive(Clone, Debug)]
pub struct Letterhead {
    pub from: Mailbox,
    pub public_url: Url,
    /// Of the codes that a buyer gets.
    pub keys: AdmissionKeys,
}

impl Letterhead {
    /// The mail as it is sent. An error lies in the mail itself, such as in its address.
    pub fn compose(&self, mail: &Mail, to: &UserReplica) -> anyhow::Result<Message> {
        let Content { subject, text, html, passes, calendar } = self.content(mail, to)?;
        let address = to.email.parse().with_context(|| format!("the address {:?}", to.email))?;
        let part = |kind: ContentType, body: String| {
            let part = SinglePart::builder().header(kind);
            part.header(ContentTransferEncoding::QuotedPrintable).body(body)
        };
        // The same in each attempt, as the Message-ID is.
        let date = Duration::from_millis(u64::try_from(mail.created_at.millis()).unwrap_or(0));
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(to.name.as_deref().map(one_line), address))
            .subject(one_line(&subject))
            .message_id(Some(mail.id.message_id(self.from.email.domain())))
            .date(SystemTime::UNIX_EPOCH + date)
            .header(AutoSubmitted)
            .multipart(body(
                part(ContentType::TEXT_PLAIN, text),
                part(ContentType::TEXT_HTML, html),
                passes,
                calendar,
            )?)?;
        Ok(message)
    }

    fn content(&self, mail: &Mail, to: &UserReplica) -> anyhow::Result<Content> {
        let about = || {
            let order = mail.order.as_ref().context("the mail names no order")?;
            Ok::<_, anyhow::Error>(About::of(order, self))
        };
        let home = self.link(&[]);
        match mail.kind {
            Kind::Welcome => {
                let name = to.name.clone();
                let subject = "Welcome to Ticketing".to_owned();
                let (text, html) = (
                    WelcomeText { name: name.clone(), home: home.clone() }.render()?,
                    WelcomeHtml { name, home }.render()?,
                );
                Ok(Content::plain(subject, text, html))
            }
            Kind::Paid => {
                let about = about()?;
                let subject = format!("You bought: {}", about.what());
                let order = mail.order.as_ref().context("the mail names no order")?;
                let passes = self.passes(order)?;
                let cids: Vec<_> = passes.iter().map(|pass| (pass.place, pass.cid())).collect();
                let text = PaidText { about: about.clone(), has_passes: !cids.is_empty() };
                let (text, link) = (text.render()?, about.link.clone());
                let html = PaidHtml { about, home, passes: cids }.render()?;
                let listing = &order.ticket.listing;
                let calendar = listing.date.map(|date| {
                    let venue = listing.venue.as_deref();
                    let written_at = mail.created_at;
                    calendar::event(order.id, &listing.title, venue, date, &link, written_at)
                });
                Ok(Content { passes, calendar, ..Content::plain(subject, text, html) })
            }
            Kind::Expired => {
                let about = about()?;
                let subject = format!("Your reservation expired: {}", about.title);
                let text = ExpiredText { about: about.clone() }.render()?;
                Ok(Content::plain(subject, text, ExpiredHtml { about, home }.render()?))
            }
            Kind::Refunded => {
                let about = about()?;
                let subject = format!("Refunded: {}", about.title);
                let text = RefundedText { about: about.clone() }.render()?;
                Ok(Content::plain(subject, text, RefundedHtml { about, home }.render()?))
            }
            Kind::Released => {
                let about = about()?;
                let subject = format!("You haven’t been charged: {}", about.title);
                let text = ReleasedText { about: about.clone() }.render()?;
                Ok(Content::plain(subject, text, ReleasedHtml { about, home }.render()?))
            }
            Kind::Sold => {
                let about = about()?;
                let subject = format!("You sold: {}", about.what());
                let text = SoldText { about: about.clone() }.render()?;
                Ok(Content::plain(subject, text, SoldHtml { about, home }.render()?))
            }
            Kind::SaleRefunded => {
                let about = about()?;
                let subject = format!("Sale refunded: {}", about.title);
                let text = SaleRefundedText { about: about.clone() }.render()?;
                Ok(Content::plain(subject, text, SaleRefundedHtml { about, home }.render()?))
            }
            Kind::SaleDisputed => {
                let about = about()?;
                let subject = format!("Payment disputed: {}", about.title);
                let text = SaleDisputedText { about: about.clone() }.render()?;
                Ok(Content::plain(subject, text, SaleDisputedHtml { about, home }.render()?))
            }
            Kind::Unknown => anyhow::bail!("a later version writes mails of this kind"),
        }
    }

    /// The codes of an order whose tickets are checked in at the seller's door.
    fn passes(&self, order: &Order) -> anyhow::Result<Vec<Pass>> {
        if order.ticket.listing.delivery != Delivery::CheckedInHere {
            return Ok(Vec::new());
        }
        let pass = |place: &Place| {
            let admission = Admission { ticket: order.ticket.id, order: order.id, place: *place };
            let qr = self.keys.code(&admission).qr().context("a code is a QR code")?;
            Ok(Pass { place: *place, png: qr.png()? })
        };
        let mut places = order.places.clone();
        places.sort_unstable();
        places.iter().map(pass).collect()
    }

    /// A page of ours, without anything that says who opened it.
    fn link(&self, path: &[&str]) -> String {
        let mut url = self.public_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url.to_string()
    }
}

/// What a mail is made of.
struct Content {
    subject: String,
    text: String,
    html: String,
    passes: Vec<Pass>,
    /// A calendar file.
    calendar: Option<String>,
}

impl Content {
    fn plain(subject: String, text: String, html: String) -> Content {
        Content { subject, text, html, passes: Vec::new(), calendar: None }
    }
}

/// The picture of a code, which the mail itself contains: nothing is loaded.
struct Pass {
    place: Place,
    png: Vec<u8>,
}

impl Pass {
    fn cid(&self) -> String {
        format!("ticket-{}", self.place)
    }
}

/// The alternatives; the HTML together with its pictures, and beside them the calendar file, if there are any.
fn body(
    text: SinglePart,
    html: SinglePart,
    passes: Vec<Pass>,
    calendar: Option<String>,
) -> anyhow::Result<MultiPart> {
    let alternatives = MultiPart::alternative().singlepart(text);
    let alternatives = if passes.is_empty() {
        alternatives.singlepart(html)
    } else {
        let mut related = MultiPart::related().singlepart(html);
        for pass in passes {
            let name = format!("{}.png", pass.cid());
            let picture = Attachment::new_inline_with_name(pass.cid(), name);
            related = related.singlepart(picture.body(pass.png, ContentType::parse("image/png")?));
        }
        alternatives.multipart(related)
    };
    let Some(calendar) = calendar else { return Ok(alternatives) };
    let (name, media_type) = calendar::FILE;
    let file = Attachment::new(name.to_owned()).body(calendar, ContentType::parse(media_type)?);
    Ok(MultiPart::mixed().multipart(alternatives).singlepart(file))
}

/// A header has no line breaks, whatever its text was made of: no user's text adds a header.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// The facts of an order, as they are shown.
#[derive(Clone, Debug)]
struct About {
    title: String,
    venue: Option<String>,
    date: Option<When>,
    is_checked_in_here: bool,
    quantity: Quantity,
    /// What all places cost together.
    total: String,
    /// The same with its parts: `3 × $20.00 = $60.00`.
    product: String,
    order: String,
    /// The order's page.
    link: String,
    /// The number of its receipt, and its page.
    receipt: String,
    receipt_link: String,
}

impl About {
    fn of(order: &Order, letterhead: &Letterhead) -> About {
        let (listing, id) = (&order.ticket.listing, order.id.to_string());
        About {
            title: listing.title.clone(),
            venue: listing.venue.clone(),
            date: listing.date.map(|date| When::of(date, &listing.time_zone)),
            is_checked_in_here: listing.delivery == Delivery::CheckedInHere,
            quantity: order.quantity,
            total: price(order.total, &listing.currency),
            product: product(order.quantity, listing.price, &listing.currency),
            link: letterhead.link(&["orders", &id]),
            receipt: receipt_number(order.id),
            receipt_link: letterhead.link(&["orders", &id, "receipt"]),
            order: id,
        }
    }

    fn is_of_many(&self) -> bool {
        self.quantity > Quantity::ONE
    }

    /// The headline of the buyer's mail.
    fn bought(&self) -> String {
        if self.is_of_many() {
            format!("You bought {} tickets", self.quantity)
        } else {
            "You bought this ticket".to_owned()
        }
    }

    /// The headline of the seller's mail.
    fn sold(&self) -> String {
        if self.is_of_many() {
            format!("You sold {} tickets", self.quantity)
        } else {
            "You sold a ticket".to_owned()
        }
    }

    /// `Tosca, row 7`, or `3 × Tosca, row 7`.
    fn what(&self) -> String {
        if self.is_of_many() {
            format!("{} × {}", self.quantity, self.title)
        } else {
            self.title.clone()
        }
    }
}

/// A program has written it: no holiday notice is to answer (RFC 3834 §5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[derive(Template)]
#[template(path = "welcome.txt")]
struct WelcomeText {
    name: Option<String>,
    home: String,
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct WelcomeHtml {
    name: Option<String>,
    home: String,
}

#[derive(Template)]
#[template(path = "paid.txt")]
struct PaidText {
    about: About,
    has_passes: bool,
}

#[derive(Template)]
#[template(path = "paid.html")]
struct PaidHtml {
    about: About,
    home: String,
    /// The number of each place, and the name of its picture.
    passes: Vec<(Place, String)>,
}

#[derive(Template)]
#[template(path = "expired.txt")]
struct ExpiredText {
    about: About,
}

#[derive(Template)]
#[template(path = "expired.html")]
struct ExpiredHtml {
    about: About,
    home: String,
}

#[derive(Template)]
#[template(path = "refunded.txt")]
struct RefundedText {
    about: About,
}

#[derive(Template)]
#[template(path = "refunded.html")]
struct RefundedHtml {
    about: About,
    home: String,
}

#[derive(Template)]
#[template(path = "released.txt")]
struct ReleasedText {
    about: About,
}

#[derive(Template)]
#[template(path = "released.html")]
struct ReleasedHtml {
    about: About,
    home: String,
}

#[derive(Template)]
#[template(path = "sold.txt")]
struct SoldText {
    about: About,
}

#[derive(Template)]
#[template(path = "sold.html")]
struct SoldHtml {
    about: About,
    home: String,
}

#[derive(Template)]
#[template(path = "sale-refunded.txt")]
struct SaleRefundedText {
    about: About,
}

#[derive(Template)]
#[template(path = "sale-refunded.html")]
struct SaleRefundedHtml {
    about: About,
    home: String,
}

#[derive(Template)]
#[template(path = "sale-disputed.txt")]
struct SaleDisputedText {
    about: About,
}

#[derive(Template)]
#[template(path = "sale-disputed.html")]
struct SaleDisputedHtml {
    about: About,
    home: String,
}
