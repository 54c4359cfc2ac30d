//! Mails about an account: each once, to the right address, with a link that opens what it says, and none that is over.

use std::time::Duration;

use account_links::{Code, LinkKeys};
use common::Time;
use common::events::{
    AccountLink, LinkPurpose, PasswordChange, User, UserCreated, UserStatus, UserUpdated,
};
use serde_json::json;
use testkit::eventually;
use testkit::fixtures::UserChanges as _;

use crate::world::{Mailbox, World, user_event};

const KIM: &str = "kim@example.org";
const NEW: &str = "kim@new.example.org";

fn link(purpose: LinkPurpose, nonce: &str, email: &str, now: Time) -> AccountLink {
    let ends_at = (purpose != LinkPurpose::Disown).then(|| now + Duration::from_secs(3600));
    let (nonce, email) = (nonce.to_owned(), email.to_owned());
    AccountLink { purpose, nonce, email, issued_at: now, ends_at, at_sign_up: false }
}

/// As auth publishes a sign-up.
fn signed_up(world: &World) -> User {
    let now = world.infra.clock.now();
    let user = user_event(world.buyer.id, KIM, &world.infra).with_name(Some("Kim".to_owned()));
    let links = [(LinkPurpose::Verification, "v1"), (LinkPurpose::Disown, "d")]
        .map(|(purpose, nonce)| AccountLink { at_sign_up: true, ..link(purpose, nonce, KIM, now) });
    User { email_verified: false, links: links.into(), ..user }
}

/// The next version with these links.
fn with_links(user: &User, links: &[AccountLink]) -> User {
    User { links: links.to_vec(), version: user.version + 1, ..user.clone() }
}

async fn mail(world: &World, id: u64) -> (String, String) {
    let mail = world.mailbox.get_json(&format!("/api/mails/{id}")).await;
    (mail["text"].as_str().unwrap().to_owned(), mail["html"].as_str().unwrap().to_owned())
}

/// The code in a text, at the page of this path.
fn code_in(text: &str, page: &str) -> Code {
    let (_, rest) = text.split_once(&format!("{page}?code=")).unwrap_or_else(|| panic!("{text}"));
    rest[..64].parse().unwrap()
}

fn opens(world: &World, code: &Code, purpose: LinkPurpose, nonce: &str) -> bool {
    LinkKeys::from_file(&world.infra.link_key_file()).unwrap().verify(code, purpose, nonce)
}

#[tokio::test]
async fn the_welcome_has_the_links_and_nothing_that_its_sender_chose() {
    let world = World::start_without_users().await;
    let user = signed_up(&world);
    world.publish_user(&user).await;
    world.bus().publish_again(&UserCreated(user.clone())).await;
    // An unrelated change, which still has the link of the sign-up.
    world.bus().publish(&UserUpdated(with_links(&user, &user.links))).await;
    world.settled().await;
    world.all_sent().await;
    let arrived = world.mailbox.expect(1).await;
    let (text, html) = mail(&world, arrived[0].id).await;
    for (page, purpose, nonce) in
        [("/verify", LinkPurpose::Verification, "v1"), ("/disown", LinkPurpose::Disown, "d")]
    {
        let code = code_in(&text, page);
        assert!(opens(&world, &code, purpose, nonce) && html.contains(&code.to_string()));
    }
    // Anybody may have signed up with this address.
    let read = world.mailbox.get_json(&format!("/api/mails/{}", arrived[0].id)).await;
    assert!(!text.contains("Kim") && !html.contains("Kim"), "{text}");
    assert!(!read["headers"].to_string().contains("Kim <"), "{read}");
}

#[tokio::test]
async fn a_user_is_addressed_by_name_once_the_address_is_theirs() {
    let world = World::start_without_users().await;
    let user = user_event(world.buyer.id, KIM, &world.infra).with_name(Some("Kim".to_owned()));
    world.publish_user(&user).await;
    world.settled().await;
    let arrived = world.mailbox.expect(1).await;
    let (text, _) = mail(&world, arrived[0].id).await;
    assert!(text.starts_with("Hello Kim,") && !text.contains("?code="), "{text}");
}

#[tokio::test]
async fn each_link_and_each_change_leads_to_its_mails_once() {
    let world = World::start_without_users().await;
    let now = world.infra.clock.now();
    let user = user_event(world.buyer.id, KIM, &world.infra);
    world.publish_user(&user).await;
    let verification = link(LinkPurpose::Verification, "v2", KIM, now);
    let recovery = link(LinkPurpose::Recovery, "r", KIM, now);
    let change = link(LinkPurpose::EmailChange, "e", NEW, now);
    let links = with_links(&user, &[verification, recovery, change]);
    let password_change = Some(PasswordChange { at: now, email: KIM.to_owned() });
    let changed = User { password_change, ..with_links(&links, &links.links) };
    for event in [&links, &changed, &links, &changed] {
        world.bus().publish_again(&UserUpdated(event.clone())).await;
        world.settled().await;
    }
    world.all_sent().await;
    let arrived = world.mailbox.expect(6).await;
    let expected = [
        (KIM, "email_change_notice"),
        (KIM, "password_changed"),
        (KIM, "recovery"),
        (KIM, "verification"),
        (KIM, "welcome"),
        (NEW, "email_change"),
    ];
    let expected = expected.map(|(to, kind)| (to.to_owned(), kind.to_owned()));
    assert_eq!(world.mailbox.summary().await, expected);
    for one in arrived {
        let (text, html) = mail(&world, one.id).await;
        let (page, purpose, nonce) = match one.subject.as_str() {
            "Choose a new password" => ("/recover/new", LinkPurpose::Recovery, "r"),
            "Confirm your new email address" => ("/verify", LinkPurpose::EmailChange, "e"),
            "Confirm your email address" => ("/verify", LinkPurpose::Verification, "v2"),
            "Your email address is about to change" => {
                assert!(text.contains(NEW) && text.contains("/account/password"), "{text}");
                continue;
            }
            "Your password was changed" => {
                assert!(text.contains("/recover") && !text.contains("code="), "{text}");
                continue;
            }
            "Welcome to Ticketing" => continue,
            other => panic!("{other}"),
        };
        let code = code_in(&text, page);
        assert!(opens(&world, &code, purpose, nonce), "{text}");
        assert!(html.contains(&code.to_string()) && html.contains("class=\"button\""));
    }
}

