//! `/auth/signup`: a new user, signed in at once.

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
#[template(path = "signup.html")]
struct SignUpPage {
    frame: Frame,
    typed: Input,
    next: String,
    complaints: Complaints,
}

impl Page for SignUpPage {
    const CACHE: Cache = Cache::Form;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Deserialize)]
pub struct Asked {
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

const FIELDS: &[Named] = &[
    ("email", "email", "E-mail address"),
    ("password", "password", "Password"),
    ("name", "name", "Name"),
    ("phone", "phone", "Phone"),
];

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
    let (typed, next) = (Input::default(), next.to_owned());
    SignUpPage { frame, typed, next, complaints: Complaints::none() }.show()
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Form(typed): Form<Input>,
) -> Result<Response> {
    let next = next_page(Some(&typed.next)).to_owned();
    let (status, complaints) = match visitor.api.sign_up(&typed).await {
        Ok(signed) => {
            let mut response = Redirect::to(&next).into_response();
            set_cookies(&mut response, signed.cookies);
            return Ok(response);
        }
        Err(failure) => complain(&failure),
    };
    let frame = Frame::of(&app, &visitor).await;
    SignUpPage { frame, typed, next, complaints }.show_as(status)
}

fn complain(failure: &Failure) -> (StatusCode, Complaints) {
    if failure.refusal(&problem::EMAIL_IN_USE).is_some() {
        let in_use = "Someone has signed up with this e-mail address. If it was you, sign in.";
        return (StatusCode::UNPROCESSABLE_ENTITY, Complaints::about("email", in_use));
    }
    Complaints::from_failure(failure, FIELDS)
}
