//! All of auth's MongoDB: `users`, whose documents carry the outbox, and `sessions`.

use std::time::Duration;

use bson::{Document, doc};
use common::events::UserCreated;
use common::ids::{SessionId, UserId};
use common::{Clock, Time, problem};
use httpkit::Error;
use mongodb::options::IndexOptions;
use mongodb::{Collection, Database, IndexModel};
use store::mongo::{index, unique_index};
use store::{Documents, OutboxMessage, Result};

use crate::domain::{EmailAddress, Session, User};

const EMAIL: &str = "email";

#[derive(Clone)]
pub struct Store {
    pub users: Documents<User>,
    sessions: Collection<Session>,
}

impl Store {
    /// Makes the indexes that the promises rest on, before anything is served.
    pub async fn open(database: &Database, clock: Clock) -> Result<Self> {
        let email = unique_index(EMAIL, doc! { "email": 1 }, None);
        let users = Documents::open(database, clock, [email]).await?;
        let sessions = database.collection::<Session>("sessions");
        let of_user = index("user", doc! { "userId": 1 });
        sessions.create_indexes([ttl_index("expired", doc! { "expiresAt": 1 }), of_user]).await?;
        Ok(Store { users, sessions })
    }

    /// Stores someone new with the event that tells of them. Of several who want one address at once,
    /// the unique index lets one through.
    pub async fn insert_user(&self, user: &User, created: &UserCreated) -> httpkit::Result<()> {
        match self.users.insert(user, &[OutboxMessage::of(created)]).await {
            Err(error) if error.duplicate_of().as_deref() == Some(EMAIL) => Err(Error::refused(
                &problem::EMAIL_IN_USE,
                "There is an account with this e-mail address already.",
            )),
            result => Ok(result?),
        }
    }

    pub async fn user(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.users.get(id).await?)
    }

    pub async fn user_by_email(&self, email: &EmailAddress) -> Result<Option<User>> {
        let filter = doc! { "email": email.as_str() };
        Ok(self.users.collection().find_one(filter).await?)
    }

    pub async fn insert_session(&self, session: &Session) -> Result<()> {
        self.sessions.insert_one(session).await?;
        Ok(())
    }

    pub async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        Ok(self.sessions.find_one(doc! { "_id": id }).await?)
    }

    /// Puts a session's next token in the place of the one that the decision was made on. False: it
    /// isn't current any more, or the session was revoked; decide again.
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

    /// Ends a session with all its tokens, for good. Does nothing to one that is over.
    pub async fn revoke(&self, id: SessionId, now: Time) -> Result<()> {
        let filter = doc! { "_id": id, "revokedAt": null };
        self.sessions.update_one(filter, doc! { "$set": { "revokedAt": now } }).await?;
        Ok(())
    }
}

/// MongoDB deletes a document once the time in its field has passed.
fn ttl_index(name: &str, keys: Document) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).expire_after(Duration::ZERO);
    IndexModel::builder().keys(keys).options(options.build()).build()
}
