//! Notices: the result of the previous action, shown above a page. A notice travels as a slug in the
//! address, so nothing has to be stored, and a crafted address can't show other text.

use crate::forms::with_query;

macro_rules! notices {
    ($($name:ident = $slug:literal $tone:ident $text:literal;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Notice {
            $($name),+
        }

        impl Notice {
            pub fn slug(self) -> &'static str {
                match self { $(Notice::$name => $slug),+ }
            }

            pub fn text(self) -> &'static str {
                match self { $(Notice::$name => $text),+ }
            }

            pub fn tone(self) -> Tone {
                match self { $(Notice::$name => Tone::$tone),+ }
            }

            fn named(slug: &str) -> Option<Notice> {
                match slug { $($slug => Some(Notice::$name),)+ _ => None }
            }
        }
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
}

impl Tone {
    pub fn as_str(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Bad => "bad",
        }
    }
}

notices! {
    SignedOut = "signed-out" Good "You are signed out.";
    Listed = "listed" Good "Your ticket is on sale.";
    Edited = "edited" Good "Your changes have been saved.";
    Deleted = "deleted" Good "Listing removed.";
    Refunding = "refunding" Good "The buyer’s refund is on its way.";
    Reserved = "reserved" Bad "Someone else is already buying this ticket.";
    Sold = "sold" Bad "Sorry, this ticket has just been sold.";
    Past = "past" Bad "This event has already taken place, so the ticket is no longer for sale.";
    PriceChanged = "price-changed" Bad "The price has changed. You haven’t bought anything – check the new price below.";
    OwnTicket = "own-ticket" Bad "You can’t buy your own ticket.";
    AlreadyPaid = "already-paid" Good "You’ve already paid for this order. You haven’t been charged again.";
    ReservationEnded = "reservation-ended" Bad "Your earlier reservation of this ticket has ended. To buy the ticket, reserve it again.";
    ListingChanged = "listing-changed" Bad "This listing has changed. Check the details and try again.";
    CardUnread = "card-unread" Bad "We couldn’t read your card. You haven’t been charged. Try again or use another card.";
    PaymentsDown = "payments-down" Bad "We can’t take payments right now. Try again in a moment – you won’t be charged twice.";
    RefundsDown = "refunds-down" Bad "We can’t issue refunds right now. Try again in a moment – nothing will be refunded twice.";
    OrdersDown = "orders-down" Bad "We can’t take orders right now. Try again in a moment – you won’t be charged twice.";
    CancelDown = "cancel-down" Bad "We couldn’t cancel your reservation. Try again in a moment.";
}

impl Notice {
    /// The address of a page with this notice.
    pub fn at(self, path: &str) -> String {
        with_query(path, &[("notice", self.slug())])
    }

    /// The notice that an address names.
    pub fn of(address: &str) -> Option<Notice> {
        let (_, query) = address.split_once('?')?;
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find_map(|(name, value)| (name == "notice").then(|| Notice::named(&value))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_notices_are_read_from_an_address() {
        let address = Notice::Listed.at("/tickets/1?like=2");
        assert_eq!(address, "/tickets/1?like=2&notice=listed");
        assert_eq!(Notice::of(&address), Some(Notice::Listed));
        for other in ["/", "/?notice=", "/?notice=You+have+won", "/?a=notice"] {
            assert_eq!(Notice::of(other), None, "{other}");
        }
    }
}
