//! `GET /api/orders`: a user's orders, or those of the user's tickets (`as=seller`), newest first.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::Time;
use common::events::OrderStatus;
use common::ids::{TicketId, UserId};
use common::problem::Violation;
use httpkit::extract::Query;
use httpkit::openapi::Call;
use httpkit::paging::{self, Cursor};
use httpkit::response::personal;
use httpkit::{CurrentUser, Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::state::App;
use crate::store::{ListFilter, Party};
use crate::view::OrderView;

#[derive(Deserialize, IntoParams)]
pub struct Input {
    /// Those in one of these states; `active` stands for all but `cancelled`.
    #[serde(default)]
    #[param(example = json!(["active"]))]
    status: Vec<String>,
    #[param(ignore)]
    limit: Option<i64>,
    #[param(ignore)]
    cursor: Option<String>,
    /// `seller`: orders of the user's tickets, instead of their own orders.
    #[param(pattern = "^(buyer|seller)$", example = "buyer")]
    r#as: Option<String>,
    /// Orders of this listing.
    #[serde(rename = "ticketId")]
    ticket_id: Option<TicketId>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Orders)]
pub struct Page {
    orders: Vec<OrderView>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next: Option<String>,
}

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    Query(input): Query<Input>,
) -> Result<impl IntoResponse> {
    let wanted = ListFilter {
        party: party(input.r#as.as_deref(), user.id)?,
        ticket: input.ticket_id,
        statuses: statuses(&input.status)?,
    };
    let limit = paging::limit(input.limit)?;
    let as_seller = matches!(wanted.party, Party::Seller(_));
    let filters = (as_seller, user.id, &input.status, input.ticket_id);
    let after = match input.cursor {
        Some(text) => {
            let cursor = Cursor::decode(&text, &filters)?;
            Some((Time::from_millis(cursor.key), cursor.id))
        }
        None => None,
    };
    let now = app.clock.now();
    // One more than the page contains, to know whether there is a next page.
    let mut orders = app.store.list(&wanted, now, after, limit + 1).await?;
    let page_size = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = orders.len() > page_size;
    orders.truncate(page_size);
    let next = orders
        .last()
        .filter(|_| has_more)
        .map(|last| Cursor::after(last.created_at.millis(), last.id, &filters).encode());
    let orders = orders.into_iter().map(|order| OrderView::of(order, now)).collect();
    Ok(personal(None, Json(Page { orders, next })))
}

pub fn call() -> Call {
    Call::get("list", "/api/orders", "List a user's orders, the newest first")
        .signed_in()
        .query::<Input>()
        .paged()
        .ok::<Page>("A page.")
}

fn party(name: Option<&str>, user: UserId) -> Result<Party> {
    match name {
        None | Some("buyer") => Ok(Party::Buyer(user)),
        Some("seller") => Ok(Party::Seller(user)),
        Some(_) => Err(Error::invalid([Violation::of("as", "must be buyer or seller")])),
    }
}

/// `active` stands for every live status.
fn statuses(names: &[String]) -> Result<Vec<OrderStatus>> {
    let mut statuses = Vec::new();
    for name in names {
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
