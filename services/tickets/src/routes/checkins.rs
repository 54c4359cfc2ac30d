//! `GET /api/orders/{id}/checkins`: which places of an order have come in, and when, for its buyer and its ticket's seller.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::ids::OrderId;
use common::permissions::Action;
use common::{Place, Time, problem};
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::response::personal;
use httpkit::{CurrentUser, Result};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::CheckIn;
use crate::state::App;

#[derive(Serialize, ToSchema)]
#[schema(as = CheckIns)]
pub struct List {
    checkins: Vec<View>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CheckIn)]
pub struct View {
    place: Place,
    at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<String>,
}

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
) -> Result<impl IntoResponse> {
    let (reservation, _) = super::sale_for(&app, &user, Action::ViewOrder, id).await?;
    let view = |place: &Place| {
        let CheckIn { at, gate, .. } = reservation.check_in_of(*place)?;
        Some(View { place: *place, at: *at, gate: gate.clone() })
    };
    let mut checkins: Vec<View> = reservation.places.iter().filter_map(view).collect();
    checkins.sort_by_key(|one| (one.at, one.place));
    Ok(personal(None, Json(List { checkins })))
}

pub fn call() -> Call {
    Call::get("checkins", "/api/orders/{id}/checkins", "Show which places of an order have come in")
        .text("For its buyer, its ticket's seller, and administrators. The earliest first.")
        .signed_in()
        .ok::<List>("Those that have.")
        .refused(&[&problem::NOT_ALLOWED])
}
