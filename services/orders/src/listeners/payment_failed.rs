//! `payment.failed`: a card was declined; finally, the order ends, also a complete one whose payment can't
//! be captured.

use bus::Failure;
use common::events::PaymentFailed;

use crate::state::App;

pub async fn handle(app: App, PaymentFailed(payment): PaymentFailed) -> Result<(), Failure> {
    super::end_by_payment(&app, payment.order_id, payment.reminder, |order| {
        order.payment_failed(&payment)
    })
    .await
}
