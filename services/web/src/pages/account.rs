//! `/account`: the signed-in user's own details, and what can be changed at once.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::problem;
use http::StatusCode;
use httpkit::{Error, Result};
use serde::Deserialize;
use serde_json::json;

use super::signup::NAME_MAX_CHARS;
use crate::api::{Failure, User};
use crate::forms::{FieldError, Form, FormErrors};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::session::set_cookies;
use crate::state::App;
use crate::visitor::{SignedIn, Visitor};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    user: User,
    typed: Input,
    errors: FormErrors,
    is_admin: bool,
}

impl Page for AccountPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Input {
    name: String,
    phone: String,
}

impl Input {
    fn of(user: &User) -> Input {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Input { name: text(&user.name), phone: text(&user.phone) }
    }

    fn field_error(&self, field: &str) -> Option<FieldError> {
        match field {
            "name" => Some(FieldError::on_line("name", "Name", &self.name, NAME_MAX_CHARS)),
            "phone" => Some(FieldError::on("phone", "Enter a phone number like +420 777 123 456")),
            _ => None,
        }
    }
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, user: signed_in }: SignedIn,
) -> Result<Response> {
    let (user, frame) = tokio::join!(current(&visitor), Frame::of(&app, &visitor));
    let (user, is_admin) = (user?, signed_in.is_admin());
    // It was confirmed elsewhere.
    let is_news = user.email_verified && !signed_in.verified;
    let (typed, errors) = (Input::of(&user), FormErrors::none());
    let frame = if is_news { frame.with_notice(Notice::EmailConfirmed) } else { frame };
    let mut response = AccountPage { frame, user, typed, errors, is_admin }.show()?;
    if is_news {
        renew(&visitor, &mut response).await;
    }
    Ok(response)
}

pub async fn submit(
    State(app): State<App>,
    SignedIn { visitor, user: signed_in }: SignedIn,
    Form(typed): Form<Input>,
) -> Result<Response> {
    let change = json!({ "name": typed.name, "phone": typed.phone });
    let failure = match visitor.api.change_account(&change).await {
        Ok(_) => return Ok(Notice::ProfileSaved.at("/account").into_response()),
        Err(failure) if failure.is_not_signed_in() => return Err(failure.into()),
        Err(failure) => failure,
    };
    let (status, errors) = FormErrors::from_failure(&failure, |field| typed.field_error(field));
    let (user, frame) = tokio::join!(current(&visitor), Frame::of(&app, &visitor));
    let (user, is_admin) = (user?, signed_in.is_admin());
    AccountPage { frame, user, typed, errors, is_admin }.show_as(status)
}

/// Has another link sent that confirms the address.
pub async fn send_verification(SignedIn { visitor, .. }: SignedIn) -> Result<Response> {
    let notice = match visitor.api.send_verification().await {
        Ok(()) => Notice::VerificationSent,
        Err(failure) if failure.is_not_signed_in() => return Err(failure.into()),
        Err(failure) if failure.refusal(&problem::ALREADY_VERIFIED).is_some() => {
            // It was confirmed elsewhere: this session says so, too.
            return Ok(confirmed(&visitor, "/account").await);
        }
        Err(failure) if failure.refusal(&problem::TOO_MANY_REQUESTS).is_some() => {
            Notice::VerificationTooSoon
        }
        Err(failure) => {
            tracing::warn!(?failure, "could not request a verification link");
            Notice::VerificationDown
        }
    };
    Ok(notice.at("/account").into_response())
}

/// The address is confirmed: a visitor who is signed in gets a session that says so, with which they can buy and sell at once.
pub async fn confirmed(visitor: &Visitor, next: &str) -> Response {
    let mut response = Notice::EmailConfirmed.at(next).into_response();
    if visitor.user().is_some() {
        renew(visitor, &mut response).await;
    }
    response
}

/// With a session that says what the account says now.
async fn renew(visitor: &Visitor, response: &mut Response) {
    match visitor.api.refresh().await {
        Ok(session) => set_cookies(response, session.cookies),
        // The next automatic renewal does it.
        Err(failure) => tracing::debug!(?failure, "could not renew the session"),
    }
}

/// GET on the address of a form, as after signing in.
pub async fn back() -> Redirect {
    Redirect::to("/account")
}

/// The signed-in user's own details.
pub(super) async fn current(visitor: &Visitor) -> Result<User> {
    visitor.api.current_user().await?.ok_or_else(Error::not_signed_in)
}

/// The errors of a form for which the current password is asked.
pub(super) fn form_errors(
    failure: &Failure,
    word: impl Fn(&str) -> Option<FieldError>,
) -> (StatusCode, FormErrors) {
    FormErrors::from_failure(failure, |field| match field {
        "currentPassword" => {
            Some(FieldError::on("current_password", "Enter your current password"))
        }
        other => word(other),
    })
}
