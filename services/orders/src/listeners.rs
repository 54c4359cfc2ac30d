//! One event per file. Each listener has the same outcome when its event is delivered twice, late, or out of order.

pub mod expiration_complete;
pub mod payment_captured;
pub mod payment_created;
pub mod payment_disputed;
pub mod payment_failed;
pub mod payment_refunded;
pub mod payment_released;
pub mod ticket_created;
pub mod ticket_deleted;
pub mod ticket_reserved;
pub mod ticket_updated;
pub mod user_created;
pub mod user_updated;

use bus::Failure;
use common::ids::OrderId;
use store::Change;

use crate::domain::Order;
use crate::state::App;

/// Records how an order's payment has ended. A reminder of what was seen before publishes the order's state again: that it
/// was seen was lost on its way.
async fn end_by_payment(
    app: &App,
    id: OrderId,
    is_reminder: bool,
    end: impl Fn(&Order) -> Option<Change<Order>>,
) -> Result<(), Failure> {
    let mut is_known = false;
    let record = |order: &Order| {
        let change = end(order);
        is_known = change.is_none();
        change
    };
    let order = app.store.update(id, record).await?;
    if let Some(order) = order.filter(|_| is_known && is_reminder) {
        app.store.documents().answer_again(&order).await?;
    }
    Ok(())
}
