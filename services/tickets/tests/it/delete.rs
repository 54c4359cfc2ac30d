use common::events::{TicketDeleted, TicketUpdated};
use serde_json::json;
use testkit::Method;

use crate::market::{Market, path};

#[tokio::test]
async fn a_deleted_ticket_is_gone_for_all_and_told() {
    let market = Market::open().await;
    let seller = market.user();
    let ticket = market.any_ticket(&seller).await;
    let client = market.client_as(&seller);
    let answer = client.delete(&path(&ticket)).await;
    answer.expect(204);
    assert!(answer.text.is_empty());

    for client in [&client, &market.service.client(), &market.client_as(&market.infra.admin())] {
        client.get(&path(&ticket)).await.problem(404, "not-found");
    }
    client.delete(&path(&ticket)).await.problem(404, "not-found");
    let body = json!({ "title": "x", "price": 1 });
    client.put(&path(&ticket), body).await.problem(404, "not-found");
    let none = json!({ "tickets": [], "next": null });
    for list in ["/api/tickets", "/api/tickets?mine=true", "/api/tickets?q=motorhead"] {
        assert_eq!(client.get(list).await.expect(200), none, "{list}");
    }
    let event = market.infra.bus().wait_for::<TicketDeleted>(|_| true).await.0;
    assert_eq!((event.version, event.listing.title.as_str()), (2, "Motörhead"));
    assert_eq!(market.infra.bus().published::<TicketUpdated>().await, []);
}

#[tokio::test]
async fn refusals_come_in_their_order() {
    let market = Market::open().await;
    let (seller, buyer) = (market.user(), market.user());
    let ticket = market.any_ticket(&seller).await;
    let buying = market.buying(&buyer, &ticket);
    market.tell(&buying.created(1, 1)).await;
    let client = market.client_as(&seller);

    let unknown = format!("/api/tickets/{}", common::ids::TicketId::new(market.clock().now()));
    market.service.client().delete(&unknown).await.problem(401, "not-signed-in");
    client.delete(&unknown).await.problem(404, "not-found");
    client.delete("/api/tickets/1").await.problem(404, "not-found");
    market.client_as(&buyer).delete(&path(&ticket)).await.problem(403, "not-allowed");
    let request = client.request(Method::DELETE, &path(&ticket)).header("if-match", "\"1\"");
    request.send().await.problem(412, "precondition-failed");
    client.delete(&path(&ticket)).await.problem(409, "ticket-reserved");
    market.tell(&buying.completed(1, 2)).await;
    client.delete(&path(&ticket)).await.problem(409, "ticket-sold");
    market.tell(&buying.cancelled(1, 3)).await;
    let request = client.request(Method::DELETE, &path(&ticket)).header("if-match", "\"4\"");
    request.send().await.expect(204);
}
