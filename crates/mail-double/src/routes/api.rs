//! The mails as JSON, and their parts.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State as Shared},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    mailbox::Mail,
    reader::{self, Reading, Summary},
    state::State,
};

#[derive(Deserialize)]
pub struct Filter {
    /// An address that must be among the recipients.
    to: Option<String>,
}

#[derive(Serialize)]
pub struct List {
    mails: Vec<Summary>,
}

/// The oldest first.
pub async fn list(Shared(state): Shared<Arc<State>>, Query(filter): Query<Filter>) -> Json<List> {
    let mails = state.mailbox.all();
    let is_wanted =
        |mail: &Mail| filter.to.as_ref().is_none_or(|wanted| mail.envelope.to.contains(wanted));
    let mails = mails.iter().filter(|mail| is_wanted(mail)).map(|mail| reader::summarise(mail));
    Json(List { mails: mails.collect() })
}

pub async fn show(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<u64>,
) -> Result<Json<Reading>, StatusCode> {
    Ok(Json(reader::read(&*find(&state, id)?)))
}

pub async fn raw(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<u64>,
) -> Result<Response, StatusCode> {
    let mail = find(&state, id)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], mail.raw.clone()).into_response())
}

/// In a sandbox: a mail runs no script, and loads nothing from elsewhere.
pub async fn html(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<u64>,
) -> Result<Response, StatusCode> {
    const POLICY: &str =
        "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    let html = reader::self_contained_html(&*find(&state, id)?).ok_or(StatusCode::NOT_FOUND)?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    Ok((headers, html).into_response())
}

pub async fn attachment(
    Shared(state): Shared<Arc<State>>,
    Path((id, number)): Path<(u64, usize)>,
) -> Result<Response, StatusCode> {
    let mail = find(&state, id)?;
    let (kind, content) = reader::attachment(&mail, number).ok_or(StatusCode::NOT_FOUND)?;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, content).into_response())
}

pub async fn clear(Shared(state): Shared<Arc<State>>) -> Result<StatusCode, StatusCode> {
    let cleared = tokio::task::spawn_blocking(move || state.mailbox.clear()).await;
    match cleared {
        Ok(Ok(())) => Ok(StatusCode::NO_CONTENT),
        Ok(Err(_)) | Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

pub fn find(state: &State, id: u64) -> Result<Arc<Mail>, StatusCode> {
    state.mailbox.find(id).ok_or(StatusCode::NOT_FOUND)
}
