//! `GET /api/orders/{id}/mails`: the mails about an order that its buyer was sent; for administrators, the seller's as well.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::ids::OrderId;
use common::permissions::Action;
use common::problem;
use httpkit::extract::PathId;
use httpkit::openapi::Call;
use httpkit::response::personal;
use httpkit::{CurrentUser, Result};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Mail;
use crate::state::App;
use crate::view::MailView;

#[derive(Serialize, ToSchema)]
#[schema(as = Mails)]
pub struct List {
    mails: Vec<MailView>,
}

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    PathId(id): PathId<OrderId>,
) -> Result<impl IntoResponse> {
    let order = super::order_of_buyer(&app, &user, Action::BuyerMails, id).await?;
    let mails = app.store.mails_about(id).await?;
    let mails = if user.is_admin() {
        let traces = app.store.traces_of(&mails).await;
        let view = |mail: Mail| {
            let trace = traces.of(&mail.id);
            MailView::of(mail).with_trace(trace)
        };
        mails.into_iter().map(view).collect()
    } else {
        let own = mails.into_iter().filter(|mail| mail.user_id == order.order.user_id);
        own.map(MailView::of).collect()
    };
    Ok(personal(None, Json(List { mails })))
}

pub fn call() -> Call {
    Call::get("mails", "/api/orders/{id}/mails", "List the mails about an order")
        .text("For its buyer, who sees those to themselves, and administrators. The oldest first.")
        .signed_in()
        .ok::<List>("The mails.")
        .refused(&[&problem::NOT_ALLOWED])
}
