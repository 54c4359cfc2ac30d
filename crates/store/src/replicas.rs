//! Replicas of other services' objects: the newest version wins.

use std::collections::BTreeMap;

use bson::{Document, doc};
use mongodb::Collection;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bulk;
use crate::error::{Result, duplicate_of};
use crate::mongo::document;

/// A replica of another service's object.
pub trait Replica {
    /// The document's `_id`.
    fn id(&self) -> String;
    /// The version of the object that it shows.
    fn version(&self) -> i64;
}

/// What became of a version that was applied to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The replica has it now.
    Newer,
    /// The replica already had a newer one.
    Stale,
}

/// Stores `entity` under `id` unless a newer version is stored: one upsert whose filter decides.
///
/// The same version is written again, which changes nothing. If two versions of an unknown object arrive at once, the
/// upsert of the newer may fail as a duplicate `_id`; so it is tried once more before it counts as stale.
pub async fn apply_if_newer(
    collection: &Collection<impl Serialize + DeserializeOwned + Send + Sync>,
    id: &str,
    version: i64,
    entity: &impl Serialize,
) -> Result<Applied> {
    let (filter, update) = upsert(id, version, entity)?;
    for _ in 0..2 {
        match collection.update_one(filter.clone(), update.clone()).upsert(true).await {
            Ok(_) => return Ok(Applied::Newer),
            Err(error) if duplicate_of(&error).is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Applied::Stale)
}

/// The filter that decides, and the update.
fn upsert(
    id: &str,
    version: i64,
    entity: &impl Serialize,
) -> bson::error::Result<(Document, Document)> {
    let mut fields = document(entity)?;
    fields.remove("_id");
    Ok((doc! { "_id": id, "version": { "$lte": version } }, doc! { "$set": fields }))
}

/// As [`apply_if_newer`], of several objects by one command; of several versions of one, the newest.
pub async fn apply_all_if_newer<T>(collection: &Collection<T>, entities: &[T]) -> Result<()>
where
    T: Replica + Serialize + DeserializeOwned + Send + Sync,
{
    let mut newest: BTreeMap<String, &T> = BTreeMap::new();
    for entity in entities {
        let known = newest.entry(entity.id()).or_insert(entity);
        if known.version() < entity.version() {
            *known = entity;
        }
    }
    let newest: Vec<(String, &T)> = newest.into_iter().collect();
    let updates = newest.iter().map(|(id, entity)| {
        let (filter, update) = upsert(id, entity.version(), entity)?;
        Ok(doc! { "q": filter, "u": update, "upsert": true })
    });
    let updates = updates.collect::<bson::error::Result<Vec<_>>>()?;
    for refused in bulk::update(collection, updates).await?.refused {
        if let Some((id, entity)) = newest.get(refused) {
            apply_if_newer(collection, id, entity.version(), entity).await?;
        }
    }
    Ok(())
}
