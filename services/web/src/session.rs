//! Sessions: identifies the visitor, and renews the session automatically. Every page calls the API with the
//! visitor's session, or without one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use httpkit::MaxAge;
use httpkit::auth::{is_https, refresh_cookie, session_cookie};
use tower_cookies::Cookies;
use url::Url;

use crate::forms::with_query;
use crate::notice::{Notice, clear_cookie, flash_cookie};
use crate::page::{Frame, not_modified};
use crate::state::App;
use crate::visitor::{Identity, Visitor};

/// A session that ends within this time is renewed, so that nobody is signed out during a purchase.
const RENEWAL_MARGIN: Duration = Duration::from_secs(2 * 60);

/// Middleware of every page: identifies the visitor, renews the session, and redirects to sign-in and back
/// where it is required.
pub async fn with_session(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let cookies = request.extensions().get::<Cookies>().cloned();
    let address = request.uri().path_and_query().map_or("/", |address| address.as_str());
    let (mut visitor, renewed) = identify(&app, address.to_owned(), &headers, cookies).await;
    let had_flash = cookies_have_flash(&app, request.extensions().get::<Cookies>());
    visitor.request = request.extensions().get().cloned().unwrap_or_default();
    if had_flash {
        // They have just done something, and are to see it.
        visitor.max_age = MaxAge::NONE;
    }
    request.extensions_mut().insert(visitor.clone());
    let mut response = next.run(request).await;
    let notice = response.extensions_mut().remove::<Notice>();
    if response.status() == StatusCode::UNAUTHORIZED {
        let next = with_query("/auth/signin", &[("next", &visitor.address)]);
        response = Redirect::to(&next).into_response();
        // A session that web accepts and a service doesn't would cause a redirect loop.
        set_cookies(&mut response, ended(&app.settings.server.public_url));
    }
    if response.status().is_client_error() || response.status().is_server_error() {
        // The server's middleware renders the error page, in the frame of all others.
        let frame = Frame::of(&app, &visitor).await;
        response.extensions_mut().insert(frame);
    }
    if method == Method::GET {
        response = not_modified(&headers, response);
    }
    // A session that the page itself has begun or ended is newer.
    if !sets_session(&response, &app.settings.server.public_url) {
        set_cookies(&mut response, renewed);
    }
    let public_url = &app.settings.server.public_url;
    let is_shown = had_flash && shows_notices(&headers) && !response.status().is_redirection();
    let flash = match notice {
        Some(notice) => notice.set_cookie(public_url),
        None if is_shown => clear_cookie(public_url),
        None => None,
    };
    set_cookies(&mut response, flash.into_iter().collect());
    response
}

fn cookies_have_flash(app: &App, cookies: Option<&Cookies>) -> bool {
    let name = flash_cookie(&app.settings.server.public_url);
    cookies.is_some_and(|cookies| cookies.get(name).is_some())
}

/// Whether a browser shows the response as a page. The script of live pages requests pages too, and drops notices.
/// <https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Dest>
fn shows_notices(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-dest").is_none_or(|destination| destination == "document")
}

