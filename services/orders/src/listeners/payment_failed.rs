//! `payment.failed`: a declined card; the last one ends the order.

use bus::Failure;
use common::events::PaymentFailed;

use crate::state::App;

pub async fn listen(app: App, PaymentFailed(payment): PaymentFailed) -> Result<(), Failure> {
    app.store
        .orders
        .change(payment.order_id, |order| Ok::<_, Failure>(order.payment_failed(&payment)))
        .await?;
    Ok(())
}
