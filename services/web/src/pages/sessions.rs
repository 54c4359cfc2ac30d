//! `/account/sessions`: where the user is signed in, and how to end that.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::ids::SessionId;
use httpkit::Result;
use httpkit::extract::PathId;

use crate::api;
use crate::devices::device_name;
use crate::format::When;
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::session::set_cookies;
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    id: SessionId,
    is_current: bool,
    device: String,
    address: Option<String>,
    began: When,
    used: When,
}

impl Row {
    fn of(session: api::UserSession, zone: &str) -> Row {
        Row {
            id: session.id,
            is_current: session.current,
            device: device_name(session.user_agent.as_deref().unwrap_or_default()),
            address: session.address,
            began: When::of(session.created_at, zone),
            used: When::of(session.last_used_at, zone),
        }
    }
}

impl Page for SessionsPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

pub async fn show(State(app): State<App>, SignedIn { visitor, .. }: SignedIn) -> Result<Response> {
    let (sessions, frame) = tokio::join!(visitor.api.sessions(), Frame::of(&app, &visitor));
    let zone = &app.settings.market.time_zone;
    let mut rows: Vec<Row> = sessions?.into_iter().map(|one| Row::of(one, zone)).collect();
    // The others stay in the order of their last use.
    rows.sort_by_key(|row| !row.is_current);
    SessionsPage { frame, rows }.show()
}

pub async fn end(
    SignedIn { visitor, user }: SignedIn,
    PathId(id): PathId<SessionId>,
) -> Result<Response> {
    let cookies = visitor.api.end_session(id).await?;
    let next = if id == user.session {
        Notice::SignedOut.at("/")
    } else {
        Notice::SessionEnded.at("/account/sessions")
    };
    let mut response = next.into_response();
    set_cookies(&mut response, cookies);
    Ok(response)
}

pub async fn end_all(SignedIn { visitor, .. }: SignedIn) -> Result<Response> {
    let cookies = visitor.api.end_all_sessions().await?;
    let mut response = Notice::SignedOutEverywhere.at("/").into_response();
    set_cookies(&mut response, cookies);
    Ok(response)
}

/// GET on the address of a form, as after signing in, redirects to the list.
pub async fn back() -> Redirect {
    Redirect::to("/account/sessions")
}
