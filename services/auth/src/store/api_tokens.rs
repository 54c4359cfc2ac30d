//! API tokens, by their hashes.

use bson::doc;
use common::Time;
use common::ids::SessionId;
use futures::TryStreamExt;
use store::{Aggregate, OutboxMessage, Result};

use super::Store;
use crate::domain::{ApiToken, TokenHash, User};

impl Aggregate for ApiToken {
    const COLLECTION: &'static str = "api_tokens";

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

impl Store {
    pub async fn insert_api_token(&self, token: &ApiToken) -> Result<()> {
        self.api_tokens.insert(token, &[]).await
    }

    pub async fn api_token(&self, id: SessionId) -> Result<Option<ApiToken>> {
        self.api_tokens.get(id).await
    }

    pub async fn api_token_by_hash(&self, hash: &TokenHash) -> Result<Option<ApiToken>> {
        Ok(self.api_tokens.collection().find_one(doc! { "hash": hash.as_str() }).await?)
    }

    /// A user's tokens that haven't ended, the newest first.
    pub async fn live_api_tokens(&self, user: &User, now: Time) -> Result<Vec<ApiToken>> {
        let live = doc! {
            "userId": user.id,
            "generation": { "$gte": user.session_generation },
            "revokedAt": null,
            "expiresAt": { "$gt": now },
        };
        let tokens = self.api_tokens.collection().find(live).sort(doc! { "createdAt": -1 }).await?;
        Ok(tokens.try_collect().await?)
    }

    pub async fn record_use(&self, token: &ApiToken, now: Time) -> Result<()> {
        let unchanged = doc! { "version": token.version, "revokedAt": null };
        // Another use, or its end, was faster.
        let _ =
            self.api_tokens.update_where(token.id, unchanged, doc! { "lastUsedAt": now }).await?;
        Ok(())
    }

    /// Ends a token. One that has ended stays as it is.
    pub async fn revoke_api_token(&self, id: SessionId, now: Time) -> Result<()> {
        self.api_tokens.change(id, |token| Ok::<_, store::Error>(token.revoke(now))).await?;
        Ok(())
    }
}