/// The mails are written while there is no mail server, and the account changes until there is one.
#[tokio::test]
async fn what_is_over_when_it_could_be_sent_is_not_sent() {
    let mut mailbox = Mailbox::start().await;
    let url = mailbox.smtp_url();
    mailbox.stop().await;
    let mut world = World::start_with(mailbox, &["--smtp-url", &url]).await;
    let now = world.infra.clock.now();
    let user = user_event(world.buyer.id, KIM, &world.infra);
    world.publish_user(&user).await;
    let links = |nonce: &str| {
        [LinkPurpose::Verification, LinkPurpose::Recovery]
            .map(|purpose| link(purpose, &format!("{purpose:?} {nonce}"), KIM, now))
    };
    let change = link(LinkPurpose::EmailChange, "e", NEW, now);
    let first = with_links(&user, &[links("1").as_slice(), &[change]].concat());
    let second = with_links(&first, &links("2"));
    // The address changed, which was the end of all links.
    let moved = with_links(&second, &[]).with_email(NEW);
    let third = with_links(&moved, &[link(LinkPurpose::Recovery, "3", NEW, now)]);
    // Late, and out of order.
    for event in [&second, &first, &third, &moved] {
        world.bus().publish_again(&UserUpdated(event.clone())).await;
        world.settled().await;
    }
    world.mailbox.restart().await;
    world.all_final().await;
    let mut expected = [(KIM, "email_change_notice"), (NEW, "recovery"), (NEW, "welcome")].to_vec();
    expected.sort_unstable();
    let expected: Vec<_> =
        expected.into_iter().map(|(to, kind)| (to.to_owned(), kind.to_owned())).collect();
    assert_eq!(world.mailbox.summary().await, expected);
    let reasons = world.mails().await.into_iter().filter_map(|mail| {
        (mail.get_str("status").unwrap() == "suppressed")
            .then(|| mail.get_str("reason").unwrap().to_owned())
    });
    let reasons: Vec<_> = reasons.collect();
    assert_eq!(reasons, ["its link was used or replaced"; 5]);
}

/// Waits until the server has put a mail off: nothing is being sent that was decided before.
async fn deferred(world: &World, id: &str) {
    eventually("the mail to be put off", || async {
        let mails = world.mails().await;
        let mail = mails.iter().find(|mail| mail.get_str("_id").unwrap() == id)?;
        let is_deferred =
            mail.get_str("status").unwrap() == "queued" && mail.get_i64("failures").unwrap() > 0;
        is_deferred.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_link_that_has_ended_and_a_closed_account_get_no_mail() {
    let world = World::start_without_users().await;
    world.mailbox.arm(json!({ "kind": "temporary" })).await;
    let now = world.infra.clock.now();
    let user = user_event(world.buyer.id, KIM, &world.infra);
    world.publish_user(&user).await;
    let links = with_links(&user, &[link(LinkPurpose::Recovery, "r", KIM, now)]);
    world.bus().publish(&UserUpdated(links.clone())).await;
    deferred(&world, &format!("recovery:{}:r", user.id)).await;
    world.infra.clock.advance(Duration::from_secs(3600));
    let other = user_event(world.seller.id, "victim@example.org", &world.infra);
    world.publish_user(&other).await;
    deferred(&world, &format!("welcome:{}", other.id)).await;
    let email = format!("closed:{}", other.id);
    let closed = User { status: UserStatus::Closed, version: 2, email, ..other };
    world.bus().publish(&UserUpdated(closed)).await;
    world.settled().await;
    world.mailbox.disarm().await;
    world.all_final().await;
    let statuses = world.statuses().await;
    let of = |id: String| &statuses.iter().find(|(known, _)| *known == id).unwrap().1;
    assert_eq!(of(format!("recovery:{}:r", user.id)), "suppressed");
    assert_eq!(of(format!("welcome:{}", user.id)), "sent");
    assert_eq!(of(format!("welcome:{}", world.seller.id)), "suppressed");
}

/// A mail of the version before has no link and no address of its own, and its user no links.
#[tokio::test]
async fn a_mail_and_a_user_of_the_version_before_are_read() {
    let mut mailbox = Mailbox::start().await;
    let url = mailbox.smtp_url();
    mailbox.stop().await;
    let mut world = World::start_with(mailbox, &["--smtp-url", &url]).await;
    world.publish_user(&user_event(world.buyer.id, KIM, &world.infra)).await;
    world.settled().await;
    let database = world.infra.database("confirmation").await;
    let unset = bson::doc! { "$unset": { "link": "", "to": "", "links": "", "emailVerified": "" } };
    for name in ["mails", "users"] {
        let all = database.collection::<bson::Document>(name);
        all.update_many(bson::doc! {}, unset.clone()).await.unwrap();
    }
    world.mailbox.restart().await;
    world.all_final().await;
    world.mailbox.expect(1).await;
}
