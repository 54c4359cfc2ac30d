//! `/account/tokens`: the user's API tokens. A new one is shown by the response to the form, and never again.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::ids::SessionId;
use common::problem;
use common::scopes::Scope;
use http::StatusCode;
use httpkit::Result;
use httpkit::extract::PathId;
use serde::Deserialize;

use crate::api::{ApiToken, Failure, NewApiToken};
use crate::format::When;
use crate::forms::{FieldError, Form, FormErrors};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::SignedIn;

/// The longest name that auth accepts.
const NAME_MAX_CHARS: usize = 100;
/// For how long a token may be valid, and what is chosen first.
const LIVES: [(&str, &str); 4] =
    [("7", "A week"), ("30", "30 days"), ("90", "90 days"), ("365", "A year")];
const DEFAULT_LIFE: &str = "90";

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    frame: Frame,
    rows: Vec<Row>,
    choices: Vec<Choice>,
    lives: [(&'static str, &'static str); 4],
    typed: Typed,
    errors: FormErrors,
    /// The token that was created just now.
    created: Option<String>,
}

struct Row {
    id: SessionId,
    name: String,
    scopes: String,
    expires: When,
    used: Option<When>,
}

impl Row {
    fn of(token: ApiToken, zone: &str) -> Row {
        Row {
            id: token.id,
            name: token.name,
            scopes: token.scopes.join(", "),
            expires: When::of(token.expires_at, zone),
            used: token.last_used_at.map(|used| When::of(used, zone)),
        }
    }
}

/// A scope, as people read it.
struct Choice {
    scope: Scope,
    text: &'static str,
    is_chosen: bool,
}

impl Choice {
    fn of(scope: Scope, typed: &Typed) -> Choice {
        let text = match scope {
            Scope::TicketsRead => "See your listings",
            Scope::TicketsWrite => "List, change and remove tickets",
            Scope::CheckIn => "Let people in at the door",
            Scope::OrdersRead => "See your orders, and the codes of your tickets",
            Scope::OrdersWrite => "Reserve tickets, and cancel orders",
            Scope::PaymentsRead => "See payments",
            Scope::PaymentsWrite => "Pay, and refund buyers",
        };
        let is_chosen = typed.scopes.iter().any(|name| name == scope.as_str());
        Choice { scope, text, is_chosen }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Typed {
    name: String,
    scopes: Vec<String>,
    days: String,
}

impl Default for Typed {
    fn default() -> Self {
        Typed { name: String::new(), scopes: Vec::new(), days: DEFAULT_LIFE.to_owned() }
    }
}

impl Typed {
    fn field_error(&self, field: &str) -> Option<FieldError> {
        match field {
            "name" if self.name.trim().is_empty() => {
                Some(FieldError::on("name", "Enter a name, such as what the token is for"))
            }
            "name" => Some(FieldError::on_line("name", "Name", &self.name, NAME_MAX_CHARS)),
            "scopes" => Some(FieldError::on("scopes", "Choose what the token may be used for")),
            "expiresInDays" => Some(FieldError::on("days", "Choose how long it is valid")),
            _ => None,
        }
    }
}

impl Page for TokensPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl TokensPage {
    fn new(app: &App, frame: Frame, tokens: Vec<ApiToken>, typed: Typed) -> Self {
        let zone = &app.settings.market.time_zone;
        TokensPage {
            frame,
            rows: tokens.into_iter().map(|token| Row::of(token, zone)).collect(),
            choices: Scope::ALL.map(|scope| Choice::of(scope, &typed)).into(),
            lives: LIVES,
            typed,
            errors: FormErrors::none(),
            created: None,
        }
    }
}

pub async fn show(State(app): State<App>, SignedIn { visitor, .. }: SignedIn) -> Result<Response> {
    let (tokens, frame) = tokio::join!(visitor.api.api_tokens(), Frame::of(&app, &visitor));
    TokensPage::new(&app, frame, tokens?, Typed::default()).show()
}

pub async fn create(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    Form(typed): Form<Typed>,
) -> Result<Response> {
    let new = NewApiToken {
        name: typed.name.clone(),
        scopes: typed.scopes.clone(),
        expires_in_days: typed.days.parse().unwrap_or_default(),
    };
    let created = visitor.api.create_api_token(&new).await;
    // With the new one, if there is one.
    let (tokens, frame) = tokio::join!(visitor.api.api_tokens(), Frame::of(&app, &visitor));
    match created {
        Ok(token) => {
            let page = TokensPage::new(&app, frame, tokens?, Typed::default());
            TokensPage { created: Some(token), ..page }.show()
        }
        Err(failure) => {
            let (status, errors) = form_errors(&failure, &typed);
            let page = TokensPage::new(&app, frame, tokens.unwrap_or_default(), typed);
            TokensPage { errors, ..page }.show_as(status)
        }
    }
}

fn form_errors(failure: &Failure, typed: &Typed) -> (StatusCode, FormErrors) {
    if failure.refusal(&problem::TOO_MANY_TOKENS).is_some() {
        let many = "You have as many tokens as one can have. Revoke one that isn’t needed.";
        return (StatusCode::UNPROCESSABLE_ENTITY, FieldError::of_form(many).into());
    }
    FormErrors::from_failure(failure, |field| typed.field_error(field))
}

pub async fn revoke(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<SessionId>,
) -> Result<Response> {
    visitor.api.revoke_api_token(id).await?;
    Ok(Notice::TokenRevoked.at("/account/tokens").into_response())
}

/// GET on the address of a form, as after signing in, redirects to the list.
pub async fn back() -> Redirect {
    Redirect::to("/account/tokens")
}
