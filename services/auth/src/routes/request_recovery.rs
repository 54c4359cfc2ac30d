//! `POST /api/users/recovery`: has a link to another password mailed, if there is an account of the address. The response, and the
//! work until it is sent, are the same if there is none.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use httpkit::extract::Body;
use httpkit::openapi::Call;
use httpkit::openapi::EmptyObject;
use httpkit::validation::Rules;
use httpkit::{ClientIp, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::domain::EmailAddress;
use crate::limits::{Limit, Use};
use crate::state::App;

/// An omitted member counts as an empty one, so that its violation is reported.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewRecovery)]
pub struct Input {
    #[serde(default)]
    #[schema(required = true, example = "ada@example.com")]
    email: String,
}

pub async fn handle(
    State(app): State<App>,
    client: ClientIp,
    Body(input): Body<Input>,
) -> Result<(StatusCode, Json<Value>)> {
    let mut rules = Rules::default();
    let email = rules.check("email", EmailAddress::parse(&input.email));
    let email = email.ok_or_else(|| rules.into_error())?;
    let limits =
        [Use::of(Limit::Mail, &[&client.network()]), Use::of(Limit::MailTo, &[&email.as_str()])];
    let _ = app.limits.allow(&limits).await?;
    let spellings = email.stored_spellings(&input.email);
    app.store.request_recovery(&email, &spellings, app.clock.now()).await?;
    app.wake_recoveries.notify_one();
    Ok((StatusCode::ACCEPTED, Json(json!({}))))
}

pub fn call() -> Call {
    Call::post(
        "requestRecovery",
        "/api/users/recovery",
        "Have a link mailed that replaces a forgotten password",
    )
    .body::<Input>()
    .returns::<EmptyObject>(StatusCode::ACCEPTED, "It will be mailed, if there is such an account.")
}
