//! Who is visiting, and the session that goes on by itself: every page is asked for in somebody's name,
//! or in nobody's.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use common::{Time, problem};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use httpkit::auth::{is_https, refresh_cookie, session_cookie};
use httpkit::{CurrentUser, Error};
use tokio::sync::OnceCell;
use tower_cookies::Cookies;
use url::Url;

use crate::api::{Caller, Order};
use crate::app::App;
use crate::forms::with_query;
use crate::page::{Frame, not_modified};

/// A session that ends sooner than this is renewed first, so that nobody is thrown out in the middle of
/// a purchase.
const SOON: Duration = Duration::from_secs(2 * 60);

/// Who asks for a page, and the API in their name.
#[derive(Clone)]
pub struct Visitor {
    pub api: Caller,
    pub who: Who,
    /// The path and the query that they asked for.
    pub address: String,
    pub now: Time,
    /// When their session ends, if they don't go on.
    pub until: Option<Time>,
    /// What the page that they get knows at least of all that happens (`live`).
    pub position: String,
    holds: Arc<OnceCell<Vec<Order>>>,
}

#[derive(Clone, Debug)]
pub enum Who {
    /// Someone who isn't signed in.
    Anyone,
    SignedIn(CurrentUser),
    /// Someone whose session is to be renewed, which auth can't be asked for just now.
    Unsure,
}

/// A visitor who is signed in. Others are sent to sign in, and come back.
#[derive(Clone)]
pub struct SignedIn {
    pub visitor: Visitor,
    pub user: CurrentUser,
}

impl Visitor {
    pub fn user(&self) -> Option<&CurrentUser> {
        match &self.who {
            Who::SignedIn(user) => Some(user),
            Who::Anyone | Who::Unsure => None,
        }
    }

    /// What they hold and haven't paid yet, the most urgent first. It is asked for once a page, and a
    /// page does without it if orders is silent.
    pub async fn holds(&self) -> &[Order] {
        let ask = async || {
            if self.user().is_none() {
                return Vec::new();
            }
            let holds = self.api.holds().await.map(|list| list.items);
            let mut holds = holds.unwrap_or_else(|failure| {
                tracing::debug!(?failure, "a page without the holds");
                Vec::new()
            });
            holds.sort_by_key(|order| order.expires_at);
            holds
        };
        self.holds.get_or_init(ask).await
    }
}

/// Around every page: finds out who asks, renews their session, and sends those who have to sign in
/// there and back.
pub async fn visit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let cookies = request.extensions().get::<Cookies>().cloned();
    let address = request.uri().path_and_query().map_or("/", |address| address.as_str());
    let (visitor, renewed) = meet(&app, address.to_owned(), &headers, cookies).await;
    request.extensions_mut().insert(visitor.clone());
    let mut response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        let next = with_query("/auth/signin", &[("next", &visitor.address)]);
        response = Redirect::to(&next).into_response();
        // A session that we take and a service doesn't is of no use, and would lead back here.
        set_cookies(&mut response, ended(&app.settings.server.public_url));
    }
    if response.status().is_client_error() || response.status().is_server_error() {
        // An error's page is written at the edge, with the same frame as all others.
        let frame = Frame::of(&app, &visitor).await;
        response.extensions_mut().insert(frame);
    }
    if method == Method::GET {
        response = not_modified(&headers, response);
    }
    // What a page has set itself, by signing in or out, is newer.
    if !response.headers().contains_key(header::SET_COOKIE) {
        set_cookies(&mut response, renewed);
    }
    response
}

/// Around what is no page: finds out who asks and renews their session. Whoever has to sign in is told so.
pub async fn accompany(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let cookies = request.extensions().get::<Cookies>().cloned();
    let address = request.uri().path().to_owned();
    let (visitor, renewed) = meet(&app, address, request.headers(), cookies).await;
    request.extensions_mut().insert(visitor);
    let mut response = next.run(request).await;
    set_cookies(&mut response, renewed);
    response
}

