//! `/auth/signin`: signs in, and returns to the page that required it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::problem;
use http::StatusCode;
use httpkit::Result;
use httpkit::extract::Query;
use serde::{Deserialize, Serialize};

use crate::api::Failure;
use crate::forms::{FieldError, Form, FormErrors, next_page};
use crate::page::{Cache, Frame, Page};
use crate::session::set_cookies;
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

#[derive(Deserialize)]
pub struct Params {
    next: Option<String>,
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
    Query(params): Query<Params>,
) -> Result<Response> {
    let next = next_page(params.next.as_deref());
    if visitor.user().is_some() {
        return Ok(Redirect::to(next).into_response());
    }
    let frame = Frame::of(&app, &visitor).await;
    let (email, next) = (String::new(), next.to_owned());
    SignInPage { frame, email, next, errors: FormErrors::none() }.show()
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Form(input): Form<Input>,
) -> Result<Response> {
    let next = next_page(Some(&input.next)).to_owned();
    let (status, errors) = match visitor.api.sign_in(&input).await {
        Ok(signed) => {
            let mut response = Redirect::to(&next).into_response();
            set_cookies(&mut response, signed.cookies);
            return Ok(response);
        }
        Err(failure) => form_errors(&failure),
    };
    let frame = Frame::of(&app, &visitor).await;
    SignInPage { frame, email: input.email, next, errors }.show_as(status)
}

fn form_errors(failure: &Failure) -> (StatusCode, FormErrors) {
    if failure.refusal(&problem::INVALID_CREDENTIALS).is_some() {
        let wrong = FieldError::on("password", "Incorrect email address or password");
        return (StatusCode::UNPROCESSABLE_ENTITY, wrong.into());
    }
    FormErrors::from_failure(failure, Input::field_error)
}
