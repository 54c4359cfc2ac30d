//! `expiration.complete`: a timer says that a hold has run out; our clock says whether it has.

use bus::Failure;
use common::events::ExpirationComplete;

use crate::domain::Expiry;
use crate::state::App;

pub async fn listen(
    app: App,
    ExpirationComplete(expiration): ExpirationComplete,
) -> Result<(), Failure> {
    let now = app.clock.now();
    app.store
        .orders
        .change(expiration.order_id, |order| match order.expire(now) {
            Expiry::Due(change) => Ok(Some(*change)),
            Expiry::NotBefore(time) => Err(Failure::RetryAt(time)),
            Expiry::Nothing => Ok(None),
        })
        .await?;
    Ok(())
}
