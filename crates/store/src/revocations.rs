//! A service's copy of the live revocations ([`httpkit::revocations`]), for the next start: it knows them although the broker
//! is down, or was wiped.

use bson::{Document, doc};
use common::Time;
use common::ids::{SessionId, UserId};
use futures::TryStreamExt;
use httpkit::{Revocation, Revocations};
use mongodb::Database;
use serde::{Deserialize, Serialize};

use crate::bulk;
use crate::error::Result;
use crate::mongo::{ttl_index, when_available};
use crate::timed_collection::TimedCollection;

/// How many one command stores.
const BATCH: usize = 1_000;

/// The collection.
#[derive(Clone, Debug)]
pub struct RevocationCopy(TimedCollection<StoredRevocation>);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredRevocation {
    /// The session's id, or the user's.
    #[serde(rename = "_id")]
    id: String,
    /// Of a user: the first generation of their sessions whose tokens are valid. None: it is a session's.
    first_valid: Option<i64>,
    until: Time,
}

impl RevocationCopy {
    /// Opens it. MongoDB deletes what no token can belong to any more.
    pub async fn open(database: &Database) -> Result<Self> {
        let copy = TimedCollection::new(database, "revocations");
        when_available(|| async {
            copy.create_index(ttl_index("over", doc! { "until": 1 })).await?;
            Ok(())
        })
        .await?;
        Ok(RevocationCopy(copy))
    }

    /// The same collection for background tasks, through their own connections.
    pub fn in_background(&self, database: &Database) -> Self {
        RevocationCopy(self.0.in_background(database))
    }

    /// Adds what is stored and live to those in memory.
    pub async fn restore(&self, revocations: &Revocations, now: Time) -> Result<()> {
        let mut live = self.0.find(doc! { "until": { "$gt": now } }).await?;
        while let Some(StoredRevocation { id, first_valid, until }) = live.try_next().await? {
            if let Some(revocation) = revocation(&id, first_valid) {
                revocations.add(revocation, until, now);
            }
        }
        Ok(())
    }

    /// Stores these. Several replicas store the same ones: the greatest generation and the latest time remain.
    pub async fn save(&self, revocations: &[(Revocation, Time)]) -> Result<()> {
        let update = |(revocation, until): &(Revocation, Time)| {
            let (id, max): (String, Document) = match revocation {
                Revocation::Session(session) => (session.to_string(), doc! { "until": until }),
                Revocation::Generations { user, first_valid } => {
                    (user.to_string(), doc! { "until": until, "firstValid": first_valid })
                }
            };
            doc! { "q": { "_id": id }, "u": { "$max": max }, "upsert": true }
        };
        for batch in revocations.chunks(BATCH) {
            let updated = bulk::update(&self.0, batch.iter().map(update).collect()).await?;
            // What two replicas have inserted at once is there now.
            let refused = updated.refused.iter().filter_map(|index| batch.get(*index));
            bulk::update(&self.0, refused.map(update).collect()).await?;
        }
        Ok(())
    }
}

fn revocation(id: &str, first_valid: Option<i64>) -> Option<Revocation> {
    match first_valid {
        Some(first_valid) => {
            let user: UserId = id.parse().ok()?;
            Some(Revocation::Generations { user, first_valid })
        }
        None => id.parse::<SessionId>().ok().map(Revocation::Session),
    }
}
