//! `POST /api/tickets`: someone offers a ticket.

use axum::extract::State;
use common::Result;
use common::auth::CurrentUser;
use common::extract::Body;
use common::idempotency::{Created, Keyed};

use crate::app::App;
use crate::domain::Ticket;
use crate::draft::{Draft, Input};
use crate::view;

pub async fn create(
    State(app): State<App>,
    user: CurrentUser,
    Keyed(key, Body(input)): Keyed<Body<Input>>,
) -> Result<Created> {
    let offer = async {
        let now = app.clock.now();
        let offer = Ticket::offer(user.id, Draft::parse(input, &app.market, now)?, now);
        let answer = view::created(&offer.thing, &user, now)?;
        app.store.insert(&key, &answer, offer).await?;
        Ok(answer)
    };
    app.store.once(&key, offer).await
}
