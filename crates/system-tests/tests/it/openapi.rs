//! The documents of the services as one, which web serves and shows.

use httpkit::openapi::merge;
use serde_json::Value;
use testkit::openapi::assert_committed;

use crate::shared;

#[test]
fn the_openapi_document_of_web_is_that_of_all_services() {
    assert_committed(
        "web",
        &merge(vec![
            auth::openapi::document(),
            tickets::openapi::document(),
            orders::openapi::document(),
            payments::openapi::document(),
            confirmation::openapi::document(),
        ]),
    );
}

#[tokio::test]
async fn each_service_serves_its_document_and_web_that_of_all() {
    let stack = shared::default().await;
    let visitor = stack.visitor();
    let all = visitor.get("/docs/openapi.json").await.expect(200);
    let mut paths = 0;
    for service in ["auth", "tickets", "orders", "payments", "confirmation"] {
        let own: Value = visitor.get(&format!("/api/{service}/openapi.json")).await.expect(200);
        for (path, calls) in own["paths"].as_object().unwrap() {
            assert_eq!(all["paths"][path], *calls, "{path}");
            paths += 1;
        }
    }
    assert_eq!(all["paths"].as_object().unwrap().len(), paths);
}

#[tokio::test]
async fn the_api_is_described_on_a_page() {
    let stack = shared::default().await;
    let page = stack.browser().opens("/docs").await;
    let all = stack.visitor().get("/docs/openapi.json").await.expect(200);
    let calls = all["paths"].as_object().unwrap().values();
    let calls: usize = calls.map(|methods| methods.as_object().unwrap().len()).sum();
    assert_eq!(page.texts("[data-test='call']").len(), calls);
    let events = stack.visitor().get("/docs/asyncapi.json").await.expect(200);
    assert_eq!(events, bus::asyncapi::document());
    let ids = page.attributes("[id]", "id");
    for link in page.attributes("main a[href^='#']", "href") {
        assert!(ids.contains(&link.trim_start_matches('#').to_owned()), "{link}");
    }
}
