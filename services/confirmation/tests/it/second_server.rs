//! A second, independent mail server: aiosmtpd, which Python's authors use. What our own mailbox takes, another must take too.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;

use common::events::UserCreated;
use testkit::fixtures::UserChanges as _;
use testkit::{environment, eventually};
use tokio::process::{Child, Command};

use crate::world::{Mailbox, World, user_event};

/// Keeps its mails in a Maildir.
fn start(port: u16, maildir: &Path) -> Child {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", environment::required(environment::AIOSMTPD));
    command.args(["-m", "aiosmtpd", "--nosetuid", "--smtputf8"]);
    command.args(["--listen", &format!("127.0.0.1:{port}")]);
    command.args(["--class", "aiosmtpd.handlers.Mailbox"]).arg(maildir);
    command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

fn mails(maildir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(maildir.join("new")).into_iter().flatten();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

#[tokio::test]
async fn another_mail_server_takes_the_same_mails_also_after_it_was_down() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let folder = tempfile::tempdir().unwrap();
    let maildir = folder.path().join("mails");
    let url = format!("smtp://127.0.0.1:{port}?tls=never");
    let world = World::start_with(Mailbox::start().await, &["--smtp-url", &url]).await;

    // An address with letters beyond ASCII needs SMTPUTF8.
    let buyer = user_event(world.buyer.id, "käthe@example.org", &world.infra);
    let buyer = buyer.with_name(Some("Käthe, née \"K\" 🎟".to_owned()));
    world.bus().publish(&UserCreated(buyer)).await;
    world.publish_user(&user_event(world.seller.id, "seller@example.org", &world.infra)).await;
    world.sale().await;
    eventually("an attempt to have failed", || async {
        let mails = world.mails().await;
        mails.iter().any(|mail| mail.get_i64("failures").unwrap() > 0).then_some(())
    })
    .await;
    let _server = start(port, &maildir);
    world.all_final().await;
    let statuses = world.statuses().await;
    assert!(statuses.iter().all(|(_, status)| status == "sent"), "{statuses:?}");
    let mails = mails(&maildir);
    assert_eq!(mails.len(), 4, "{mails:#?}");
    for expected in ["<käthe@example.org>", "X-RcptTo: seller@example.org", "Message-ID: <paid."] {
        assert!(mails.iter().any(|mail| mail.contains(expected)), "{expected}: {mails:#?}");
    }
}
