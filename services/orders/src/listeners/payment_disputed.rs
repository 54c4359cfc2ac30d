//! `payment.disputed`: a dispute that is lost ends the order.

use bus::Failure;
use common::events::PaymentDisputed;

use crate::state::App;

pub async fn handle(app: App, PaymentDisputed(dispute): PaymentDisputed) -> Result<(), Failure> {
    super::end_by_payment(&app, dispute.order_id, dispute.reminder, |order| {
        order.disputed(&dispute)
    })
    .await
}
