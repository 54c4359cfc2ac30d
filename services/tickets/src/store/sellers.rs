//! The replicas of sellers, and the listings that are off sale because of them.

use bson::doc;
use common::ids::{TicketId, UserId};
use futures::TryStreamExt;
use mongodb::options::Hint;
use serde::Deserialize;
use store::replicas::{self, Applied};
use store::{Change, Result};

use super::indexes::{Dimension, own_index};
use super::{Changed, Store, TicketDocument, document};
use crate::domain::{SellerReplica, Ticket};

impl Store {
    pub async fn apply_seller(&self, seller: &SellerReplica) -> Result<Applied> {
        let id = seller.id.to_string();
        replicas::apply_if_newer(&self.sellers, &id, seller.version, seller).await
    }

    pub async fn seller(&self, id: UserId) -> Result<Option<SellerReplica>> {
        Ok(self.sellers.find_one(doc! { "_id": id }).await?)
    }

    /// The seller's listings that aren't yet suspended, or not suspended, as they are to be.
    pub async fn listings_to_suspend(
        &self,
        seller: UserId,
        suspended: bool,
    ) -> Result<Vec<TicketId>> {
        #[derive(Deserialize)]
        struct Id {
            #[serde(rename = "_id")]
            id: TicketId,
        }
        // Listings of the version before don't have the field.
        let other = if suspended {
            doc! { "$ne": true }
        } else {
            doc! { "$eq": true }
        };
        let filter = doc! { "userId": seller, "deleted": false, "suspended": other };
        let documents = self.documents.collection().clone_with_type::<Id>();
        let found = documents.find(filter).projection(doc! { "_id": 1 });
        let found: Vec<Id> = found
            .hint(Hint::Name(own_index(Dimension::Created).to_owned()))
            .await?
            .try_collect()
            .await?;
        Ok(found.into_iter().map(|Id { id }| id).collect())
    }

    pub async fn suspend(&self, id: TicketId, suspended: bool) -> Result<()> {
        let decide = |TicketDocument(ticket): &TicketDocument| {
            let change: Option<Change<Ticket>> = ticket.suspend(suspended);
            Ok::<_, store::Error>(change.map(document))
        };
        let _changing = (self.on_change)(id, Changed::Listing);
        self.documents.change(id, decide).await.map(drop)
    }
}
