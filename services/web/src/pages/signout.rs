//! `/auth/signout`: GET asks for confirmation, POST signs out.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use httpkit::Result;

use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::session::set_cookies;
use crate::state::App;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "signout.html")]
struct SignOutPage {
    frame: Frame,
}

impl Page for SignOutPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

pub async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response> {
    SignOutPage { frame: Frame::of(&app, &visitor).await }.show()
}

pub async fn submit(visitor: Visitor) -> Result<Response> {
    let cookies = visitor.api.sign_out().await?;
    let mut response = Notice::SignedOut.at("/").into_response();
    set_cookies(&mut response, cookies);
    Ok(response)
}
