//! `/recover`: for somebody who has forgotten their password. The answer doesn't say whether there is an account.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use httpkit::Result;
use serde::Deserialize;

use crate::forms::{FieldError, Form, FormErrors};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "recover.html")]
struct RecoverPage {
    frame: Frame,
    email: String,
    errors: FormErrors,
}

impl Page for RecoverPage {
    const CACHE: Cache = Cache::Form;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Deserialize)]
pub struct Input {
    #[serde(default)]
    email: String,
}

pub async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response> {
    let frame = Frame::of(&app, &visitor).await;
    RecoverPage { frame, email: String::new(), errors: FormErrors::none() }.show()
}

pub async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    Form(Input { email }): Form<Input>,
) -> Result<Response> {
    let failure = match visitor.api.send_recovery(&email).await {
        Ok(()) => return Ok(Notice::RecoverySent.at("/recover").into_response()),
        Err(failure) => failure,
    };
    let (status, errors) = FormErrors::from_failure(&failure, |field| {
        let rule = "Enter an email address like name@example.com";
        (field == "email").then(|| FieldError::on("email", rule))
    });
    let frame = Frame::of(&app, &visitor).await;
    RecoverPage { frame, email, errors }.show_as(status)
}
