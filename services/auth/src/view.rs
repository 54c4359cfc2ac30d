//! What the API shows of a user.

use common::Time;
use common::events::{AccountLink, LinkPurpose, UserStatus};
use common::ids::{SessionId, UserId};
use common::scopes::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Act, ApiToken, AuditEntry, Ban, Session, User};

/// A user, as they see themselves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub struct UserView {
    id: UserId,
    #[schema(example = "ada@example.com")]
    email: String,
    /// Whether it is confirmed.
    email_verified: bool,
    /// The address that takes effect once the link is opened that was mailed there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let is_pending = |link: &&AccountLink| link.purpose == LinkPurpose::EmailChange;
        UserView {
            id: user.id,
            email: user.email.as_str().to_owned(),
            email_verified: user.email_verified,
            pending_email: user.links.iter().find(is_pending).map(|link| link.email.clone()),
            name: user.name,
            phone: user.phone,
        }
    }
}

/// A session, as its user sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub struct SessionView {
    id: SessionId,
    /// Whether it is the one that asks.
    current: bool,
    created_at: Time,
    /// When it was last continued.
    last_used_at: Time,
    expires_at: Time,
    /// From where that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

impl SessionView {
    pub fn of(session: Session, asking: SessionId) -> Self {
        SessionView {
            id: session.id,
            current: session.id == asking,
            created_at: session.began_at(),
            last_used_at: session.rotated_at,
            expires_at: session.expires_at,
            address: session.device.address,
            user_agent: session.device.user_agent,
        }
    }
}

/// An API token, as its user sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiToken)]
pub struct ApiTokenView {
    id: SessionId,
    #[schema(example = "Ledger")]
    name: String,
    #[schema(value_type = Vec<Scope>)]
    scopes: Vec<&'static str>,
    created_at: Time,
    expires_at: Time,
    /// When it was last exchanged, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Time>,
}

impl From<ApiToken> for ApiTokenView {
    fn from(token: ApiToken) -> Self {
        ApiTokenView {
            id: token.id,
            name: token.name,
            scopes: token.scopes.iter().map(Scope::as_str).collect(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// An account, as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Account)]
pub struct AccountView {
    #[serde(flatten)]
    user: UserView,
    status: UserStatus,
    groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ban: Option<Ban>,
    created_at: Time,
    /// What administrators have done to it, the first act first.
    audit: Vec<AuditView>,
}

impl From<User> for AccountView {
    fn from(mut user: User) -> Self {
        let (id, audit) = (user.id, std::mem::take(&mut user.audit));
        AccountView {
            status: user.status,
            groups: std::mem::take(&mut user.groups),
            ban: user.ban.take(),
            created_at: user.created_at,
            audit: audit.into_iter().map(|entry| AuditView::of(id, entry)).collect(),
            user: user.into(),
        }
    }
}

/// One act of an administrator.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub struct AuditView {
    /// Whose account it was about.
    user_id: UserId,
    at: Time,
    /// Who did it; absent if the service's settings did.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<UserId>,
    act: Act,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
}

impl AuditView {
    pub fn of(user_id: UserId, entry: AuditEntry) -> Self {
        let AuditEntry { at, by, act, reason, refund, group } = entry;
        AuditView { user_id, at, by, act, reason, refund, group }
    }
}
