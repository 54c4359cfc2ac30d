//! `POST /api/payments`: pay an order.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use common::ids::{Id, OrderId};
use common::permissions::Action;
use common::problem;
use http::StatusCode;
use httpkit::extract::Body;
use httpkit::idempotency::{Idempotent, RequestIdentity};
use httpkit::middleware::with_timeout;
use httpkit::openapi::Call;
use httpkit::validation::Rules;
use httpkit::{CurrentUser, Error, Result};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::domain::{CardToken, card_testing};
use crate::response::{self, RESPONSE_TIMEOUT};
use crate::state::App;
use crate::store::Begun;
use crate::view::PaymentView;

/// How long it may take to begin an attempt.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(4);

#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewPayment)]
pub struct Input {
    #[schema(value_type = OrderId)]
    order_id: String,
    /// What Stripe's form made of a card: `ctoken_…`, `tok_…` or `pm_…`.
    #[schema(example = "tok_visa")]
    token: String,
}

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    Idempotent(request, Body(input)): Idempotent<Body<Input>>,
) -> Result<Response> {
    let response = pay(app, user, request, input).await;
    metrics::counter!("checkouts_total", "outcome" => outcome(&response)).increment(1);
    response
}

/// As the metric calls it.
fn outcome(response: &Result<Response>) -> &'static str {
    match response {
        Ok(response) if response.status() == StatusCode::CREATED => "paid",
        Ok(_) => "in_progress",
        Err(error) => match error.problem().status {
            StatusCode::PAYMENT_REQUIRED => "declined",
            status if status.is_server_error() => "failed",
            _ => "refused",
        },
    }
}

async fn pay(
    app: App,
    user: CurrentUser,
    request: RequestIdentity,
    input: Input,
) -> Result<Response> {
    let deadline = Instant::now() + RESPONSE_TIMEOUT;
    loop {
        let begin = begin(app.clone(), user.clone(), request.clone(), input.clone());
        // Nothing is sent before this, so a database that doesn't respond is no reason to wait as long as for Stripe. An
        // attempt that is stored after the 503 belongs to no request: the background worker abandons it.
        match with_timeout(BEGIN_TIMEOUT, begin).await? {
            Begun::New(payment) => {
                return response::respond_to_new(&app, payment, &request, deadline).await;
            }
            // The same request was faster, and this one gets its response. If it had no effect, this one is the next to
            // try.
            Begun::Repeat(payment) => {
                let response =
                    response::respond_to_repeat(&app, payment, &request, deadline).await?;
                if let Some(response) = response {
                    return Ok(response);
                }
            }
        }
    }
}

pub fn call() -> Call {
    Call::post("create", "/api/payments", "Pay an order")
        .text(
            "For the order's buyer. A card is charged only for an order that is complete: the money is reserved on the card first. The \
             response is 202 if the buyer's bank asks the buyer (`action_required`), or while the outcome is unknown (`processing`): \
             don't pay again then.",
        )
        .signed_in()
        .body::<Input>()
        .idempotent()
        .created::<PaymentView>("The card was charged.")
        .accepted::<PaymentView>("The outcome isn't known yet.")
        .refused(&[
            &problem::NOT_FOUND,
            &problem::NOT_ALLOWED,
            &problem::CARD_DECLINED,
            &problem::ORDER_CANCELLED,
            &problem::ORDER_EXPIRED,
            &problem::ALREADY_PAID,
            &problem::PAYMENT_IN_PROGRESS,
            &problem::PAYMENT_FAILED,
        ])
}

/// Begins an attempt, if the order is the user's.
async fn begin(
    app: App,
    user: CurrentUser,
    request: RequestIdentity,
    input: Input,
) -> Result<Begun> {
    app.store.check_key(&request).await?;
    let mut rules = Rules::default();
    let Some(token) = rules.check("token", input.token.parse::<CardToken>()) else {
        return Err(rules.into_error());
    };
    let recent = input.order_id.parse().ok().and_then(|order| app.store.recent(order));
    let payment = match recent {
        Some(payment) => payment,
        None => super::find_order(&app, &input.order_id).await?,
    };
    user.require(Action::Pay, payment.owners())?;
    let now = app.clock.now();
    let declines = app.store.declines(user.id, now - card_testing::PERIOD).await?;
    let wait = card_testing::wait(declines, app.declines_per_day, now);
    let begun = app.store.begin_attempt(&payment, &request, &token, app.limits, wait, &app.clock);
    let begun = begun.await?;
    begun.ok_or_else(|| Error::not_found(OrderId::NAMES))
}
