//! `user.updated`: the listings of a banned user go off sale, and back when that is lifted.

use std::time::Duration;

use bus::Failure;
use common::events::UserUpdated;

use crate::domain::SellerReplica;
use crate::state::App;

/// A listing that was being created when its seller was banned exists by then: requests have ended.
const SECOND_LOOK: Duration = Duration::from_secs(15);

/// Makes the listings what the newest state of their seller says: so it doesn't matter in which order events are handled, or
/// how often. If a newer one arrives meanwhile, once more.
pub async fn handle(app: App, UserUpdated(user): UserUpdated) -> Result<(), Failure> {
    app.store.apply_seller(&SellerReplica::of(&user)).await?;
    let mut done = None;
    loop {
        let Some(seller) = app.store.seller(user.id).await? else { return Ok(()) };
        if done == Some(seller.version) {
            let now = app.clock.now();
            let second = seller.banned_at.map(|at| at + SECOND_LOOK).filter(|time| now < *time);
            return second.map_or(Ok(()), |time| Err(Failure::RetryAt(time)));
        }
        let suspended = seller.banned_at.is_some();
        for listing in app.store.listings_to_suspend(seller.id, suspended).await? {
            app.store.suspend(listing, suspended).await?;
        }
        done = Some(seller.version);
    }
}
