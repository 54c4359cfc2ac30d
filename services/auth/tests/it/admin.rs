//! Admin commands: `auth republish …`.

use common::events::{LinkPurpose, UserCreated, UserUpdated};
use store::RESTORE_VERSION_OFFSET;

use super::*;

#[tokio::test]
async fn every_user_is_republished_and_after_a_restore_in_a_newer_version() {
    let auth = World::start().await;
    auth.sign_up("kim@example.org").await;
    let bus = auth.infra.bus();
    let created = bus.wait_for::<UserCreated>(|_| true).await;
    let operator = auth.infra.program("auth");
    let output = operator.run(&["republish"]).await;
    let expected = "Republishing 1 events of 1 documents.\nAll events are published.\n";
    assert_eq!(output.expect_success(), expected);
    assert_eq!(bus.published::<UserCreated>().await, [created.clone(), created]);

    operator.run(&["republish", "--restored"]).await.expect_success();
    let updated = bus.published::<UserUpdated>().await.pop().unwrap();
    assert_eq!(updated.0.version, RESTORE_VERSION_OFFSET + 1);
    let none = operator.run(&["dead-letters", "list"]).await;
    assert_eq!(none.expect_success(), "No dead letters.\n");
}

/// A back-up has sessions that were revoked after it: who signed out would be signed in again, and a stolen refresh token
/// that was used already would be current again.
#[tokio::test]
async fn every_session_is_revoked_after_a_restore_and_by_nothing_less() {
    let auth = World::start().await;
    let signed_up = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let operator = auth.infra.program("auth");
    operator.run(&["republish"]).await.expect_success();
    let before = cookie(&auth.refresh(&signed_up).await, "refresh");

    operator.run(&["republish", "--restored"]).await.expect_success();
    auth.refresh(&before).await.problem(401, "not-signed-in");
    let credentials = credentials("kim@example.org");
    let signed_in = auth.service.client().post("/api/users/signin", credentials).await;
    signed_in.expect(200);
    auth.refresh(&cookie(&signed_in, "refresh")).await.expect(200);
}

/// As with a used refresh token: a link that has led into the account since would do so again.
#[tokio::test]
async fn no_link_leads_into_an_account_after_a_restore() {
    let auth = World::start().await;
    let user = auth.sign_up("kim@example.org").await.body;
    let recovery = auth.recovery_code(&user).await;
    let verification = auth.code(&user, LinkPurpose::Verification).await;
    let operator = auth.infra.program("auth");
    operator.run(&["republish", "--restored"]).await.expect_success();
    let body = json!({ "code": recovery, "password": "battery staple" });
    auth.post("/api/users/recovery/confirm", body).await.problem(409, "link-invalid");
    let body = json!({ "code": verification });
    auth.post("/api/users/verification/confirm", body).await.expect(204);
}

#[tokio::test]
async fn help_names_every_command_and_the_settings() {
    let auth = World::start().await;
    let help = auth.infra.program("auth").run(&["--help"]).await;
    for expected in [
        "dead-letters",
        "republish",
        "generate-keys",
        "JWT_PRIVATE_KEY",
        "LINK_KEYS",
        "NATS_MONITOR_URL",
    ] {
        assert!(help.expect_success().contains(expected), "{expected} is not in:\n{}", help.stdout);
    }
    assert!(help.stdout.starts_with("Signs users up, in and out"), "{}", help.stdout);
    let help = auth.infra.program("auth").run(&["republish", "--help"]).await;
    assert!(
        help.expect_success()
            .starts_with("Publishes the current state of this service's documents again"),
        "{}",
        help.stdout
    );
}
