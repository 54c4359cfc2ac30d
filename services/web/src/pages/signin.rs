//! `/auth/signin`: signs in, and returns to the page that required it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::problem;
use http::{HeaderMap, StatusCode};
use httpkit::Result;
use serde::{Deserialize, Serialize};

use crate::api::Failure;
use crate::forms::{FieldError, Form, FormErrors, PageQuery, next_page};
use crate::page::{Cache, Frame, Page};
use crate::session;
use crate::state::App;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "signin.html")]
struct SignInPage {
    frame: Frame,
    email: String,
    next: String,
    errors: FormErrors,
}

impl Page for SignInPage {
    const CACHE: Cache = Cache::Form;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Params {
    next: Option<String>,
    /// Present after signing in without having sent any cookie.
    cookies: Option<String>,
}

#[derive(Deserialize, Serialize)]
pub struct Input {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default, skip_serializing)]
    next: String,
}

const NEEDS_COOKIES: &str = "Signing in needs cookies, but your browser didn’t keep ours. Allow \
    cookies for this site, then sign in again.";

impl Input {
    fn field_error(field: &str) -> Option<FieldError> {
        match field {
            "email" => {
                Some(FieldError::on("email", "Enter an email address like name@example.com"))
            }
            "password" => Some(FieldError::on("password", "Enter your password")),
            _ => None,
        }
    }
}

pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    PageQuery(params): PageQuery<Params>,
) -> Result<Response> {
    let next = next_page(params.next.as_deref());
    if visitor.user().is_some() {
        return Ok(Redirect::to(next).into_response());
    }
    let frame = Frame::of(&app, &visitor).await;
    let (email, next) = (String::new(), next.to_owned());
    let errors = match params.cookies {
        None => FormErrors::none(),
        Some(_) => FieldError::of_form(NEEDS_COOKIES).into(),
    };
    let mut response = SignInPage { frame, email, next, errors }.show()?;
    session::probe_cookies(&headers, &mut response);
    Ok(response)
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(input): Form<Input>,
) -> Result<Response> {
    let next = next_page(Some(&input.next)).to_owned();
    let (status, errors) = match visitor.api.sign_in(&input).await {
        Ok(signed) => return Ok(session::begin(&headers, &next, signed.cookies)),
        Err(failure) => form_errors(&failure),
    };
    let frame = Frame::of(&app, &visitor).await.returning_to(&next);
    SignInPage { frame, email: input.email, next, errors }.show_as(status)
}

fn form_errors(failure: &Failure) -> (StatusCode, FormErrors) {
    if failure.refusal(&problem::INVALID_CREDENTIALS).is_some() {
        let wrong = FieldError::on("password", "Incorrect email address or password");
        return (StatusCode::UNPROCESSABLE_ENTITY, wrong.into());
    }
    if let Some(refusal) = failure.refusal(&problem::ACCOUNT_BANNED) {
        return (StatusCode::FORBIDDEN, FieldError::of_form(refusal.detail.clone()).into());
    }
    FormErrors::from_failure(failure, Input::field_error)
}
