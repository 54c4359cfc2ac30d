//! The mails that users get, in the local mailbox.

use serde_json::Value;
use testkit::{Client, eventually};

use crate::Stack;

impl Stack {
    /// Waits for the mail of this subject to an address: the first one is number 1. Returns its text.
    pub async fn mail(&self, to: &str, subject: &str, number: usize) -> String {
        let mailbox = Client::new(&format!("http://127.0.0.1:{}", self.port("mail")));
        let list = format!("/api/mails?to={}", to.replace('+', "%2B"));
        let what = format!("mail {number} to {to}: {subject}");
        let id = eventually(&what, || async {
            let mut list = mailbox.get(&list).await.expect(200);
            let Value::Array(mails) = list["mails"].take() else { return None };
            let mut found = mails.into_iter().filter(|mail| mail["subject"] == subject);
            found.nth(number - 1).map(|mail| mail["id"].clone())
        });
        let mail = mailbox.get(&format!("/api/mails/{}", id.await)).await.expect(200);
        mail["text"].as_str().unwrap_or_default().to_owned()
    }
}

/// The path and query of the link to a page, in the text of a mail.
///
/// # Panics
///
/// If it has none.
pub fn link_in(mail: &str, page: &str) -> String {
    let start = mail.find(&format!("{page}?code="));
    let start = start.unwrap_or_else(|| panic!("no link to {page}: {mail}"));
    mail[start..].split_whitespace().next().unwrap_or_default().to_owned()
}
