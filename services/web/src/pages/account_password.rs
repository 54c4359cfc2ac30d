//! `/account/password`: changes the password of somebody who knows it. Password managers find the page by its well-known address.
//! <https://w3c.github.io/webappsec-change-password-url/>

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use httpkit::Result;
use serde::Deserialize;
use serde_json::json;

use super::account::{current, form_errors};
use super::signup::PASSWORD_RULE;
use crate::forms::{FieldError, Form, FormErrors};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::session::set_cookies;
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Template)]
#[template(path = "account-password.html")]
struct PasswordPage {
    frame: Frame,
    email: String,
    errors: FormErrors,
}

impl Page for PasswordPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Deserialize)]
pub struct Input {
    #[serde(default)]
    current_password: String,
    #[serde(default)]
    password: String,
}

/// Where password managers look for the page.
pub async fn well_known() -> impl IntoResponse {
    (StatusCode::FOUND, [(header::LOCATION, "/account/password")])
}

pub async fn show(State(app): State<App>, SignedIn { visitor, .. }: SignedIn) -> Result<Response> {
    let (user, frame) = tokio::join!(current(&visitor), Frame::of(&app, &visitor));
    PasswordPage { frame, email: user?.email, errors: FormErrors::none() }.show()
}

pub async fn submit(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    Form(input): Form<Input>,
) -> Result<Response> {
    let change = json!({ "password": input.password, "currentPassword": input.current_password });
    let failure = match visitor.api.change_account(&change).await {
        Ok(session) => {
            let mut response = Notice::PasswordChanged.at("/account").into_response();
            set_cookies(&mut response, session.cookies);
            return Ok(response);
        }
        Err(failure) if failure.is_not_signed_in() => return Err(failure.into()),
        Err(failure) => failure,
    };
    let (status, errors) = form_errors(&failure, |field| {
        (field == "password").then(|| FieldError::on("password", PASSWORD_RULE))
    });
    let (user, frame) = tokio::join!(current(&visitor), Frame::of(&app, &visitor));
    PasswordPage { frame, email: user?.email, errors }.show_as(status)
}
