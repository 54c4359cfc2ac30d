//! `expiration.complete`: a reservation's timer has fired. Only our own clock decides whether the order has expired.

use bus::Failure;
use common::events::ExpirationComplete;

use crate::domain::Expiry;
use crate::state::App;

pub async fn handle(
    app: App,
    ExpirationComplete(expiration): ExpirationComplete,
) -> Result<(), Failure> {
    let now = app.clock.now();
    let expired = app.store.try_update(expiration.order_id, |order| match order.expire(now) {
        Expiry::Due(change) => Ok(Some(*change)),
        Expiry::NotBefore(time) => Err(Failure::RetryAt(time)),
        Expiry::Nothing => Ok(None),
    });
    expired.await?;
    Ok(())
}
