//! `POST /api/tickets`: someone offers a ticket.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::Result;
use common::auth::CurrentUser;
use common::extract::Body;
use http::{StatusCode, header};

use crate::app::App;
use crate::domain::Ticket;
use crate::draft::{Draft, Input};
use crate::view;

pub async fn create(
    State(app): State<App>,
    user: CurrentUser,
    Body(input): Body<Input>,
) -> Result<Response> {
    let now = app.clock.now();
    let draft = Draft::parse(input, &app.market, now)?;
    let ticket = app.store.insert(Ticket::offer(user.id, draft, now)).await?;
    let location = (header::LOCATION, format!("/api/tickets/{}", ticket.id));
    let answer = view::one(StatusCode::CREATED, ticket, Some(&user), now);
    Ok(([location], answer).into_response())
}
