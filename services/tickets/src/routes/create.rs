//! `POST /api/tickets`: lists a ticket for sale.

use axum::extract::State;
use common::problem;
use httpkit::extract::Body;
use httpkit::idempotency::Idempotent;
use httpkit::openapi::Call;
use httpkit::{CurrentUser, Result};
use store::StoredResponse;

use crate::body::{MAX_CHARS, TicketBody};
use crate::domain::Ticket;
use crate::state::App;
use crate::view::{self, TicketView};

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    Idempotent(request, Body(body)): Idempotent<Body<TicketBody>>,
) -> Result<StoredResponse> {
    let create = async {
        user.require_verified(app.require_verified_email)?;
        let now = app.clock.now();
        let created = Ticket::create(user.id, body.parse(&app.market, None, now)?, now);
        let response = view::created(&created.thing, &user, now)?;
        app.store.insert(&request, &response, created).await?;
        Ok(response)
    };
    app.store.run_once(&request, create).await
}

pub fn call() -> Call {
    Call::post("create", "/api/tickets", "List a ticket for sale")
        .text("All broken rules are reported at once.")
        .signed_in()
        .body::<TicketBody>()
        .max_chars(&MAX_CHARS)
        .idempotent()
        .created::<TicketView>("The ticket.")
        .refused(&[&problem::EMAIL_NOT_VERIFIED])
}
