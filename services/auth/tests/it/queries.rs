//! What auth asks of its database.

use testkit::Profile;

use super::*;

#[tokio::test]
async fn every_query_has_a_time_limit_and_an_index() {
    let auth = World::start().await;
    let profile = Profile::start(&auth.infra.database("auth").await).await;
    let refreshed = cookie(&auth.sign_up("kim@example.org").await, "refresh");
    let client = auth.service.client();
    client.post("/api/users/signin", credentials("kim@example.org")).await.expect(200);
    client.post("/api/users/signin", credentials("nobody@example.org")).await.expect(401);
    let refreshed = cookie(&auth.refresh(&refreshed).await, "refresh");
    let browser = client.cookie("refresh", &refreshed);
    browser.post("/api/users/signout", json!({})).await;
    auth.infra.bus().wait_for::<common::events::UserCreated>(|_| true).await;
    profile.assert_bounded().await;
}
