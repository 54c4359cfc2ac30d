//! All of auth's MongoDB: `users`, `sessions` and `api_tokens`, whose documents embed the outbox, and `recoveries`.

mod api_tokens;

use bson::doc;
use common::events::{AccountLink, LinkPurpose, UserStatus};
use common::ids::{SessionId, UserId};
use common::{Clock, Time};
use futures::TryStreamExt;
use mongodb::Database;
use mongodb::options::Hint;
use serde::{Deserialize, Serialize};
use store::mongo::{document, index, partial_index, ttl_index, unique_index};
use store::{Aggregate, Change, Documents, OutboxMessage, Result, TimedCollection};

use crate::domain::{ApiToken, AuditEntry, EmailAddress, Session, User};

/// The unique index that allows one user per email address.
const EMAIL: &str = "email";
/// The index of accounts that administrators have changed.
const AUDIT: &str = "audit";

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
        let is_unknown = |link: &AccountLink| link.purpose == LinkPurpose::Unknown;
        self.status == UserStatus::Unknown || self.links.iter().any(is_unknown)
    }

    /// The back-up revives sessions that have ended since, and refresh tokens and links that were already used: they end.
    fn bump_version(&mut self, by: i64) {
        self.version += by;
        self.session_generation += by;
        self.end_links_to_the_account();
    }
}

impl Aggregate for Session {
    const COLLECTION: &'static str = "sessions";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        self.snapshot_event().into_iter().collect()
    }

    fn has_unknown_value(&self) -> bool {
        false
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

/// Somebody asks for a link to another password. Several for one address are one request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecoveryRequest {
    /// The address.
    #[serde(rename = "_id")]
    pub id: String,
    /// Under which texts an account of the address may be stored.
    pub spellings: Vec<String>,
}

#[derive(Clone)]
pub struct Store {
    users: Documents<User>,
    sessions: Documents<Session>,
    api_tokens: Documents<ApiToken>,
    recoveries: TimedCollection<RecoveryRequest>,
}

impl Store {
    /// Creates the indexes before anything is served: the uniqueness of email addresses depends on them.
    pub async fn open(database: &Database, clock: Clock) -> Result<Self> {
        let email = unique_index(EMAIL, doc! { "email": 1 }, None);
        let audit =
            partial_index(AUDIT, doc! { "audit.at": -1 }, doc! { "audit.0": { "$exists": true } });
        let users = Documents::open(database, clock.clone(), [email, audit]).await?;
        let of_user = index("of_user_by_use", doc! { "userId": 1, "rotatedAt": -1 });
        let indexes = [ttl_index("expired", doc! { "expiresAt": 1 }), of_user];
        let sessions = Documents::open(database, clock.clone(), indexes).await?;
        let indexes = [
            unique_index("by_hash", doc! { "hash": 1 }, None),
            ttl_index("expired", doc! { "expiresAt": 1 }),
            index("of_user", doc! { "userId": 1, "createdAt": -1 }),
        ];
        let api_tokens = Documents::open(database, clock, indexes).await?;
        let recoveries = TimedCollection::new(database, "recoveries");
        Ok(Store { users, sessions, api_tokens, recoveries })
    }

    /// For the relay and the admin commands.
    pub fn documents(&self) -> &Documents<User> {
        &self.users
    }

    /// The same.
    pub fn sessions(&self) -> &Documents<Session> {
        &self.sessions
    }

