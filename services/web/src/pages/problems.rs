//! `/problems`: what buyers have reported, for administrators: the latest report first.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use httpkit::Result;

use super::orders::Params;
use crate::api::{Contact, HandoverState, Order, ReportedOrder};
use crate::format::{When, price, ticket_colour};
use crate::forms::{PageQuery, with_query};
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Template)]
#[template(path = "problems.html")]
struct ProblemsPage {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
}

struct Row {
    order: Order,
    total: String,
    colour: usize,
    message: String,
    reported: When,
    /// Whether the seller says that it was sent since.
    is_sent_again: bool,
    buyer: Option<Contact>,
    seller: Option<Contact>,
}

impl Row {
    /// None: it has been solved meanwhile.
    fn of(reported: ReportedOrder, zone: &str) -> Option<Row> {
        let ReportedOrder { order, buyer, seller } = reported;
        let problem = order.handover.as_ref()?.problem.clone()?;
        Some(Row {
            total: price(order.total(), &order.ticket.currency),
            colour: ticket_colour(order.ticket.id),
            reported: When::of(problem.reported_at, zone),
            message: problem.message,
            is_sent_again: order.handover_state() == Some(HandoverState::Sent),
            order,
            buyer,
            seller,
        })
    }
}

impl Page for ProblemsPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PageQuery(params): PageQuery<Params>,
) -> Result<Response> {
    let query: Vec<_> = params.cursor().into_iter().chain([("limit", "20")]).collect();
    let (list, frame) =
        tokio::join!(visitor.api.reported_orders(&query), Frame::of(&app, &visitor));
    let list = match list {
        Err(failure) if failure.is_about("cursor") => {
            return Ok(Redirect::to("/problems").into_response());
        }
        list => list?,
    };
    let zone = &app.settings.market.time_zone;
    ProblemsPage {
        frame,
        rows: list.items.into_iter().filter_map(|one| Row::of(one, zone)).collect(),
        next: list.next.map(|cursor| with_query("/problems", &[("cursor", &cursor)])),
        is_first: params.cursor().is_none(),
    }
    .show()
}
