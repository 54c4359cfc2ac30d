//! `/admin`: administrators find a user, ban them, lift that, and say whether they are an administrator. `/admin/audit`: what
//! administrators have done.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::ids::UserId;
use httpkit::Result;
use httpkit::extract::PathId;
use serde::Deserialize;

use crate::api::{Account, Failure, UserAct};
use crate::format::When;
use crate::forms::{Form, PageQuery, with_query};
use crate::notice::{Next, Notice};
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Template)]
#[template(path = "admin.html")]
struct AdminPage {
    frame: Frame,
    email: String,
    /// None: nobody was looked for.
    found: Option<Option<Found>>,
}

struct Found {
    account: Account,
    is_self: bool,
    since: When,
    acts: Vec<ActRow>,
}

struct ActRow {
    about: UserId,
    by: Option<UserId>,
    at: When,
    what: String,
    reason: Option<String>,
}

impl ActRow {
    fn of(act: UserAct, zone: &str) -> ActRow {
        let group = act.group.as_deref().unwrap_or_default();
        let what = match (act.act.as_str(), act.refund) {
            ("banned", Some(true)) => "Banned, paid orders refunded".to_owned(),
            ("banned", _) => "Banned, paid orders kept".to_owned(),
            ("unbanned", _) => "Ban lifted".to_owned(),
            ("added_to_group", _) => format!("Added to {group}"),
            ("removed_from_group", _) => format!("Removed from {group}"),
            (other, _) => other.to_owned(),
        };
        ActRow {
            about: act.user_id,
            by: act.by,
            at: When::of(act.at, zone),
            what,
            reason: act.reason,
        }
    }
}

impl Page for AdminPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    email: String,
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, user }: SignedIn,
    PageQuery(Wanted { email }): PageQuery<Wanted>,
) -> Result<Response> {
    let zone = &app.settings.market.time_zone;
    // Without an address it is asked for, too: only administrators get the page.
    let (found, frame) = tokio::join!(visitor.api.find_user(&email), Frame::of(&app, &visitor));
    let found = match found {
        Ok(account) => Some(account.map(|mut account| {
            Found {
                is_self: account.user.id == user.id,
                since: When::of(account.created_at, zone),
                acts: std::mem::take(&mut account.audit)
                    .into_iter()
                    .map(|act| ActRow::of(act, zone))
                    .collect(),
                account,
            }
        })),
        Err(failure) if failure.is_about("email") => (!email.is_empty()).then_some(None),
        Err(failure) => return Err(failure.into()),
    };
    AdminPage { frame, email, found }.show()
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    acts: Vec<ActRow>,
}

impl Page for AuditPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

pub async fn audit(State(app): State<App>, SignedIn { visitor, .. }: SignedIn) -> Result<Response> {
    let (acts, frame) = tokio::join!(visitor.api.audit_log(), Frame::of(&app, &visitor));
    let zone = &app.settings.market.time_zone;
    let acts = acts?.into_iter().map(|act| ActRow::of(act, zone)).collect();
    AuditPage { frame, acts }.show()
}

#[derive(Deserialize)]
pub struct BanForm {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    orders: String,
    email: String,
}

pub async fn ban(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<UserId>,
    Form(BanForm { reason, orders, email }): Form<BanForm>,
) -> Result<Response> {
    let notice = match visitor.api.ban(id, &reason, orders == "refund").await {
        Ok(()) => Notice::Banned,
        Err(failure) if failure.is_about("reason") => Notice::BanUnread,
        Err(failure) => return Err(failure.into()),
    };
    Ok(back_to(&email, notice).into_response())
}

#[derive(Deserialize)]
pub struct OfUser {
    email: String,
}

pub async fn unban(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<UserId>,
    Form(OfUser { email }): Form<OfUser>,
) -> Result<Response> {
    done(visitor.api.unban(id).await, &email, Notice::Unbanned)
}

#[derive(Deserialize)]
pub struct Membership {
    email: String,
    /// Whether they become an administrator, or stop being one.
    member: bool,
}

pub async fn administrator(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<UserId>,
    Form(Membership { email, member }): Form<Membership>,
) -> Result<Response> {
    let notice = if member { Notice::AdminAdded } else { Notice::AdminRemoved };
    done(visitor.api.set_administrator(id, member).await, &email, notice)
}

fn done(outcome: Result<(), Failure>, email: &str, notice: Notice) -> Result<Response> {
    outcome?;
    Ok(back_to(email, notice).into_response())
}

fn back_to(email: &str, notice: Notice) -> Next {
    notice.at(&with_query("/admin", &[("email", email)]))
}

/// GET on the address of a form, as after signing in, redirects to the page.
pub async fn back() -> axum::response::Redirect {
    axum::response::Redirect::to("/admin")
}
