//! `payment.refunded`: the order ends, and its places are available again, unless the seller doesn't want that.

use bus::Failure;
use common::events::PaymentRefunded;

use crate::state::App;

pub async fn handle(app: App, PaymentRefunded(refund): PaymentRefunded) -> Result<(), Failure> {
    app.store.update(refund.order_id, |order| order.refunded(&refund)).await?;
    Ok(())
}
