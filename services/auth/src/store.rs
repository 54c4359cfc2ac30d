//! All of auth's MongoDB: `users`, whose documents embed the outbox, and `sessions`.

use std::time::Duration;

use bson::{Document, doc};
use common::events::UserStatus;
use common::ids::{SessionId, UserId};
use common::{Clock, Time};
use futures::TryStreamExt;
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};
use store::mongo::{index, unique_index, when_available};
use store::{Aggregate, Change, Documents, OutboxMessage, Result, TimedCollection};

use crate::domain::{Session, User};

/// The unique index that allows one user per email address.
const EMAIL: &str = "email";

impl Aggregate for User {
    const COLLECTION: &'static str = "users";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        vec![self.snapshot_event()]
    }

    fn has_unknown_value(&self) -> bool {
        self.status == UserStatus::Unknown
    }
    fn bump_version(&mut self, by: i64) {
        self.version += by;
    }
}

/// What inserting a user resulted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum InsertOutcome {
    Inserted,
    /// Another user has the email address.
    EmailInUse,
}

#[derive(Clone)]
pub struct Store {
    users: Documents<User>,
    sessions: TimedCollection<Session>,
}

impl Store {
    /// Creates the indexes before anything is served: the uniqueness of email addresses depends on them.
    pub async fn open(database: &Database, clock: Clock) -> Result<Self> {
        let email = unique_index(EMAIL, doc! { "email": 1 }, None);
        let users = Documents::open(database, clock, [email]).await?;
        let sessions = TimedCollection::<Session>::new(database, "sessions");
        let of_user = index("user", doc! { "userId": 1 });
        let indexes = [ttl_index("expired", doc! { "expiresAt": 1 }), of_user];
        when_available(|| async {
            sessions.create_indexes(indexes.clone()).await?;
            Ok(())
        })
        .await?;
        Ok(Store { users, sessions })
    }

    /// For the relay and the admin commands.
    pub fn documents(&self) -> &Documents<User> {
        &self.users
    }

    /// Stores a new user with their event. Of several concurrent requests for one address, the unique index admits one.
    pub async fn insert_user(&self, new: &Change<User>) -> Result<InsertOutcome> {
        match self.users.insert(&new.thing, &new.events).await {
            Ok(()) => Ok(InsertOutcome::Inserted),
            Err(error) if error.duplicate_of().as_deref() == Some(EMAIL) => {
                Ok(InsertOutcome::EmailInUse)
            }
            Err(error) => Err(error),
        }
    }

    pub async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.users.get(id).await
    }

    /// The user whose address is stored as one of these texts; of several, the one with the first of them.
    pub async fn user_by_email(&self, spellings: &[String]) -> Result<Option<User>> {
        let filter = doc! { "email": { "$in": spellings } };
        let limit = i64::try_from(spellings.len()).unwrap_or(1);
        let found = self.users.collection().find(filter).limit(limit).await?;
        let found: Vec<User> = found.try_collect().await?;
        let position =
            |user: &User| spellings.iter().position(|spelling| spelling == user.email.as_str());
        Ok(found.into_iter().min_by_key(position))
    }

    pub async fn insert_session(&self, session: &Session) -> Result<()> {
        self.sessions.insert_one(session).await?;
        Ok(())
    }

    pub async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        Ok(self.sessions.find_one(doc! { "_id": id }).await?)
    }

    /// Replaces the token that the decision was made on by its successor. False: that token is no longer current, or the
    /// session was revoked; decide again.
    pub async fn rotate(&self, decided_on: &Session, rotated: &Session) -> Result<bool> {
        let filter = doc! {
            "_id": decided_on.id,
            "current": decided_on.current.as_str(),
            "revokedAt": null,
        };
        let set = doc! {
            "current": rotated.current.as_str(),
            "previous": decided_on.current.as_str(),
            "rotatedAt": rotated.rotated_at,
            "expiresAt": rotated.expires_at,
        };
        let result = self.sessions.update_one(filter, doc! { "$set": set }).await?;
        Ok(result.matched_count == 1)
    }

    /// Ends a session with all its tokens. A session that has ended stays as it is.
    pub async fn revoke(&self, id: SessionId, now: Time) -> Result<()> {
        let filter = doc! { "_id": id, "revokedAt": null };
        self.sessions.update_one(filter, doc! { "$set": { "revokedAt": now } }).await?;
        Ok(())
    }

    /// Ends every session: all users sign in again.
    pub async fn revoke_all(&self, now: Time) -> Result<()> {
        let revoked = doc! { "$set": { "revokedAt": now } };
        self.sessions.update_many(doc! { "revokedAt": null }, revoked).await?;
        Ok(())
    }
}

/// MongoDB deletes a document once the time in its field has passed.
fn ttl_index(name: &str, keys: Document) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).expire_after(Duration::ZERO);
    IndexModel::builder().keys(keys).options(options.build()).build()
}
