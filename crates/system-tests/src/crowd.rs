//! A market with more tickets on sale than anybody would list one by one.

use bson::{Document, doc};
use mongodb::{Client, Database};
use uuid::Uuid;

use crate::Stack;

impl Stack {
    /// The database of tickets, past the service.
    pub async fn database_of_tickets(&self) -> Database {
        let client = Client::with_uri_str(self.mongo_uri()).await.expect("mongod");
        client.database("tickets")
    }

    /// Copies a ticket that was listed until there are so many, told apart by id and title: documents just as the
    /// service writes them.
    pub async fn crowd(&self, many: u64) {
        let database = self.database_of_tickets().await;
        let tickets = database.collection::<Document>("tickets");
        let one = tickets.find_one(doc! {}).await.expect("mongod").expect("a ticket to copy");
        let listed = tickets.count_documents(doc! {}).await.expect("mongod");
        let copies = (listed..many).map(|number| {
            let mut copy = one.clone();
            copy.insert("_id", Uuid::now_v7().to_string());
            copy.insert("title", format!("A night at the opera, number {number}, in the stalls"));
            copy
        });
        tickets.insert_many(copies).await.expect("mongod");
    }
}
