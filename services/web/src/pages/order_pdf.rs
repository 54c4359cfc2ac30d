//! `/orders/{id}/tickets.pdf`: the codes of a paid order as a file, one page per place.

use admissions::QrCode;
use anyhow::Context as _;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::Place;
use common::display::receipt_number;
use common::ids::OrderId;
use e_ticket::{ETicket, FILE};
use http::{HeaderValue, header};
use httpkit::Result;
use httpkit::extract::PathId;

use super::order_tickets::admissions_of;
use crate::api::Admission;
use crate::format::When;
use crate::state::App;
use crate::visitor::SignedIn;

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
) -> Result<Response> {
    let order = visitor.api.order(id).await?;
    let page = format!("/orders/{id}");
    let Some(admissions) = admissions_of(&visitor, &order).await else {
        return Ok(Redirect::to(&page).into_response());
    };
    let zone = order.ticket.time_zone.as_deref().unwrap_or(&app.settings.market.time_zone);
    let ticket = ETicket {
        date: order.ticket.date.map(|date| When::of(date, zone)),
        title: order.ticket.title,
        venue: order.ticket.venue,
        order: id.to_string(),
        link: app.absolute(&page),
        receipt: receipt_number(id),
    };
    // A large order takes a moment, which the other requests don't wait for.
    let file = tokio::task::spawn_blocking(move || {
        let code = |one: &Admission| Some((Place::new(one.place), QrCode::of(&one.code)?));
        let codes: Option<Vec<_>> = admissions.iter().map(code).collect();
        let codes = codes.context("a code is a QR code")?;
        ticket.pdf(codes.iter().map(|(place, code)| (*place, code)))
    });
    let file = file.await.map_err(anyhow::Error::from).flatten()?;
    let (name, media_type) = FILE;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let attachment = format!("attachment; filename=\"{name}\"");
    Ok((headers, [(header::CONTENT_DISPOSITION, attachment)], file).into_response())
}
