//! What a ban means for orders: those of which the user is buyer or seller end, or are refunded.

use std::time::Duration;

use bus::Failure;
use common::ids::UserId;

use crate::state::App;

/// An order that was being placed when its buyer or seller was banned exists by then: requests have ended.
const SECOND_LOOK: Duration = Duration::from_secs(15);

/// Makes the orders of a user what their replica says: so it doesn't matter which event about them is handled, how often, or
/// when. A ban is enforced twice, at once and some seconds later.
pub async fn enforce(app: &App, user: UserId) -> Result<(), Failure> {
    let Some(ban) = app.store.user(user).await?.and_then(|user| user.ban) else { return Ok(()) };
    let now = app.clock.now();
    for order in app.store.orders_to_end(user, ban.refund, now).await? {
        app.store.update(order, |order| order.party_banned(ban.refund, now)).await?;
    }
    let second = ban.at + SECOND_LOOK;
    if now < second { Err(Failure::RetryAt(second)) } else { Ok(()) }
}