    /// The same.
    pub fn api_tokens(&self) -> &Documents<ApiToken> {
        &self.api_tokens
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

    /// The latest acts of administrators, each with the user whose account it was about.
    pub async fn latest_acts(&self, limit: i64) -> Result<Vec<(UserId, AuditEntry)>> {
        #[derive(Deserialize)]
        struct Audited {
            #[serde(rename = "_id")]
            id: UserId,
            audit: AuditEntry,
        }
        // An account is as late as its latest act: no other has any of the latest ones.
        let pipeline = [
            doc! { "$match": { "audit.0": { "$exists": true } } },
            doc! { "$sort": { "audit.at": -1 } },
            doc! { "$limit": limit },
            doc! { "$unwind": "$audit" },
            doc! { "$sort": { "audit.at": -1, "_id": -1 } },
            doc! { "$limit": limit },
            doc! { "$project": { "audit": 1 } },
        ];
        let users = self.users.collection();
        let found = users.aggregate(pipeline).hint(Hint::Name(AUDIT.to_owned()));
        let found: Vec<Audited> = found.with_type().await?.try_collect().await?;
        Ok(found.into_iter().map(|Audited { id, audit }| (id, audit)).collect())
    }

    /// Changes a user as `decide` says; none if there is no such user.
    pub async fn change_user<E: From<store::Error>>(
        &self,
        id: UserId,
        decide: impl FnMut(&User) -> Result<Option<Change<User>>, E>,
    ) -> Result<Option<User>, E> {
        self.users.change(id, decide).await
    }

    /// As [`Store::change_user`]; the outer none if another user has the address that the change gives them.
    pub async fn change_email(
        &self,
        id: UserId,
        mut decide: impl FnMut(&User) -> httpkit::Result<Change<User>>,
    ) -> httpkit::Result<Option<Option<User>>> {
        #[derive(Debug)]
        enum Failure {
            Decided(httpkit::Error),
            Stored(store::Error),
        }
        impl From<store::Error> for Failure {
            fn from(error: store::Error) -> Self {
                Failure::Stored(error)
            }
        }
        let decide = |user: &User| decide(user).map(Some).map_err(Failure::Decided);
        match self.users.change(id, decide).await {
            Ok(user) => Ok(Some(user)),
            Err(Failure::Decided(error)) => Err(error),
            Err(Failure::Stored(error)) if error.duplicate_of().as_deref() == Some(EMAIL) => {
                Ok(None)
            }
            Err(Failure::Stored(error)) => Err(error.into()),
        }
    }

    /// Stores that somebody asks for a link to another password, whether or not there is an account.
    pub async fn request_recovery(
        &self,
        email: &EmailAddress,
        spellings: &[String],
        now: Time,
    ) -> Result<()> {
        let request = doc! { "$setOnInsert": { "spellings": spellings, "at": now } };
        let of_address = doc! { "_id": email.as_str() };
        self.recoveries.update_one(of_address, request).upsert(true).await?;
        Ok(())
    }

    pub async fn recovery_requests(&self, limit: i64) -> Result<Vec<RecoveryRequest>> {
        let found = self.recoveries.find(doc! {}).sort(doc! { "_id": 1 }).limit(limit).await?;
        Ok(found.try_collect().await?)
    }

    /// Its link was issued, or nobody has the address.
    pub async fn forget_recovery_request(&self, id: &str) -> Result<()> {
        self.recoveries.delete_one(doc! { "_id": id }).await?;
        Ok(())
    }

    pub async fn insert_session(&self, session: &Session) -> Result<()> {
        self.sessions.insert(session, &[]).await
    }

    pub async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.sessions.get(id).await
    }

    /// A user's sessions that haven't ended, by when they were last used, the latest first.
    pub async fn live_sessions(&self, user: &User, now: Time, limit: i64) -> Result<Vec<Session>> {
        let mut live = doc! { "userId": user.id, "revokedAt": null, "expiresAt": { "$gt": now } };
        // Those of the version before have no generation.
        if user.session_generation > 0 {
            live.insert("generation", doc! { "$gte": user.session_generation });
        }
        let sessions = self.sessions.collection();
        let found = sessions.find(live).sort(doc! { "rotatedAt": -1 }).limit(limit).await?;
        Ok(found.try_collect().await?)
    }

    /// Replaces the token that the decision was made on by its successor. False: that token is no longer current, or the
    /// session was revoked; decide again.
    pub async fn rotate(&self, decided_on: &Session, rotated: &Session) -> Result<bool> {
        let condition = doc! { "current": decided_on.current.as_str(), "revokedAt": null };
        let fields = doc! {
            "current": rotated.current.as_str(),
            "previous": decided_on.current.as_str(),
            "rotatedAt": rotated.rotated_at,
            "expiresAt": rotated.expires_at,
            "device": document(&rotated.device)?,
        };
        self.sessions.update_where(decided_on.id, condition, fields).await
    }

    /// Ends a session with all its tokens. A session that has ended stays as it is.
    pub async fn end_session(&self, id: SessionId, now: Time) -> Result<()> {
        // Those of the version before have no version.
        let unversioned = doc! { "_id": id, "version": { "$exists": false } };
        let sessions = self.sessions.collection();
        sessions.update_one(unversioned, doc! { "$set": { "version": 0_i64 } }).await?;
        self.sessions.change(id, |session| Ok::<_, store::Error>(session.end(now))).await?;
        Ok(())
    }
}
