//! `order.cancelled`: the hold is over, or its sale undone; nothing is to be told. What comes late about it
//! finds this written down.

use bus::Failure;
use common::events::OrderCancelled;

use super::follow;
use crate::state::App;

pub async fn listen(app: App, OrderCancelled(order): OrderCancelled) -> Result<(), Failure> {
    follow(&app, &order).await
}
