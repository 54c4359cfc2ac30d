//! `/account/email`: asks for another email address, which takes effect once the link is opened that is mailed there.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::problem;
use http::StatusCode;
use httpkit::Result;
use serde::Deserialize;
use serde_json::json;

use super::account::{current, form_errors};
use crate::api::User;
use crate::forms::{FieldError, Form, FormErrors};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Template)]
#[template(path = "account-email.html")]
struct EmailPage {
    frame: Frame,
    user: User,
    typed: String,
    errors: FormErrors,
}

impl Page for EmailPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Deserialize)]
pub struct Input {
    #[serde(default)]
    email: String,
    #[serde(default)]
    current_password: String,
}

pub async fn show(State(app): State<App>, SignedIn { visitor, .. }: SignedIn) -> Result<Response> {
    let (user, frame) = tokio::join!(current(&visitor), Frame::of(&app, &visitor));
    EmailPage { frame, user: user?, typed: String::new(), errors: FormErrors::none() }.show()
}

pub async fn submit(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    Form(input): Form<Input>,
) -> Result<Response> {
    let change = json!({ "email": input.email, "currentPassword": input.current_password });
    let failure = match visitor.api.change_account(&change).await {
        Ok(session) => {
            // It may be the address that they have.
            let is_pending = session.user.pending_email.is_some();
            let notice = if is_pending { Notice::EmailRequested } else { Notice::ProfileSaved };
            return Ok(notice.at("/account").into_response());
        }
        Err(failure) if failure.is_not_signed_in() => return Err(failure.into()),
        Err(failure) => failure,
    };
    let (status, errors) = if failure.refusal(&problem::TOO_MANY_REQUESTS).is_some() {
        let wait = "We’ve just sent a link. Wait a minute, then submit again.";
        (StatusCode::TOO_MANY_REQUESTS, FieldError::of_form(wait).into())
    } else {
        form_errors(&failure, |field| {
            let rule = "Enter an email address like name@example.com";
            (field == "email").then(|| FieldError::on("email", rule))
        })
    };
    let (user, frame) = tokio::join!(current(&visitor), Frame::of(&app, &visitor));
    EmailPage { frame, user: user?, typed: input.email, errors }.show_as(status)
}
