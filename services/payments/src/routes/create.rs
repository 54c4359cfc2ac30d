//! `POST /api/payments`: pay an order.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use common::events::Stream;
use common::ids::OrderId;
use common::permissions::Action;
use common::problem::Violation;
use httpkit::extract::Body;
use httpkit::idempotency::{Idempotent, RequestIdentity};
use httpkit::middleware::with_timeout;
use httpkit::{CurrentUser, Error, Result};
use serde::Deserialize;
use store::read_your_writes;
use tokio::time::Instant;

use crate::answer::{self, PATIENCE};
use crate::domain::Payment;
use crate::state::App;

/// How long an attempt may take to be claimed.
const CLAIM: Duration = Duration::from_secs(4);

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    order_id: String,
    token: String,
}

pub async fn create(
    State(app): State<App>,
    user: CurrentUser,
    Idempotent(key, Body(input)): Idempotent<Body<Input>>,
) -> Result<Response> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = (user.clone(), key.clone(), input.clone());
        // Nothing is sent before this, and a silent database is no reason to wait as for Stripe. A claim
        // that it writes after all, once the buyer was told 503, is nobody's: it is given up.
        let (payment, begun) = with_timeout(CLAIM, claim(app.clone(), request)).await?;
        if begun {
            return answer::first(&app, payment, &key, deadline).await;
        }
        // An equal request was faster, and its answer is this one's. If it came to nothing, it is our turn.
        if let Some(answer) = answer::again(&app, payment, &key, deadline).await? {
            return Ok(answer);
        }
    }
}

/// Begins an attempt, and says whether it did: an equal request may have been faster.
async fn claim(
    app: App,
    (user, key, input): (CurrentUser, RequestIdentity, Input),
) -> Result<(Payment, bool)> {
    app.store.check(&key).await?;
    let order = payable(&app, &user, &input).await?;
    let mut begun = false;
    let claim = app.store.payments.change(order, |payment| {
        let claim = payment.claim_for(&key, &input.token, app.attempts, app.clock.now());
        begun = matches!(claim, Ok(Some(_)));
        claim
    });
    Ok((claim.await?.ok_or_else(missing)?, begun))
}

/// The order that is to be paid, if it is the user's.
async fn payable(app: &App, user: &CurrentUser, input: &Input) -> Result<OrderId> {
    let is_known = input.token.starts_with("tok_") || input.token.starts_with("pm_");
    if !is_known || input.token.len() > 255 {
        let rule = "must be a Stripe token (tok_…) or payment method (pm_…)";
        return Err(Error::invalid([Violation::of("token", rule)]));
    }
    let order: OrderId = input.order_id.parse().map_err(|_| missing())?;
    let disconnected = || app.consumers.is_disconnected(Stream::Orders);
    let find = async || Ok(app.store.payments.get(order).await?);
    let payment = read_your_writes(order.created_at(), app.clock.now(), disconnected, find).await?;
    user.require(Action::Pay, payment.ok_or_else(missing)?.owners())?;
    Ok(order)
}

fn missing() -> Error {
    Error::not_found("order")
}
