//! `POST /api/tickets/{id}/checkin`: a code is shown at the door. It is admitted once.

use admissions::AdmissionKeys;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use common::ids::{OrderId, TicketId};
use common::problem;
use common::problem::Violation;
use common::{Place, Time, text};
use httpkit::extract::{Body, PathId};
use httpkit::idempotency::Idempotent;
use httpkit::openapi::Call;
use httpkit::response::personal;
use httpkit::{CurrentUser, Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::errors::{Rejection, not_admitted};
use crate::domain::{Attendance, CheckIn};
use crate::state::App;

const MAX_GATE_CHARS: usize = 50;

#[derive(Deserialize, ToSchema)]
#[schema(as = Scan)]
pub struct Input {
    /// What the ticket's code says.
    #[schema(example = "TKT1:6BF…")]
    code: String,
    /// Where; one line.
    #[schema(example = "North")]
    gate: Option<String>,
}

/// Somebody who may come in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Admitted {
    order_id: OrderId,
    place: Place,
    at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<String>,
    #[serde(flatten)]
    attendance: Attendance,
}

pub async fn handle(
    State(app): State<App>,
    Extension(keys): Extension<AdmissionKeys>,
    user: CurrentUser,
    PathId(id): PathId<TicketId>,
    Idempotent(request, Body(input)): Idempotent<Body<Input>>,
) -> Result<impl IntoResponse> {
    super::door::require_staff(&app, &user, id).await?;
    let gate = text::one_line(&input.gate.unwrap_or_default(), MAX_GATE_CHARS)
        .map_err(|error| Error::invalid([Violation::of("gate", error.to_string())]))?;
    let admission = keys.verify(&input.code).map_err(|_| not_admitted(Rejection::UnknownCode))?;
    if admission.ticket != id {
        return Err(not_admitted(Rejection::OtherListing));
    }
    let scan = CheckIn {
        place: admission.place,
        at: app.clock.now(),
        gate,
        by: user.id,
        request: request.has_key().then(|| request.id().to_owned()),
    };
    let admitted = app.store.check_in(admission.order, &scan).await??;
    // That of this request, when it was sent before.
    let CheckIn { place, at, gate, .. } = admitted.check_in_of(scan.place).cloned().unwrap_or(scan);
    let attendance = app.store.attendance(id).await?;
    let view = Admitted { order_id: admission.order, place, at, gate, attendance };
    Ok(personal(None, Json(view)))
}

pub fn call() -> Call {
    Call::post("checkIn", "/api/tickets/{id}/checkin", "Let somebody in")
        .text(
            "For its seller, their door staff, and administrators. A code is admitted once. A scan that is sent again under its \
             `Idempotency-Key` gets the first result.",
        )
        .signed_in()
        .body::<Input>()
        .max_chars(&[("gate", MAX_GATE_CHARS)])
        .idempotent()
        .ok::<Admitted>("Somebody may come in.")
        .refused(&[
            &problem::NOT_ALLOWED,
            &problem::NOT_ADMITTED,
            &problem::ALREADY_CHECKED_IN,
            &problem::NOT_CHECKED_IN_HERE,
        ])
}