/// Middleware of streams: identifies the visitor and renews the session. Responds 401 where sign-in is
/// required.
pub async fn with_session_for_streams(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Response {
    let cookies = request.extensions().get::<Cookies>().cloned();
    let address = request.uri().path().to_owned();
    let (visitor, renewed) = identify(&app, address, request.headers(), cookies).await;
    request.extensions_mut().insert(visitor);
    let mut response = next.run(request).await;
    set_cookies(&mut response, renewed);
    response
}

fn sets_session(response: &Response, public_url: &Url) -> bool {
    let names = [session_cookie(public_url), refresh_cookie(public_url)];
    let is_session = |cookie: &HeaderValue| {
        let name = cookie.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
        names.iter().any(|session| session.as_bytes() == name)
    };
    response.headers().get_all(header::SET_COOKIE).iter().any(is_session)
}

/// Shows whether the browser accepts cookies: set by the pages with the forms that begin a session.
const PROBE: &str = "accepts-cookies=1; HttpOnly; SameSite=Lax; Path=/auth";

/// Sets the probe, unless the browser has shown that it accepts cookies.
pub fn probe_cookies(request: &HeaderMap, response: &mut Response) {
    if !request.contains_key(header::COOKIE) {
        set_cookies(response, vec![HeaderValue::from_static(PROBE)]);
    }
}

/// Sets the cookies of a session that has begun, and redirects to the page that required it. A browser that has sent no
/// cookie at all may not accept any: it is redirected by way of the sign-in page, which then explains what is missing.
pub fn begin(request: &HeaderMap, next: &str, cookies: Vec<HeaderValue>) -> Response {
    let next = if request.contains_key(header::COOKIE) {
        next.to_owned()
    } else {
        with_query("/auth/signin", &[("next", next), ("cookies", "check")])
    };
    let mut response = Redirect::to(&next).into_response();
    set_cookies(&mut response, cookies);
    response
}

pub fn set_cookies(response: &mut Response, cookies: Vec<HeaderValue>) {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// The visitor, and the cookies of a session that was renewed or has ended.
async fn identify(
    app: &App,
    address: String,
    headers: &HeaderMap,
    sent: Option<Cookies>,
) -> (Visitor, Vec<HeaderValue>) {
    let public_url = &app.settings.server.public_url;
    let cookie = |name| Some(sent.as_ref()?.get(name)?.value().to_owned());
    let session = cookie(session_cookie(public_url));
    let refresh = cookie(refresh_cookie(public_url));
    let notice = cookie(flash_cookie(public_url)).filter(|_| shows_notices(headers));
    let notice = notice.and_then(|code| Notice::of_cookie(&code));

    let (now, resume_token) = (app.clock.now(), app.live.hub.resume_token());
    let known = session.as_deref().and_then(|token| app.verifier.verify_until(token));
    let (user, until) = known.unzip();
    let lasts = until.is_some_and(|until| until > now + RENEWAL_MARGIN);

    let visitor = |identity, session_until, cookies| Visitor {
        api: app.api.caller(headers, cookies),
        identity,
        address: address.clone(),
        notice,
        now,
        session_until,
        resume_token: resume_token.clone(),
        max_age: MaxAge::of(headers),
        request: httpkit::Caller::default(),
        reservations: Arc::default(),
    };
    let as_sent = headers.get(header::COOKIE).cloned();
    if lasts || refresh.is_none() {
        let identity = user.map_or(Identity::Anonymous, Identity::SignedIn);
        return (visitor(identity, until, as_sent), Vec::new());
    }

    // Concurrent requests may both renew: auth issues both the same new session.
    match app.api.caller(headers, as_sent.clone()).refresh().await {
        Ok(signed) => {
            let cookies = as_cookies(&signed.cookies);
            let session = value_of(&signed.cookies, session_cookie(public_url));
            let known = session.and_then(|token| app.verifier.verify_until(&token));
            let (user, until) = known.unzip();
            let identity = user.map_or(Identity::Anonymous, Identity::SignedIn);
            (visitor(identity, until, cookies), signed.cookies)
        }
        Err(failure) if failure.is_not_signed_in() => {
            (visitor(Identity::Anonymous, None, None), ended(public_url))
        }
        Err(failure) => {
            tracing::warn!(?failure, "session renewal failed");
            let identity = user.map_or(Identity::SessionUnknown, Identity::SignedIn);
            (visitor(identity, until, as_sent), Vec::new())
        }
    }
}

/// `Set-Cookie` headers as the `Cookie` header that a browser would send.
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

/// Cookies that clear the session.
fn ended(public_url: &Url) -> Vec<HeaderValue> {
    let secure = if is_https(public_url) { "; Secure" } else { "" };
    let names = [session_cookie(public_url), refresh_cookie(public_url)];
    let cookie = |name| {
        let cookie = format!("{name}=; HttpOnly; SameSite=Lax{secure}; Path=/; Max-Age=0");
        HeaderValue::from_str(&cookie).ok()
    };
    names.into_iter().filter_map(cookie).collect()
}
