//! `/verify`: the page of the links that confirm an address. Its button does; opening the page changes nothing, for programs that
//! scan mails open it, too.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use common::problem;
use http::StatusCode;
use httpkit::Result;

use super::account;
use crate::api::Failure;
use crate::forms::{FieldError, Form, FormErrors, LinkCode, PageQuery};
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "verify.html")]
struct VerifyPage {
    frame: Frame,
    code: String,
    errors: FormErrors,
}

impl Page for VerifyPage {
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
    VerifyPage { frame, code, errors: FormErrors::none() }.show()
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Form(LinkCode { code }): Form<LinkCode>,
) -> Result<Response> {
    let failure = match visitor.api.verify_email(&code).await {
        Ok(()) => {
            let next = if visitor.user().is_some() { "/account" } else { "/auth/signin" };
            return Ok(account::confirmed(&visitor, next).await);
        }
        Err(failure) => failure,
    };
    let (status, errors) = form_errors(&failure);
    let frame = Frame::of(&app, &visitor).await.without_query();
    VerifyPage { frame, code, errors }.show_as(status)
}

fn form_errors(failure: &Failure) -> (StatusCode, FormErrors) {
    if failure.refusal(&problem::LINK_INVALID).is_some() {
        let text = "This link doesn’t work any more: it was used, has expired, or we’ve sent you a \
            newer one. If your address isn’t confirmed yet, ask for another link.";
        let error = FieldError::of_form(text).linked("/account", "My account");
        return (StatusCode::CONFLICT, error.into());
    }
    if failure.refusal(&problem::EMAIL_IN_USE).is_some() {
        let text = "Another account has this email address. Sign in to that one, or choose \
            another address.";
        return (StatusCode::CONFLICT, FieldError::of_form(text).into());
    }
    FormErrors::from_failure(failure, |_| None)
}
