//! `/tickets/{id}/door`: codes are checked in, by the seller and whoever they have invited. Typing, and scanners that act as
//! keyboards, work everywhere; the camera is added by a script where the browser reads codes itself.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::ids::{TicketId, UserId};
use common::{Time, problem};
use httpkit::extract::PathId;
use httpkit::{Error, Result};
use serde::Deserialize;

use crate::api::{Door, Failure, Ticket};
use crate::format::When;
use crate::forms::{Form, PageQuery, new_key};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::{SignedIn, Visitor};

#[derive(Template)]
#[template(path = "door.html")]
struct DoorPage {
    frame: Frame,
    ticket: Ticket,
    door: Door,
    outcome: Option<Outcome>,
    gate: String,
    key: String,
    /// The address of the link for staff.
    link: Option<String>,
}

/// What became of a scan.
enum Outcome {
    Admitted {
        place: u16,
    },
    /// Somebody came in with the same code.
    Already {
        at: Option<When>,
        gate: Option<String>,
    },
    Refused {
        why: String,
    },
    /// tickets is unavailable: whether the code is good isn't known.
    Unknown,
}

impl Outcome {
    /// A name for it, for tests and the style.
    fn name(&self) -> &'static str {
        match self {
            Outcome::Admitted { .. } => "admitted",
            Outcome::Already { .. } => "already",
            Outcome::Refused { .. } => "refused",
            Outcome::Unknown => "unknown",
        }
    }

    fn of(failure: &Failure, zone: &str) -> Option<Outcome> {
        if let Some(already) = failure.refusal(&problem::ALREADY_CHECKED_IN) {
            let at = already.member("at").and_then(Time::parse);
            return Some(Outcome::Already {
                at: at.map(|at| When::of(at, zone)),
                gate: already.member("gate").map(str::to_owned),
            });
        }
        if let Some(refused) = failure.refusal(&problem::NOT_ADMITTED) {
            return Some(Outcome::Refused { why: refused.detail.clone() });
        }
        matches!(failure, Failure::Down(_)).then_some(Outcome::Unknown)
    }
}

impl Page for DoorPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn uses_camera(&self) -> bool {
        true
    }
}

#[derive(Deserialize)]
pub struct Scan {
    code: String,
    #[serde(default)]
    gate: String,
    key: String,
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
) -> Result<Response> {
    page(&app, &visitor, id, None, String::new()).await
}

/// The result is the page itself: sent again, as by a reload, the same scan has the same result.
pub async fn check_in(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
    Form(scan): Form<Scan>,
) -> Result<Response> {
    let zone = visitor.api.ticket(id).await.map(|ticket| ticket.time_zone);
    let zone = zone.unwrap_or_else(|_| app.settings.market.time_zone.clone());
    let outcome = match visitor.api.check_in(id, &scan.code, &scan.gate, &scan.key).await {
        Ok(admitted) => Outcome::Admitted { place: admitted.place },
        Err(failure) => match Outcome::of(&failure, &zone) {
            Some(outcome) => outcome,
            None => return Err(failure.into()),
        },
    };
    page(&app, &visitor, id, Some(outcome), scan.gate).await
}

async fn page(
    app: &App,
    visitor: &Visitor,
    id: TicketId,
    outcome: Option<Outcome>,
    gate: String,
) -> Result<Response> {
    let (ticket, door, frame) =
        tokio::join!(visitor.api.ticket(id), visitor.api.door(id), Frame::of(app, visitor));
    let (ticket, door) = (ticket?, door?);
    let link = door.invitation.as_ref().map(|secret| {
        let mut url = app.settings.server.public_url.clone();
        url.set_path(&format!("/tickets/{id}/door/join"));
        url.query_pairs_mut().append_pair("link", secret);
        url.to_string()
    });
    DoorPage { frame, ticket, door, outcome, gate, key: new_key(), link }.show()
}

#[derive(Template)]
#[template(path = "door-join.html")]
struct JoinPage {
    frame: Frame,
    ticket: Ticket,
    link: String,
    name: String,
}

impl Page for JoinPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Invitation {
    link: String,
    name: String,
}

pub async fn ask_to_join(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
    PageQuery(Invitation { link, .. }): PageQuery<Invitation>,
) -> Result<Response> {
    let (ticket, user, frame) =
        tokio::join!(visitor.api.ticket(id), visitor.api.current_user(), Frame::of(&app, &visitor));
    // The form works without it.
    let user = user.ok().flatten();
    let name = user.map(|user| user.name.unwrap_or(user.email)).unwrap_or_default();
    JoinPage { frame, ticket: ticket?, link, name }.show()
}

pub async fn join(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
    Form(Invitation { link, name }): Form<Invitation>,
) -> Result<Response> {
    visitor.api.join(id, &link, &name).await?;
    Ok(Notice::DoorJoined.at(&format!("/tickets/{id}/door")).into_response())
}

pub async fn invite(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
) -> Result<Response> {
    visitor.api.invite(id).await?;
    Ok(Redirect::to(&format!("/tickets/{id}/door#staff")).into_response())
}

#[derive(Deserialize)]
pub struct Dismissed {
    user: UserId,
}

pub async fn dismiss(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<TicketId>,
    Form(Dismissed { user }): Form<Dismissed>,
) -> Result<Response> {
    visitor.api.dismiss(id, user).await?;
    Ok(Notice::DoorDismissed.at(&format!("/tickets/{id}/door")).into_response())
}

/// GET on the address of a form, as after signing in, redirects to the door.
pub async fn back(PathId(id): PathId<TicketId>) -> Result<Redirect, Error> {
    Ok(Redirect::to(&format!("/tickets/{id}/door")))
}
