//! `/account`: the signed-in user's own details.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use httpkit::{Error, Result};

use crate::api::User;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    user: User,
    is_admin: bool,
}

impl Page for AccountPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, user: signed_in }: SignedIn,
) -> Result<Response> {
    let (user, frame) = tokio::join!(visitor.api.current_user(), Frame::of(&app, &visitor));
    let user = user?.ok_or_else(Error::not_signed_in)?;
    AccountPage { frame, user, is_admin: signed_in.is_admin() }.show()
}
