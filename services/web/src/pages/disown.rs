//! `/disown`: the owner of an address says that they haven't signed up, and closes the account.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::problem;
use http::StatusCode;
use httpkit::Result;

use crate::forms::{FieldError, Form, FormErrors, LinkCode, PageQuery};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "disown.html")]
struct DisownPage {
    frame: Frame,
    code: String,
    errors: FormErrors,
}

impl Page for DisownPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn has_code(&self) -> bool {
        true
    }
}

pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    PageQuery(LinkCode { code }): PageQuery<LinkCode>,
) -> Result<Response> {
    let frame = Frame::of(&app, &visitor).await.without_query();
    DisownPage { frame, code, errors: FormErrors::none() }.show()
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Form(LinkCode { code }): Form<LinkCode>,
) -> Result<Response> {
    let failure = match visitor.api.disown(&code).await {
        Ok(()) => return Ok(Notice::Disowned.at("/").into_response()),
        Err(failure) => failure,
    };
    let (status, errors) = if failure.refusal(&problem::LINK_INVALID).is_some() {
        let text = "This link doesn’t work any more: the account is closed already, or its email \
            address was confirmed.";
        (StatusCode::CONFLICT, FieldError::of_form(text).into())
    } else {
        FormErrors::from_failure(&failure, |_| None)
    };
    let frame = Frame::of(&app, &visitor).await.without_query();
    DisownPage { frame, code, errors }.show_as(status)
}
