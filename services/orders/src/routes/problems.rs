//! `GET /api/orders/problems`: the complete orders whose buyers have reported a problem that isn't solved, for administrators; the
//! latest report first.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::Time;
use common::ids::UserId;
use common::permissions::{Action, Owners};
use common::problem;
use httpkit::extract::Query;
use httpkit::openapi::Call;
use httpkit::paging::{self, Cursor};
use httpkit::response::personal;
use httpkit::{CurrentUser, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{Order, UserReplica};
use crate::state::App;
use crate::view::{OrderView, ReportedOrderView};

#[derive(Deserialize)]
pub struct Input {
    limit: Option<i64>,
    cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReportedOrders)]
pub struct Page {
    orders: Vec<ReportedOrderView>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next: Option<String>,
}

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    Query(input): Query<Input>,
) -> Result<impl IntoResponse> {
    // It is about no order of the user's own, which would allow nothing either.
    let owners = Owners { seller: user.id, buyer: Some(user.id) };
    user.require(Action::ReviewProblems, owners)?;
    let limit = paging::limit(input.limit)?;
    let filters = "problems";
    let after = match input.cursor {
        Some(text) => {
            let cursor = Cursor::decode(&text, &filters)?;
            Some((Time::from_millis(cursor.key), cursor.id))
        }
        None => None,
    };
    // One more than the page contains, to know whether there is a next page.
    let mut orders = app.store.problems(after, limit + 1).await?;
    let page_size = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = orders.len() > page_size;
    orders.truncate(page_size);
    let next = orders.last().filter(|_| has_more).and_then(|last| {
        let reported_at = last.handover.as_ref()?.problem.as_ref()?.reported_at;
        Some(Cursor::after(reported_at.millis(), last.id, &filters).encode())
    });
    let parties = parties(&app, &orders).await?;
    let now = app.clock.now();
    let view = |order: Order| {
        let [buyer, seller] = [order.user_id, order.seller_id].map(|id| parties.get(&id).cloned());
        ReportedOrderView::of(OrderView::of(order, now), buyer, seller)
    };
    let orders = orders.into_iter().map(view).collect();
    Ok(personal(None, Json(Page { orders, next })))
}

pub fn call() -> Call {
    Call::get("problems", "/api/orders/problems", "List the orders with an unsolved problem")
        .text("For administrators. The latest report first.")
        .signed_in()
        .paged()
        .ok::<Page>("A page.")
        .refused(&[&problem::NOT_ALLOWED])
}

/// The buyers and sellers of these orders.
async fn parties(app: &App, orders: &[Order]) -> Result<HashMap<UserId, UserReplica>> {
    let ids: Vec<_> = orders.iter().flat_map(|order| [order.user_id, order.seller_id]).collect();
    let users = app.store.users(&ids).await?;
    Ok(users.into_iter().map(|user| (user.id, user)).collect())
}
