//! The visitor of a page: who they are, and the API with their session.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use common::{Time, problem};
use http::request::Parts;
use httpkit::{CurrentUser, Error, MaxAge};
use tokio::sync::OnceCell;

use crate::api::{Caller, Failure, Order};
use crate::notice::Notice;

/// The requester of a page, and the API with their session.
#[derive(Clone)]
pub struct Visitor {
    pub api: Caller,
    pub identity: Identity,
    /// The requested path and query.
    pub address: String,
    /// The result of the previous action, to be shown by this page.
    pub notice: Option<Notice>,
    pub now: Time,
    /// When the session ends unless it is renewed.
    pub session_until: Option<Time>,
    /// The point in the event stream that the page will at least reflect (`live`).
    pub resume_token: String,
    /// How old what the page shows may be.
    pub max_age: MaxAge,
    /// Whether they still wait for it.
    pub request: httpkit::Caller,
    pub(crate) reservations: Arc<OnceCell<Vec<Order>>>,
}

#[derive(Clone, Debug)]
pub enum Identity {
    Anonymous,
    SignedIn(CurrentUser),
    /// The session has to be renewed, but auth is unavailable.
    SessionUnknown,
}

/// A visitor who is signed in. Others are redirected to sign in, and return afterwards.
#[derive(Clone)]
pub struct SignedIn {
    pub visitor: Visitor,
    pub user: CurrentUser,
}

impl Visitor {
    pub fn user(&self) -> Option<&CurrentUser> {
        match &self.identity {
            Identity::SignedIn(user) => Some(user),
            Identity::Anonymous | Identity::SessionUnknown => None,
        }
    }

    /// Refuses if the session can't be renewed right now: whether the visitor is signed in isn't known.
    pub fn check_session(&self) -> Result<(), Failure> {
        match self.identity {
            Identity::SignedIn(_) | Identity::Anonymous => Ok(()),
            Identity::SessionUnknown => {
                Err(Failure::Down(anyhow::anyhow!("the session can't be renewed right now")))
            }
        }
    }

    /// The visitor's unpaid reservations, the most urgent first. Loaded once per page; the page works without
    /// them if orders is unavailable.
    pub async fn reservations(&self) -> &[Order] {
        let load = async || {
            if self.user().is_none() {
                return Vec::new();
            }
            let reservations = self.api.reservations().await.map(|list| list.items);
            let mut reservations = reservations.unwrap_or_else(|failure| {
                tracing::debug!(?failure, "could not load active reservations");
                Vec::new()
            });
            reservations.sort_by_key(|order| order.expires_at);
            reservations
        };
        self.reservations.get_or_init(load).await
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let missing = || Error::Internal(anyhow::anyhow!("a page without the session middleware"));
        parts.extensions.get::<Visitor>().cloned().ok_or_else(missing)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let visitor = <Visitor as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        match visitor.identity.clone() {
            Identity::SignedIn(user) => Ok(SignedIn { visitor, user }),
            Identity::Anonymous => Err(Error::not_signed_in()),
            Identity::SessionUnknown => Err(Error::refused(
                &problem::UNAVAILABLE,
                "The session can't be renewed right now.",
            )),
        }
    }
}
