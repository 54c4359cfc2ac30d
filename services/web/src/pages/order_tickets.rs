//! `/orders/{id}/tickets`: the codes of a paid order, one page per place when they are printed; and its calendar file.

use admissions::QrCode;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::calendar;
use common::events::OrderStatus;
use common::ids::OrderId;
use http::{HeaderValue, header};
use httpkit::extract::PathId;
use httpkit::{Error, Result};

use crate::api::{Admission, Failure, Order};
use crate::format::When;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::{SignedIn, Visitor};

/// The code of one place, as it is shown to its buyer.
pub struct Pass {
    pub place: u16,
    /// A picture that needs no escaping: it has modules and a number.
    pub svg: String,
    pub checked_in: Option<When>,
}

impl Pass {
    fn of(admission: &Admission, zone: &str) -> Option<Pass> {
        let Admission { place, code, checked_in } = admission;
        Some(Pass {
            place: *place,
            svg: QrCode::of(code)?.svg(&format!("QR code of ticket {place}")),
            checked_in: checked_in.as_ref().map(|seen| When::of(seen.at, zone)),
        })
    }
}

/// Whether the codes are offered as a PDF.
pub const HAS_PDF: bool = cfg!(feature = "pdf");

/// None: the order isn't paid, its seller delivers, tickets hasn't received the sale yet, or is unavailable.
pub async fn passes_of(visitor: &Visitor, order: &Order) -> Option<Vec<Pass>> {
    let zone = order.ticket.time_zone.as_deref().unwrap_or("UTC");
    let admissions = admissions_of(visitor, order).await?;
    admissions.iter().map(|one| Pass::of(one, zone)).collect()
}

/// As [`passes_of`].
pub(super) async fn admissions_of(visitor: &Visitor, order: &Order) -> Option<Vec<Admission>> {
    if order.status != OrderStatus::Complete || !order.is_checked_in_here() {
        return None;
    }
    match visitor.api.admissions(order.id).await {
        Ok(admissions) => Some(admissions),
        Err(Failure::Down(cause)) => {
            tracing::warn!(error = format!("{cause:#}"), "could not load the codes of an order");
            None
        }
        Err(Failure::Refused(_)) => None,
    }
}

#[derive(Template)]
#[template(path = "order-tickets.html")]
struct TicketsPage {
    frame: Frame,
    order: Order,
    passes: Vec<Pass>,
    date: Option<When>,
}

impl Page for TicketsPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
) -> Result<Response> {
    let (order, frame) = tokio::join!(visitor.api.order(id), Frame::of(&app, &visitor));
    let order = order?;
    let Some(passes) = passes_of(&visitor, &order).await else {
        return Ok(Redirect::to(&format!("/orders/{id}")).into_response());
    };
    let zone = order.ticket.time_zone.as_deref().unwrap_or(&app.settings.market.time_zone);
    let date = order.ticket.date.map(|date| When::of(date, zone));
    TicketsPage { frame, passes, date, order }.show()
}

/// The event in a format that calendars read. It has no code.
pub async fn calendar(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
) -> Result<Response> {
    let order = visitor.api.order(id).await?;
    let mut link = app.settings.server.public_url.clone();
    link.set_path(&format!("/orders/{id}"));
    let (name, media_type) = calendar::FILE;
    let ticket = &order.ticket;
    let file = ticket.date.map(|date| {
        calendar::event(
            id,
            &ticket.title,
            ticket.venue.as_deref(),
            date,
            link.as_str(),
            visitor.now,
        )
    });
    let file = file.ok_or_else(|| Error::not_found("file"))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let attachment = format!("attachment; filename=\"{name}\"");
    Ok((headers, [(header::CONTENT_DISPOSITION, attachment)], file).into_response())
}
