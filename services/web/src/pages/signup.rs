//! `/auth/signup`: creates an account, and signs in.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::problem;
use http::StatusCode;
use httpkit::Result;
use httpkit::extract::Query;
use serde::{Deserialize, Serialize};

use crate::api::Failure;
use crate::forms::{FieldError, Form, FormErrors, next_page, with_query};
use crate::page::{Cache, Frame, Page};
use crate::session::set_cookies;
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

#[derive(Deserialize)]
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
    #[serde(default)]
    phone: String,
    #[serde(default, skip_serializing)]
    next: String,
}

/// The longest name that auth accepts.
const NAME_MAX_CHARS: usize = 100;

impl Input {
    fn field_error(&self, field: &str) -> Option<FieldError> {
        match field {
            "email" => {
                Some(FieldError::on("email", "Enter an email address like name@example.com"))
            }
            "password" => {
                let rule = "Password must be between 8 and 128 characters";
                Some(FieldError::on("password", rule))
            }
            "name" if self.name.chars().count() > NAME_MAX_CHARS => {
                let rule = format!("Name must be at most {NAME_MAX_CHARS} characters");
                Some(FieldError::on("name", rule))
            }
            "name" => Some(FieldError::on("name", "Name can’t contain line breaks")),
            "phone" => Some(FieldError::on("phone", "Enter a phone number like +420 777 123 456")),
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
    let (typed, next) = (Input::default(), next.to_owned());
    SignUpPage { frame, typed, next, errors: FormErrors::none() }.show()
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Form(typed): Form<Input>,
) -> Result<Response> {
    let next = next_page(Some(&typed.next)).to_owned();
    let (status, errors) = match visitor.api.sign_up(&typed).await {
        Ok(signed) => {
            let mut response = Redirect::to(&next).into_response();
            set_cookies(&mut response, signed.cookies);
            return Ok(response);
        }
        Err(failure) => form_errors(&failure, &typed, &next),
    };
    let frame = Frame::of(&app, &visitor).await;
    SignUpPage { frame, typed, next, errors }.show_as(status)
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
