//! Doors, and who has come in.

use common::ids::{OrderId, TicketId};
use store::{Change, ConflictError, Error, Result};

use super::{Store, TicketDocument};
use crate::domain::{Attendance, CheckIn, CheckInRefusal, Door, Reservation, Ticket};

/// How often a scan, or a change of a door, is decided again because of a concurrent one.
const MAX_ATTEMPTS: usize = 64;

impl Store {
    /// The ticket of a reservation, which can't be deleted while it is sold.
    pub async fn admitted(&self, order: OrderId) -> Result<Option<(Reservation, Ticket)>> {
        let Some(reservation) = self.reservations.get(order).await? else { return Ok(None) };
        let ticket = self.documents.get(reservation.ticket_id).await?;
        Ok(ticket.map(|TicketDocument(ticket)| (reservation, ticket)))
    }

    /// Lets a place of an order in: one write, guarded by the version that was decided on.
    pub async fn check_in(
        &self,
        order: OrderId,
        scan: &CheckIn,
    ) -> Result<Result<Reservation, CheckInRefusal>> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(known) = self.reservations.get(order).await? else {
                return Ok(Err(CheckInRefusal::NotSold));
            };
            let Change { thing, events } = match known.check_in(scan) {
                Ok(Some(change)) => change,
                Ok(None) => return Ok(Ok(known)),
                Err(refusal) => return Ok(Err(refusal)),
            };
            if self.reservations.replace(known.version, &thing, &events).await? {
                return Ok(Ok(thing));
            }
        }
        Err(ConflictError.into())
    }

    pub async fn attendance(&self, ticket: TicketId) -> Result<Attendance> {
        Ok(Attendance::of(&self.live_reservations(&[ticket]).await?))
    }

    pub async fn door(&self, ticket: TicketId) -> Result<Door> {
        Ok(self.doors.get(ticket).await?.unwrap_or_else(|| Door::new(ticket)))
    }

    /// Changes a door as `decide` says; none: nothing changes.
    pub async fn change_door<E: From<Error> + From<ConflictError>>(
        &self,
        ticket: TicketId,
        decide: impl Fn(&Door) -> Result<Option<Change<Door>>, E>,
    ) -> Result<Door, E> {
        for _ in 0..MAX_ATTEMPTS {
            let known = self.doors.get(ticket).await?;
            let door = known.clone().unwrap_or_else(|| Door::new(ticket));
            let Some(change) = decide(&door)? else { return Ok(door) };
            let is_written = match known {
                Some(known) => self.doors.replace(known.version, &change.thing, &[]).await?,
                None => self.doors.insert_if_new(&change).await?,
            };
            if is_written {
                return Ok(change.thing);
            }
        }
        Err(ConflictError.into())
    }
}
