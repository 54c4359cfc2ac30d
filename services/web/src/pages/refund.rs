//! `/orders/{id}/refund`: GET asks the seller for confirmation, POST refunds the buyer.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::ids::{OrderId, PaymentId};
use common::problem;
use httpkit::extract::PathId;
use httpkit::{Error, Result};
use serde::Deserialize;

use crate::api::{Failure, Order, PaymentStatus};
use crate::format::price;
use crate::forms::{Form, new_key};
use crate::notice::Notice;
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Template)]
#[template(path = "refund.html")]
struct RefundPage {
    frame: Frame,
    order: Order,
    payment: PaymentId,
    price: String,
    key: String,
}

impl Page for RefundPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Deserialize)]
pub struct Input {
    payment: PaymentId,
    key: String,
    /// Whether the places go back on sale. (A page of the version before has no such question.)
    #[serde(default)]
    relist: bool,
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, user }: SignedIn,
    PathId(id): PathId<OrderId>,
) -> Result<Response> {
    let (order, payment, frame) =
        tokio::join!(visitor.api.order(id), visitor.api.payment_of(id), Frame::of(&app, &visitor));
    let (order, payment) = (order?, payment?);
    if order.user_id == user.id && !user.is_admin() {
        return Err(Error::not_allowed("Only the seller can refund the buyer."));
    }
    let completed = payment.filter(|payment| payment.status == PaymentStatus::Completed);
    let Some(payment) = completed else {
        return Ok(Redirect::to(&format!("/orders/{id}")).into_response());
    };
    let price = price(payment.amount, &payment.currency);
    RefundPage { frame, order, payment: payment.id, price, key: new_key() }.show()
}

pub async fn submit(
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
    Form(input): Form<Input>,
) -> Result<Response> {
    let page = format!("/orders/{id}");
    let next = match visitor.api.refund(input.payment, input.relist, &input.key).await {
        Ok(_) => Notice::Refunding.at(&page),
        Err(Failure::Down(_)) => Notice::RefundsDown.at(&page),
        Err(failure) if failure.refusal(&problem::NOT_REFUNDABLE).is_some() => page.into(),
        Err(failure) => return Err(failure.into()),
    };
    Ok(next.into_response())
}
