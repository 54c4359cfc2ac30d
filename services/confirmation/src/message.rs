//! What a mail says: the subject, and its text and HTML from templates that the compiler checks.

mod about;
mod account;
mod attachments;
mod templates;

use std::time::{Duration, SystemTime};

use account_links::LinkKeys;
use admissions::AdmissionKeys;
use anyhow::Context as _;
use common::Time;
use common::events::{AccountLink, LinkPurpose};
use lettre::Message;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue,
};
use lettre::message::{Mailbox, SinglePart};
use url::Url;

use crate::domain::{Kind, Mail, UserReplica};
use about::About;
use account::{Account, Opening};
use attachments::Attachments;

/// Who writes, and where links lead.
#[derive(Clone, Debug)]
pub struct Letterhead {
    pub from: Mailbox,
    pub public_url: Url,
    /// Of the codes that a buyer gets.
    pub keys: AdmissionKeys,
    /// Of the links that a user gets.
    pub link_keys: LinkKeys,
}

impl Letterhead {
    /// The mail as it is sent. An error lies in the mail itself, such as in its address.
    pub fn compose(&self, mail: &Mail, to: &UserReplica, now: Time) -> anyhow::Result<Message> {
        let Content { subject, text, html, attachments } = self.content(mail, to, now)?;
        let email = mail.address_of(to);
        let address = email.parse().with_context(|| format!("the address {email:?}"))?;
        // Another address than the user's may be somebody else's.
        let name = to.confirmed_name().filter(|_| email == to.email);
        let part = |kind: ContentType, body: String| {
            let part = SinglePart::builder().header(kind);
            part.header(ContentTransferEncoding::QuotedPrintable).body(body)
        };
        // The same in each attempt, as the Message-ID is.
        let date = Duration::from_millis(u64::try_from(mail.created_at.millis()).unwrap_or(0));
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(name.map(one_line), address))
            .subject(one_line(&subject))
            .message_id(Some(mail.id.message_id(self.from.email.domain())))
            .date(SystemTime::UNIX_EPOCH + date)
            .header(AutoSubmitted)
            .multipart(attachments.around(
                part(ContentType::TEXT_PLAIN, text),
                part(ContentType::TEXT_HTML, html),
            )?)?;
        Ok(message)
    }

    fn content(&self, mail: &Mail, to: &UserReplica, now: Time) -> anyhow::Result<Content> {
        if let Some(content) = self.about_account(mail, to, now)? {
            return Ok(content);
        }
        let home = self.link(&[]);
        let order = mail.order.as_ref().context("the mail names no order")?;
        let about = About::of(order, self.link(&["orders", &order.id.to_string()]));
        let mut attachments = Attachments::default();
        let (subject, (text, html)) = match mail.kind {
            Kind::Paid => {
                attachments = Attachments::of(order, &about, &self.keys, mail.created_at)?;
                let passes = attachments.passes.iter().map(|pass| (pass.place, pass.cid()));
                let (passes, has_pdf) = (passes.collect::<Vec<_>>(), attachments.pdf.is_some());
                let content = templates::paid(&about, &home, &passes, has_pdf)?;
                (format!("You bought: {}", about.what()), content)
            }
            Kind::Expired => (
                format!("Your reservation expired: {}", about.title),
                templates::expired(&about, &home)?,
            ),
            Kind::Refunded => {
                (format!("Refunded: {}", about.title), templates::refunded(&about, &home)?)
            }
            Kind::Released => (
                format!("You haven’t been charged: {}", about.title),
                templates::released(&about, &home)?,
            ),
            Kind::TicketSent => (
                format!("Your seller has sent: {}", about.what()),
                templates::ticket_sent(&about, &home)?,
            ),
            Kind::PaymentFailed => (
                format!("Order cancelled: {}", about.title),
                templates::payment_failed(&about, &home)?,
            ),
            Kind::Sold => (format!("You sold: {}", about.what()), templates::sold(&about, &home)?),
            Kind::SaleRefunded => (
                format!("Sale refunded: {}", about.title),
                templates::sale_refunded(&about, &home)?,
            ),
            Kind::SaleDisputed => (
                format!("Payment disputed: {}", about.title),
                templates::sale_disputed(&about, &home)?,
            ),
            Kind::ProblemReported => (
                format!("Problem reported: {}", about.title),
                templates::problem_reported(&about, &home)?,
            ),
            Kind::SaleFailed => {
                (format!("Sale cancelled: {}", about.title), templates::sale_failed(&about, &home)?)
            }
            Kind::Welcome
            | Kind::Verification
            | Kind::Recovery
            | Kind::EmailChange
            | Kind::EmailChangeNotice
            | Kind::PasswordChanged
            | Kind::Unknown => {
                anyhow::bail!("a later version writes mails of this kind")
            }
        };
        Ok(Content { subject, text, html, attachments })
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

/// Mails about an account.
impl Letterhead {
    /// None for mails about something else.
    fn about_account(
        &self,
        mail: &Mail,
        to: &UserReplica,
        now: Time,
    ) -> anyhow::Result<Option<Content>> {
        let account = self.account(mail, to, now)?;
        let (subject, (text, html)) = match mail.kind {
            Kind::Welcome => ("Welcome to Ticketing", templates::welcome(&account)?),
            Kind::Verification => {
                ("Confirm your email address", templates::verification(&account)?)
            }
            Kind::Recovery => ("Choose a new password", templates::recovery(&account)?),
            Kind::EmailChange => {
                ("Confirm your new email address", templates::email_change(&account)?)
            }
            Kind::EmailChangeNotice => {
                ("Your email address is about to change", templates::email_change_notice(&account)?)
            }
            Kind::PasswordChanged => {
                ("Your password was changed", templates::password_changed(&account)?)
            }
            Kind::Paid
            | Kind::Expired
            | Kind::Refunded
            | Kind::Released
            | Kind::TicketSent
            | Kind::PaymentFailed
            | Kind::Sold
            | Kind::ProblemReported
            | Kind::SaleRefunded
            | Kind::SaleDisputed
            | Kind::SaleFailed
            | Kind::Unknown => return Ok(None),
        };
        let (subject, attachments) = (subject.to_owned(), Attachments::default());
        Ok(Some(Content { subject, text, html, attachments }))
    }

    fn account(&self, mail: &Mail, to: &UserReplica, now: Time) -> anyhow::Result<Account> {
        // The welcome has whichever link is outstanding by now.
        let link = if mail.kind == Kind::Welcome {
            to.link(LinkPurpose::Verification, now)
        } else {
            mail.link.as_ref()
        };
        let confirms = link.is_some_and(|link| link.purpose == LinkPurpose::Verification);
        let disown = to.link(LinkPurpose::Disown, now).filter(|_| confirms);
        Ok(Account {
            home: self.link(&[]),
            name: to.confirmed_name().map(str::to_owned),
            link: link.map(|link| self.opening(to, link)).transpose()?,
            disown: disown.map(|link| self.page(to, link)).transpose()?,
            new_email: link.map(|link| link.email.clone()).unwrap_or_default(),
            recover: self.link(&["recover"]),
            password: self.link(&["account", "password"]),
        })
    }

    fn opening(&self, to: &UserReplica, link: &AccountLink) -> anyhow::Result<Opening> {
        let life = link.ends_at.map_or(Duration::ZERO, |end| link.issued_at.until(end));
        Ok(Opening::new(self.page(to, link)?, life))
    }

    /// The page that opens a link. Opening the page alone changes nothing: programs that scan mails do that.
    fn page(&self, to: &UserReplica, link: &AccountLink) -> anyhow::Result<String> {
        let path: &[&str] = match link.purpose {
            LinkPurpose::Verification | LinkPurpose::EmailChange => &["verify"],
            LinkPurpose::Recovery => &["recover", "new"],
            LinkPurpose::Disown => &["disown"],
            LinkPurpose::Unknown => anyhow::bail!("a later version opens links of this purpose"),
        };
        let code = self.link_keys.code(link.purpose, to.id, &link.nonce);
        let code = code.context("the code of a link")?;
        Ok(format!("{}?code={code}", self.link(path)))
    }
}

/// What a mail is made of.
struct Content {
    subject: String,
    text: String,
    html: String,
    attachments: Attachments,
}

/// A header has no line breaks, whatever its text was made of: no user's text adds a header.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
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
