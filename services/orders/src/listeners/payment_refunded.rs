//! `payment.refunded`: what was paid has been given back, and the ticket is free.

use bus::Failure;
use common::events::PaymentRefunded;

use crate::state::App;

pub async fn listen(app: App, PaymentRefunded(refund): PaymentRefunded) -> Result<(), Failure> {
    app.store
        .orders
        .change(refund.order_id, |order| Ok::<_, Failure>(order.refunded(&refund)))
        .await?;
    Ok(())
}
