//! `/recover/new`: the page of the link to another password, which signs in.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::problem;
use http::StatusCode;
use httpkit::Result;
use serde::Deserialize;

use super::signup::PASSWORD_RULE;
use crate::api::Failure;
use crate::forms::{FieldError, Form, FormErrors, LinkCode, PageQuery};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::session::set_cookies;
use crate::state::App;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "recover-new.html")]
struct NewPasswordPage {
    frame: Frame,
    code: String,
    errors: FormErrors,
}

impl Page for NewPasswordPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn has_code(&self) -> bool {
        true
    }
}

#[derive(Deserialize)]
pub struct Input {
    #[serde(default)]
    code: String,
    #[serde(default)]
    password: String,
}

pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    PageQuery(LinkCode { code }): PageQuery<LinkCode>,
) -> Result<Response> {
    let frame = Frame::of(&app, &visitor).await.without_query();
    NewPasswordPage { frame, code, errors: FormErrors::none() }.show()
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Form(Input { code, password }): Form<Input>,
) -> Result<Response> {
    let failure = match visitor.api.recover(&code, &password).await {
        Ok(session) => {
            let mut response = Notice::PasswordReplaced.at("/account").into_response();
            set_cookies(&mut response, session.cookies);
            return Ok(response);
        }
        Err(failure) => failure,
    };
    let (status, errors) = form_errors(&failure);
    let frame = Frame::of(&app, &visitor).await.without_query();
    NewPasswordPage { frame, code, errors }.show_as(status)
}

fn form_errors(failure: &Failure) -> (StatusCode, FormErrors) {
    if failure.refusal(&problem::LINK_INVALID).is_some() {
        let text = "This link doesn’t work any more: it was used, has expired, or we’ve sent you a \
            newer one.";
        let error = FieldError::of_form(text).linked("/recover", "Get another link");
        return (StatusCode::CONFLICT, error.into());
    }
    if let Some(refusal) = failure.refusal(&problem::ACCOUNT_BANNED) {
        return (StatusCode::FORBIDDEN, FieldError::of_form(refusal.detail.clone()).into());
    }
    FormErrors::from_failure(failure, |field| {
        (field == "password").then(|| FieldError::on("password", PASSWORD_RULE))
    })
}
