//! The mailbox in a browser: the list, and one mail.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, State as Shared},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use super::api::find;
use crate::{
    reader::{self, Reading, Summary},
    state::State,
};

#[derive(Template)]
#[template(path = "list.html")]
struct List {
    /// The newest first.
    mails: Vec<Summary>,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Mail {
    mail: Reading,
}

pub async fn list(Shared(state): Shared<Arc<State>>) -> Result<Response, StatusCode> {
    let mails = state.mailbox.all();
    page(&List { mails: mails.iter().rev().map(|mail| reader::summarise(mail)).collect() })
}

pub async fn show(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<u64>,
) -> Result<Response, StatusCode> {
    page(&Mail { mail: reader::read(&*find(&state, id)?) })
}

fn page(template: &impl Template) -> Result<Response, StatusCode> {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'";
    let html = template.render().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response())
}
