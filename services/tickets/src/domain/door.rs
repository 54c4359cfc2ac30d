//! The door of a listing that is checked in here: who stands at it, and how many have come in.

use common::ids::{TicketId, UserId};
use common::{Quantity, Time};
use serde::{Deserialize, Serialize};
use store::{Aggregate, Change, OutboxMessage};
use utoipa::ToSchema;

use super::{Reservation, ReservationStatus};

/// So many people may help at one door.
const MAX_STAFF: usize = 100;

/// Who may check in besides the seller: whoever has joined by the seller's link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Door {
    #[serde(rename = "_id")]
    pub ticket_id: TicketId,
    pub version: i64,
    /// The secret of the link by which staff joins; none if there is no link.
    pub invitation: Option<String>,
    pub staff: Vec<Staff>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Staff {
    pub user_id: UserId,
    /// As they call themselves.
    pub name: String,
    pub since: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinRefusal {
    /// The link is another one by now, or never was one.
    WrongInvitation,
    /// There are as many as may be.
    Full,
}

impl Aggregate for Door {
    const COLLECTION: &'static str = "doors";

    fn id(&self) -> String {
        self.ticket_id.to_string()
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn has_unknown_value(&self) -> bool {
        false
    }

    /// Nobody else needs to know.
    fn snapshot_events(&self) -> Vec<OutboxMessage> {
        Vec::new()
    }

    fn bump_version(&mut self, by: i64) {
        self.version += by;
    }
}

impl Door {
    /// The seller's alone.
    pub fn new(ticket_id: TicketId) -> Door {
        Door { ticket_id, version: 0, invitation: None, staff: Vec::new() }
    }

    /// A new link; the one before is worth nothing from then on.
    pub fn invite(&self, invitation: String) -> Change<Door> {
        self.to(Door { invitation: Some(invitation), ..self.clone() })
    }

    /// A user joins by the link. None: they have joined before.
    pub fn join(&self, invitation: &str, new: Staff) -> Result<Option<Change<Door>>, JoinRefusal> {
        if self.has_staff(new.user_id) {
            return Ok(None);
        }
        if self.invitation.as_deref() != Some(invitation) {
            return Err(JoinRefusal::WrongInvitation);
        }
        if self.staff.len() >= MAX_STAFF {
            return Err(JoinRefusal::Full);
        }
        let staff = self.staff.iter().cloned().chain([new]).collect();
        Ok(Some(self.to(Door { staff, ..self.clone() })))
    }

    /// A user is no longer staff. The link goes, too: they know it.
    pub fn dismiss(&self, user: UserId) -> Option<Change<Door>> {
        self.has_staff(user).then(|| {
            let staff = self.staff.iter().filter(|one| one.user_id != user).cloned().collect();
            self.to(Door { invitation: None, staff, ..self.clone() })
        })
    }

    pub fn has_staff(&self, user: UserId) -> bool {
        self.staff.iter().any(|one| one.user_id == user)
    }

    fn to(&self, next: Door) -> Change<Door> {
        Change::without_event(Door { version: self.version + 1, ..next })
    }
}

/// How many have come in, and how many are still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attendance {
    pub r#in: Quantity,
    pub left: Quantity,
}

impl Attendance {
    pub fn of<'a>(reservations: impl IntoIterator<Item = &'a Reservation>) -> Attendance {
        let sold = reservations.into_iter().filter(|one| one.status == ReservationStatus::Sold);
        let (mut r#in, mut all) = (Quantity::NONE, Quantity::NONE);
        for reservation in sold {
            all = all.plus(Quantity::of(&reservation.places));
            let has_come = |place: &&_| reservation.check_in_of(**place).is_some();
            r#in = r#in.plus(Quantity::of(reservation.places.iter().filter(has_come)));
        }
        Attendance { r#in, left: all.minus(r#in) }
    }
}
