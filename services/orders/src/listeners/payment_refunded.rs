//! `payment.refunded`: the order ends, and its places are available again, unless the seller doesn't want that.

use bus::Failure;
use common::events::PaymentRefunded;

use crate::state::App;

pub async fn handle(app: App, PaymentRefunded(refund): PaymentRefunded) -> Result<(), Failure> {
    super::end_by_payment(&app, refund.order_id, refund.reminder, |order| order.refunded(&refund))
        .await
}
