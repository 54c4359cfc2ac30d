//! `/auth/signup`: creates an account, and signs in.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::problem;
use http::{HeaderMap, StatusCode};
use httpkit::Result;
use serde::{Deserialize, Serialize};

use crate::api::{Failure, Session};
use crate::forms::{FieldError, Form, FormErrors, PageQuery, next_page, with_query};
use crate::page::{Cache, Frame, Page};
use crate::session;
use crate::state::App;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "signup.html")]
struct SignUpPage {
    frame: Frame,
    typed: Input,
    next: String,
    errors: FormErrors,
}

impl Page for SignUpPage {
    const CACHE: Cache = Cache::Form;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Params {
    next: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
pub struct Input {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    name: String,
    #[serde(default, skip_serializing)]
    next: String,
}

/// The rule of a new password.
pub const PASSWORD_RULE: &str = "Password must be between 8 and 128 characters";
/// How to choose one.
pub const PASSWORD_HINT: &str =
    "At least 8 characters. Three random words are easy to remember and hard to guess.";
/// The longest name that auth accepts.
pub const NAME_MAX_CHARS: usize = 100;

impl Input {
    fn field_error(&self, field: &str) -> Option<FieldError> {
        match field {
            "email" => {
                Some(FieldError::on("email", "Enter an email address like name@example.com"))
            }
            "password" => Some(FieldError::on("password", PASSWORD_RULE)),
            "name" => Some(FieldError::on_line("name", "Name", &self.name, NAME_MAX_CHARS)),
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
    let (typed, next) = (Input::default(), next.to_owned());
    let mut response = SignUpPage { frame, typed, next, errors: FormErrors::none() }.show()?;
    session::probe_cookies(&headers, &mut response);
    Ok(response)
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(typed): Form<Input>,
) -> Result<Response> {
    let next = next_page(Some(&typed.next)).to_owned();
    let failure = match sign_up(&visitor, &typed).await {
        Ok(signed) => return Ok(session::begin(&headers, &next, signed.cookies)),
        Err(failure) => failure,
    };
    let (status, errors) = form_errors(&failure, &typed, &next);
    let frame = Frame::of(&app, &visitor).await.returning_to(&next);
    SignUpPage { frame, typed, next, errors }.show_as(status)
}

/// Creates the account. A form that is submitted twice signs in: the person who knows the password of the account with
/// this email address is its owner.
async fn sign_up(visitor: &Visitor, typed: &Input) -> Result<Session, Failure> {
    match visitor.api.sign_up(typed).await {
        Err(failure) if failure.refusal(&problem::EMAIL_IN_USE).is_some() => {
            visitor.api.sign_in(typed).await.map_err(|_| failure)
        }
        outcome => outcome,
    }
}

fn form_errors(failure: &Failure, typed: &Input, next: &str) -> (StatusCode, FormErrors) {
    if failure.refusal(&problem::EMAIL_IN_USE).is_some() {
        let in_use =
            FieldError::on("email", "You already have an account with this email address.")
                .linked(with_query("/auth/signin", &[("next", next)]), "Sign in instead");
        return (StatusCode::UNPROCESSABLE_ENTITY, in_use.into());
    }
    FormErrors::from_failure(failure, |field| typed.field_error(field))
}
