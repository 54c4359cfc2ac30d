//! `order.refund_required`: what was paid can't be honoured and is to be given back, once.

use anyhow::anyhow;
use common::bus::Failure;
use common::events::OrderRefundRequired;

use crate::app::App;
use crate::domain::Status;

pub async fn listen(
    app: App,
    OrderRefundRequired(refund): OrderRefundRequired,
) -> Result<(), Failure> {
    let now = app.clock.now();
    let payment = app
        .store
        .payments
        .change(refund.order_id, |payment| {
            match payment.charge.as_ref().filter(|charge| charge.id == refund.payment_id) {
                // orders has heard of a charge that this database hasn't: it asks Stripe, and then knows.
                None => Err(Failure::Later(anyhow!("there is no payment {}", refund.payment_id))),
                Some(charge) => match charge.status {
                    Status::Created | Status::Processing | Status::Failed => Err(Failure::Later(
                        anyhow!("payment {} is not known to be paid", refund.payment_id),
                    )),
                    Status::Completed | Status::Refunding | Status::Refunded => {
                        Ok(payment.refund(now))
                    }
                },
            }
        })
        .await?;
    if payment.is_none() {
        return Err(Failure::Later(anyhow!("there is no order {}", refund.order_id)));
    }
    app.work.notify_one();
    Ok(())
}
