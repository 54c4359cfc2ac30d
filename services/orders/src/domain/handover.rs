//! The handover of a ticket that its seller delivers: what seller and buyer say about it. Nothing else depends on that.

use common::Time;
pub use common::events::HandoverState;
use common::events::{self, OrderStatus, OrderUpdated};
use common::listing::Delivery;
use serde::{Deserialize, Serialize};
use store::Change;

use super::Order;

/// What the parties have said last, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handover {
    pub state: HandoverState,
    /// The number of this state: how often it has changed. (0 of the version before, which didn't count.)
    #[serde(default)]
    pub changes: i64,
    /// When the seller has last said that it was sent.
    pub sent_at: Option<Time>,
    /// When the buyer has confirmed it.
    pub received_at: Option<Time>,
    /// What the buyer has reported; it stays until they confirm that they have the ticket.
    pub problem: Option<Problem>,
}

/// What a buyer has reported to the seller and to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    pub message: String,
    pub reported_at: Time,
}

/// What a party says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The seller: it is sent.
    Sent,
    /// The buyer: it has arrived.
    Received,
    /// The buyer: something is wrong.
    Problem(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoverRefusal {
    /// It isn't paid, or no longer.
    NotComplete,
    /// There is nothing to hand over: the buyer's code opens the door.
    CheckedInHere,
}

impl Order {
    /// A party says something about the handover. None: nothing new.
    pub fn report(
        &self,
        report: &Report,
        now: Time,
    ) -> Result<Option<Change<Order>>, HandoverRefusal> {
        if self.status != OrderStatus::Complete {
            return Err(HandoverRefusal::NotComplete);
        }
        if self.ticket.listing.delivery == Delivery::CheckedInHere {
            return Err(HandoverRefusal::CheckedInHere);
        }
        let next = Handover::after(self.handover.as_ref(), report, now);
        Ok(next.map(|handover| {
            let handover = Some(handover);
            let order = Order { version: self.version + 1, handover, ..self.clone() };
            let event = OrderUpdated(order.event());
            Change::with_event(order, &event)
        }))
    }
}

impl Handover {
    /// As events carry it.
    pub(super) fn event(&self) -> events::Handover {
        events::Handover { state: self.state, changes: self.changes }
    }

    fn after(known: Option<&Handover>, report: &Report, now: Time) -> Option<Handover> {
        let state = known.map(|known| known.state);
        let changes = known.map_or(0, |known| known.changes) + 1;
        let (sent_at, problem) =
            known.map(|known| (known.sent_at, known.problem.clone())).unwrap_or_default();
        match (report, state) {
            // What the buyer has, the seller doesn't send again.
            (Report::Sent, Some(HandoverState::Sent | HandoverState::Received))
            | (Report::Received, Some(HandoverState::Received)) => None,
            (Report::Sent, _) => Some(Handover {
                state: HandoverState::Sent,
                changes,
                sent_at: Some(now),
                received_at: None,
                problem,
            }),
            (Report::Received, _) => Some(Handover {
                state: HandoverState::Received,
                changes,
                sent_at,
                received_at: Some(now),
                problem: None,
            }),
            (Report::Problem(message), _) => {
                let is_known = state == Some(HandoverState::Problem);
                let is_same =
                    is_known && problem.is_some_and(|problem| problem.message == *message);
                let problem = Problem { message: message.clone(), reported_at: now };
                (!is_same).then_some(Handover {
                    state: HandoverState::Problem,
                    // In other words, it is the same problem: nobody gets another mail.
                    changes: if is_known { changes - 1 } else { changes },
                    sent_at,
                    received_at: None,
                    problem: Some(problem),
                })
            }
        }
    }
}
