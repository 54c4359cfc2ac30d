//! `GET /api/orders`: my orders, or those on my tickets (`as=seller`), newest first.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::Time;
use common::events::OrderStatus;
use common::problem::Violation;
use httpkit::extract::Query;
use httpkit::paging::{self, Cursor};
use httpkit::response::personal;
use httpkit::{CurrentUser, Error, Result};
use serde::{Deserialize, Serialize};

use crate::state::App;
use crate::store::Side;
use crate::view::OrderView;

#[derive(Deserialize)]
pub struct Input {
    #[serde(default)]
    status: Vec<String>,
    limit: Option<i64>,
    cursor: Option<String>,
    r#as: Option<String>,
}

#[derive(Serialize)]
struct Page {
    orders: Vec<OrderView>,
    next: Option<String>,
}

pub async fn list(
    State(app): State<App>,
    user: CurrentUser,
    Query(input): Query<Input>,
) -> Result<impl IntoResponse> {
    let side = match input.r#as.as_deref() {
        None | Some("buyer") => Side::Buyer(user.id),
        Some("seller") => Side::Seller(user.id),
        Some(_) => return Err(Error::invalid([Violation::of("as", "must be buyer or seller")])),
    };
    let statuses = statuses(&input.status)?;
    let limit = paging::limit(input.limit)?;
    let filters = (matches!(side, Side::Seller(_)), user.id, &input.status);
    let after = match input.cursor {
        Some(text) => {
            let cursor = Cursor::decode(&text, &filters)?;
            Some((Time::from_millis(cursor.key), cursor.id))
        }
        None => None,
    };
    let now = app.clock.now();
    // One more than is shown tells whether there is a next page.
    let mut orders = app.store.list(side, &statuses, now, after, limit + 1).await?;
    let more = orders.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    orders.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = orders
        .last()
        .filter(|_| more)
        .map(|last| Cursor::after(last.created_at.millis(), last.id, &filters).encode());
    let orders = orders.into_iter().map(|order| OrderView::of(order, now)).collect();
    Ok(personal(None, Json(Page { orders, next })))
}

/// `active` stands for every live state.
fn statuses(asked: &[String]) -> Result<Vec<OrderStatus>> {
    let mut statuses = Vec::new();
    for name in asked {
        let found = OrderStatus::ALL
            .into_iter()
            .filter(|status| status.as_str() == name || (name == "active" && status.is_live()));
        let before = statuses.len();
        statuses.extend(found);
        if statuses.len() == before {
            let names = OrderStatus::ALL.map(OrderStatus::as_str).join(", ");
            let rule = format!("must be one of {names}, active");
            return Err(Error::invalid([Violation::of("status", rule)]));
        }
    }
    Ok(statuses)
}
