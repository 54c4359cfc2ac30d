use common::events::{TicketDeleted, TicketUpdated};
use serde_json::json;
use testkit::Method;

use crate::world::{World, path};

#[tokio::test]
async fn a_deleted_ticket_is_not_found_by_anyone_and_its_deletion_is_published() {
    let world = World::start().await;
    let seller = world.user();
    let ticket = world.default_ticket(&seller).await;
    let client = world.client_as(&seller);
    let response = client.delete(&path(&ticket)).await;
    response.expect(204);
    assert!(response.text.is_empty());

    for client in [&client, &world.service.client(), &world.client_as(&world.infra.admin())] {
        client.get(&path(&ticket)).await.problem(404, "not-found");
    }
    client.delete(&path(&ticket)).await.problem(404, "not-found");
    let body = json!({ "title": "x", "price": 1 });
    client.put(&path(&ticket), body).await.problem(404, "not-found");
    let none = json!({ "tickets": [], "next": null });
    for list in ["/api/tickets", "/api/tickets?mine=true", "/api/tickets?q=motorhead"] {
        assert_eq!(client.get(list).await.expect(200), none, "{list}");
    }
    let event = world.infra.bus().wait_for::<TicketDeleted>(|_| true).await.0;
    assert_eq!((event.version, event.listing.title.as_str()), (2, "Motörhead"));
    assert_eq!(world.infra.bus().published::<TicketUpdated>().await, []);
}

#[tokio::test]
async fn refusals_have_a_fixed_precedence() {
    let world = World::start().await;
    let (seller, buyer) = (world.user(), world.user());
    let ticket = world.default_ticket(&seller).await;
    let order = world.order(&buyer, &ticket);
    world.deliver(&order.created(1)).await;
    let client = world.client_as(&seller);

    let unknown = format!("/api/tickets/{}", common::ids::TicketId::new(world.clock().now()));
    world.service.client().delete(&unknown).await.problem(401, "not-signed-in");
    client.delete(&unknown).await.problem(404, "not-found");
    client.delete("/api/tickets/1").await.problem(404, "not-found");
    world.client_as(&buyer).delete(&path(&ticket)).await.problem(403, "not-allowed");
    let request = client.request(Method::DELETE, &path(&ticket)).header("if-match", "\"1\"");
    request.send().await.problem(412, "precondition-failed");
    client.delete(&path(&ticket)).await.problem(409, "ticket-reserved");
    world.deliver(&order.completed(2)).await;
    client.delete(&path(&ticket)).await.problem(409, "ticket-sold");
    world.deliver(&order.cancelled(3)).await;
    let request = client.request(Method::DELETE, &path(&ticket)).header("if-match", "\"4\"");
    request.send().await.expect(204);
}
