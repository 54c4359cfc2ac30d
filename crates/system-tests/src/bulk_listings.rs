//! A stack with more listings than a test could create one by one.

use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use mongodb::{Client, Database};
use uuid::Uuid;

use crate::Stack;

impl Stack {
    /// The database of tickets, over a connection with the driver's defaults.
    pub async fn database_of_tickets(&self) -> Database {
        let client = Client::with_uri_str(self.mongo_uri()).await.expect("mongod");
        client.database("tickets")
    }

    /// Copies a listed ticket until there are so many, with unique ids and titles: documents as the service writes them.
    pub async fn fill_with_listings(&self, count: u64) {
        let tickets = self.database_of_tickets().await.collection::<Document>("tickets");
        let one = tickets.find_one(doc! {}).await.expect("mongod").expect("a ticket to copy");
        let listed = tickets.count_documents(doc! {}).await.expect("mongod");
        let copies = (listed..count).map(|number| {
            let mut copy = one.clone();
            let id = Uuid::now_v7();
            copy.insert("_id", id.to_string());
            let bytes = id.as_bytes().to_vec();
            copy.insert("uuid", Binary { subtype: BinarySubtype::Generic, bytes });
            // The original's event may still be on its way: it isn't published ten thousand times.
            copy.insert("outbox", Vec::<Document>::new());
            copy.insert("outboxPending", false);
            copy.insert("title", format!("A night at the opera, number {number}, in the stalls"));
            copy
        });
        tickets.insert_many(copies).await.expect("mongod");
    }
}