pub fn set_cookies(response: &mut Response, cookies: Vec<HeaderValue>) {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Who asks, and the cookies of a session that was renewed, or has ended.
async fn meet(
    app: &App,
    address: String,
    headers: &HeaderMap,
    sent: Option<Cookies>,
) -> (Visitor, Vec<HeaderValue>) {
    let public_url = &app.settings.server.public_url;
    let cookie = |name| Some(sent.as_ref()?.get(name)?.value().to_owned());
    let session = cookie(session_cookie(public_url));
    let refresh = cookie(refresh_cookie(public_url));

    let (now, position) = (app.clock.now(), app.live.hub.position());
    let known = session.as_deref().and_then(|token| app.verifier.verify_until(token));
    let (user, until) = known.unzip();
    let lasts = until.is_some_and(|until| until > now + SOON);

    let visitor = |who, until, cookies| Visitor {
        api: app.api.caller(headers, cookies),
        who,
        address: address.clone(),
        now,
        until,
        position: position.clone(),
        holds: Arc::default(),
    };
    let as_sent = headers.get(header::COOKIE).cloned();
    if lasts || refresh.is_none() {
        let who = user.map_or(Who::Anyone, Who::SignedIn);
        return (visitor(who, until, as_sent), Vec::new());
    }

    // Two pages that are asked for at once may both renew: auth gives both the same successor.
    match app.api.caller(headers, as_sent.clone()).refresh().await {
        Ok(signed) => {
            let cookies = as_cookies(&signed.cookies);
            let session = value_of(&signed.cookies, session_cookie(public_url));
            let known = session.and_then(|token| app.verifier.verify_until(&token));
            let (user, until) = known.unzip();
            (visitor(user.map_or(Who::Anyone, Who::SignedIn), until, cookies), signed.cookies)
        }
        Err(failure) if failure.is_not_signed_in() => {
            (visitor(Who::Anyone, None, None), ended(public_url))
        }
        Err(failure) => {
            tracing::warn!(?failure, "a session can't be renewed");
            let who = user.map_or(Who::Unsure, Who::SignedIn);
            (visitor(who, until, as_sent), Vec::new())
        }
    }
}

/// Cookies as they were set, as a browser sends them.
fn as_cookies(set: &[HeaderValue]) -> Option<HeaderValue> {
    let pair = |cookie: &HeaderValue| Some(cookie.to_str().ok()?.split(';').next()?.to_owned());
    let pairs: Vec<String> = set.iter().filter_map(pair).collect();
    HeaderValue::from_str(&pairs.join("; ")).ok()
}

fn value_of(set: &[HeaderValue], name: &str) -> Option<String> {
    let value = |cookie: &HeaderValue| {
        let (its, rest) = cookie.to_str().ok()?.split_once('=')?;
        (its == name).then(|| rest.split(';').next().unwrap_or_default().to_owned())
    };
    set.iter().find_map(value)
}

/// The cookies of a session that has ended.
fn ended(public_url: &Url) -> Vec<HeaderValue> {
    let secure = if is_https(public_url) { "; Secure" } else { "" };
    let names = [session_cookie(public_url), refresh_cookie(public_url)];
    let cookie = |name| {
        let cookie = format!("{name}=; HttpOnly; SameSite=Lax{secure}; Path=/; Max-Age=0");
        HeaderValue::from_str(&cookie).ok()
    };
    names.into_iter().filter_map(cookie).collect()
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let missing = || Error::Internal(anyhow::anyhow!("a page outside of session::visit"));
        parts.extensions.get::<Visitor>().cloned().ok_or_else(missing)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let visitor = <Visitor as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        match visitor.who.clone() {
            Who::SignedIn(user) => Ok(SignedIn { visitor, user }),
            Who::Anyone => Err(Error::not_signed_in()),
            Who::Unsure => Err(Error::refused(&problem::UNAVAILABLE, "Signing in doesn't work.")),
        }
    }
}
