//! `/auth/signin`: in again, and back to where one wanted to go.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::problem;
use http::StatusCode;
use httpkit::Result;
use httpkit::extract::Query;
use serde::{Deserialize, Serialize};

use crate::api::Failure;
use crate::app::App;
use crate::forms::{Complaints, Form, Named, next_page};
use crate::page::{Cache, Frame, Page};
use crate::session::{Visitor, set_cookies};

#[derive(Template)]
#[template(path = "signin.html")]
struct SignInPage {
    frame: Frame,
    email: String,
    next: String,
    complaints: Complaints,
}

impl Page for SignInPage {
    const CACHE: Cache = Cache::Form;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Deserialize)]
pub struct Asked {
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

const FIELDS: &[Named] =
    &[("email", "email", "E-mail address"), ("password", "password", "Password")];

pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let next = next_page(asked.next.as_deref());
    if visitor.user().is_some() {
        return Ok(Redirect::to(next).into_response());
    }
    let frame = Frame::of(&app, &visitor).await;
    let (email, next) = (String::new(), next.to_owned());
    SignInPage { frame, email, next, complaints: Complaints::none() }.show()
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Form(input): Form<Input>,
) -> Result<Response> {
    let next = next_page(Some(&input.next)).to_owned();
    let (status, complaints) = match visitor.api.sign_in(&input).await {
        Ok(signed) => {
            let mut response = Redirect::to(&next).into_response();
            set_cookies(&mut response, signed.cookies);
            return Ok(response);
        }
        Err(failure) => complain(&failure, FIELDS),
    };
    let frame = Frame::of(&app, &visitor).await;
    SignInPage { frame, email: input.email, next, complaints }.show_as(status)
}

/// What the form says about a failure, and the status that it is shown under.
fn complain(failure: &Failure, fields: &[Named]) -> (StatusCode, Complaints) {
    if failure.refusal(&problem::INVALID_CREDENTIALS).is_some() {
        let wrong = "The e-mail address and the password don’t belong together.";
        return (StatusCode::UNPROCESSABLE_ENTITY, Complaints::about("password", wrong));
    }
    Complaints::from_failure(failure, fields)
}
