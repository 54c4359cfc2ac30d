//! A user of the API with a browser's cookies, who sells and buys.

use common::Time;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use testkit::{Client, Response, eventually};
use uuid::Uuid;

use crate::Stack;

pub struct Person {
    pub client: Client,
    pub id: String,
}

impl Stack {
    /// A new user, signed in.
    pub async fn person(&self, name: &str) -> Person {
        let client = self.visitor();
        let email = format!("{name}-{}@example.com", Uuid::now_v7());
        let body = json!({ "email": email, "password": "correct horse", "name": name });
        let user = client.post("/api/users/signup", body).await.expect(201);
        Person { client, id: text(&user["id"]) }
    }
}

impl Stack {
    /// So many new users. Hashing their passwords takes a processor, so only a few sign up at once.
    pub async fn people(&self, count: usize) -> Vec<Person> {
        stream::iter(0..count).map(|_| self.person("buyer")).buffered(4).collect().await
    }
}

impl Person {
    /// Lists a ticket.
    pub async fn offers(&self, title: &str, price: &str) -> String {
        let body = json!({ "title": title, "price": price, "venue": "Opera" });
        text(&self.client.post("/api/tickets", body).await.expect(201)["id"])
    }

    /// Lists several tickets of a kind.
    pub async fn offers_many(&self, title: &str, price: &str, quantity: u16) -> String {
        let body =
            json!({ "title": title, "price": price, "venue": "Opera", "quantity": quantity });
        text(&self.client.post("/api/tickets", body).await.expect(201)["id"])
    }

    /// Tries to reserve a ticket.
    pub async fn orders(&self, ticket: &str) -> Response {
        self.client.post("/api/orders", json!({ "ticketId": ticket })).await
    }

    /// Tries to reserve several of a kind.
    pub async fn orders_many(&self, ticket: &str, quantity: u16) -> Response {
        let body = json!({ "ticketId": ticket, "quantity": quantity });
        self.client.post("/api/orders", body).await
    }

    /// Reserves an available ticket.
    pub async fn reserves(&self, ticket: &str) -> String {
        text(&self.orders(ticket).await.expect(201)["id"])
    }

    pub async fn pays(&self, order: &str, token: &str) -> Response {
        self.client.post("/api/payments", json!({ "orderId": order, "token": token })).await
    }

    /// Pays, and returns whether the payment is taken: authorised (201), or its outcome follows (202), as when the broker needs
    /// longer to recover than a response may take.
    pub async fn can_pay(&self, order: &str, token: &str) -> bool {
        let response = self.pays(order, token).await;
        response.status == 201 || response.status == 202
    }

    pub async fn cancels(&self, order: &str) -> Response {
        self.client.delete(&format!("/api/orders/{order}")).await
    }

    pub async fn order(&self, order: &str) -> Value {
        self.client.get(&format!("/api/orders/{order}")).await.expect(200)
    }

    pub async fn ticket(&self, ticket: &str) -> Value {
        self.client.get(&format!("/api/tickets/{ticket}")).await.expect(200)
    }

    /// When a reservation ends.
    pub async fn end_of(&self, order: &str) -> Time {
        let order = self.order(order).await;
        Time::parse(&text(&order["expiresAt"])).expect("a time")
    }

    /// Waits until a ticket has this status, and returns it.
    pub async fn sees_ticket(&self, ticket: &str, status: &str) -> Value {
        eventually(&format!("the ticket to be {status}"), || async {
            Some(self.ticket(ticket).await).filter(|ticket| ticket["status"] == status)
        })
        .await
    }

    /// Waits until an order has this status, and returns it.
    pub async fn sees_order(&self, order: &str, status: &str) -> Value {
        eventually(&format!("the order to be {status}"), || async {
            Some(self.order(order).await).filter(|order| order["status"] == status)
        })
        .await
    }

    /// Waits until an order's payment has this status, and returns it.
    pub async fn sees_payment(&self, order: &str, status: &str) -> Value {
        eventually(&format!("the payment to be {status}"), || async {
            Some(self.payment(order).await).filter(|payment| payment["status"] == status)
        })
        .await
    }

    /// Refunds a payment, and puts what was sold back on sale.
    pub async fn refunds(&self, payment: &str) -> Response {
        let path = format!("/api/payments/{payment}/refund");
        self.client.post(&path, json!({ "relist": true })).await
    }

    /// Refunds a payment; what was sold stays off sale.
    pub async fn withdraws(&self, payment: &str) -> Response {
        self.client.post(&format!("/api/payments/{payment}/refund"), json!({})).await
    }

    /// The order's payment, or null.
    pub async fn payment(&self, order: &str) -> Value {
        let list = self.client.get(&format!("/api/payments?orderId={order}")).await.expect(200);
        list["payments"][0].clone()
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
