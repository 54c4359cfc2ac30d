//! The text and the HTML of each mail.

use askama::Template;
use common::Place;

use super::about::About;
use super::account::Account;

/// Of mails that say the facts of an order, and nothing else.
macro_rules! templates {
    ($($name:ident $text:literal $html:literal;)+) => {
        $(pub fn $name(about: &About, home: &str) -> askama::Result<(String, String)> {
            #[derive(Template)]
            #[template(path = $text)]
            struct Text<'a> {
                about: &'a About,
            }
            #[derive(Template)]
            #[template(path = $html)]
            struct Html<'a> {
                about: &'a About,
                home: &'a str,
            }
            Ok((Text { about }.render()?, Html { about, home }.render()?))
        })+
    };
}

templates! {
    expired "expired.txt" "expired.html";
    refunded "refunded.txt" "refunded.html";
    released "released.txt" "released.html";
    ticket_sent "ticket-sent.txt" "ticket-sent.html";
    payment_failed "payment-failed.txt" "payment-failed.html";
    sold "sold.txt" "sold.html";
    problem_reported "problem-reported.txt" "problem-reported.html";
    sale_refunded "sale-refunded.txt" "sale-refunded.html";
    sale_disputed "sale-disputed.txt" "sale-disputed.html";
    sale_failed "sale-failed.txt" "sale-failed.html";
}

/// Of mails about an account.
macro_rules! account_templates {
    ($($name:ident $text:literal $html:literal;)+) => {
        $(pub fn $name(account: &Account) -> askama::Result<(String, String)> {
            #[derive(Template)]
            #[template(path = $text)]
            struct Text<'a> {
                account: &'a Account,
            }
            #[derive(Template)]
            #[template(path = $html)]
            struct Html<'a> {
                account: &'a Account,
                home: &'a str,
            }
            let home = account.home.as_str();
            Ok((Text { account }.render()?, Html { account, home }.render()?))
        })+
    };
}

account_templates! {
    welcome "welcome.txt" "welcome.html";
    verification "verification.txt" "verification.html";
    recovery "recovery.txt" "recovery.html";
    email_change "email-change.txt" "email-change.html";
    email_change_notice "email-change-notice.txt" "email-change-notice.html";
    password_changed "password-changed.txt" "password-changed.html";
}

#[derive(Template)]
#[template(path = "paid.txt")]
struct PaidText<'a> {
    about: &'a About,
    has_passes: bool,
    has_pdf: bool,
}

#[derive(Template)]
#[template(path = "paid.html")]
struct PaidHtml<'a> {
    about: &'a About,
    home: &'a str,
    /// The number of each place, and the name of its picture.
    passes: &'a [(Place, String)],
    has_pdf: bool,
}

pub fn paid(
    about: &About,
    home: &str,
    passes: &[(Place, String)],
    has_pdf: bool,
) -> askama::Result<(String, String)> {
    let text = PaidText { about, has_passes: !passes.is_empty(), has_pdf };
    Ok((text.render()?, PaidHtml { about, home, passes, has_pdf }.render()?))
}
