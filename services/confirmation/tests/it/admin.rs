//! The admin CLI: `confirmation mails …`, beside the commands that every service has.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn refused_mails_are_listed_shown_and_sent_after_all() {
    let world = World::start().await;
    let cli = world.infra.program("confirmation");
    assert_eq!(cli.run(&["mails", "list"]).await.expect_success(), "No mails.\n");

    world.mailbox.arm(json!({ "kind": "permanent", "match": { "recipient": "buyer" } })).await;
    let order = world.sale().await;
    world.all_final().await;
    let id = format!("paid:{}", order.id);
    let list = cli.run(&["mails", "list"]).await;
    assert!(list.expect_success().starts_with(&id) && list.stdout.contains("550"), "{list:?}");
    assert_eq!(list.stdout.lines().count(), 1, "{list:?}");
    let shown = cli.run(&["mails", "show", &id]).await;
    assert!(shown.expect_success().contains("status    failed"), "{shown:?}");

    world.mailbox.disarm().await;
    let retried = cli.run(&["mails", "retry", &id]).await;
    assert_eq!(retried.expect_success(), format!("{id}: queued\n"));
    // The program's clock is the system's; the test's stands still, a moment before.
    world.infra.clock.advance(std::time::Duration::from_secs(600));
    world.mailbox.expect(2).await;
    world.all_final().await;
    assert_eq!(cli.run(&["mails", "retry", &id]).await.expect_success(), format!("{id}: sent\n"));
    assert_eq!(cli.run(&["mails", "list", "--queued"]).await.expect_success(), "No mails.\n");
    let unknown = cli.run(&["mails", "show", "paid:x"]).await;
    assert_eq!(unknown.expect_failure(), "error: there is no mail paid:x\n");
    let none = cli.run(&["mails", "retry", "--all"]).await;
    assert_eq!(none.expect_failure(), "error: no mail was refused\n");
    cli.run(&["republish"]).await.expect_success();
}
