//! `GET /api/orders/{id}/mails`: the mails about an order that its buyer was sent; for administrators, the seller's as well.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::ids::OrderId;
use common::permissions::Action;
use httpkit::extract::PathId;
use httpkit::response::personal;
use httpkit::{CurrentUser, Result};
use serde::Serialize;

use crate::state::App;
use crate::view::MailView;

#[derive(Serialize)]
struct List {
    mails: Vec<MailView>,
}

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
) -> Result<impl IntoResponse> {
    let order = super::order_of_buyer(&app, &user, Action::BuyerMails, id).await?;
    let mails = app.store.mails_about(id).await?.into_iter();
    let mails = mails.filter(|mail| user.is_admin() || mail.user_id == order.order.user_id);
    Ok(personal(None, Json(List { mails: mails.map(MailView::of).collect() })))
}
