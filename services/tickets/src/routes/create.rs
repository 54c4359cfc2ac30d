//! `POST /api/tickets`: someone offers a ticket.

use axum::extract::State;
use httpkit::extract::Body;
use httpkit::idempotency::Idempotent;
use httpkit::{CurrentUser, Result};
use store::StoredResponse;

use crate::domain::Ticket;
use crate::draft::{Draft, Input};
use crate::state::App;
use crate::view;

pub async fn create(
    State(app): State<App>,
    user: CurrentUser,
    Idempotent(key, Body(input)): Idempotent<Body<Input>>,
) -> Result<StoredResponse> {
    let offer = async {
        let now = app.clock.now();
        let offer = Ticket::offer(user.id, Draft::parse(input, &app.market, now)?, now);
        let answer = view::created(&offer.thing, &user, now)?;
        app.store.insert(&key, &answer, offer).await?;
        Ok(answer)
    };
    app.store.run_once(&key, offer).await
}
