//! Requests that wait for a payment to change. What this process writes wakes them; what other replicas write is found by
//! reading again, with growing pauses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::ids::OrderId;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::OrderPayment;

/// The pauses between two reads double from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

type Waiting = HashMap<OrderId, watch::Sender<Option<OrderPayment>>>;

/// The payments that requests of this process wait for.
#[derive(Clone, Default)]
pub struct Changes(Arc<Mutex<Waiting>>);

impl Changes {
    /// This process has written a payment.
    pub fn publish(&self, payment: &OrderPayment) {
        if let Some(sender) = self.waiting().get(&payment.order_id) {
            sender.send_replace(Some(payment.clone()));
        }
    }

    /// Every write from now on wakes who waits.
    pub fn subscribe(&self, order: OrderId) -> Subscription {
        let receiver = self.waiting().entry(order).or_default().subscribe();
        Subscription { order, receiver, changes: self.clone(), pause: FIRST_PAUSE }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request's interest in a payment.
pub struct Subscription {
    order: OrderId,
    receiver: watch::Receiver<Option<OrderPayment>>,
    changes: Changes,
    pause: Duration,
}

impl Subscription {
    /// Waits until this process writes the payment: then that is returned. None: read it, another replica may have written
    /// it; or it is the deadline.
    pub async fn changed(&mut self, deadline: Instant) -> Option<OrderPayment> {
        let until = deadline.min(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        match tokio::time::timeout_at(until, self.receiver.changed()).await {
            Ok(Ok(())) => self.receiver.borrow_and_update().clone(),
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiting = self.changes.waiting();
        // This one's receiver is dropped after this.
        if waiting.get(&self.order).is_some_and(|sender| sender.receiver_count() <= 1) {
            waiting.remove(&self.order);
        }
    }
}
