//! What a page says about what was just done. It travels as a word in the address, so that nothing has
//! to be remembered and nobody can make a page say what it doesn't say.

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

/// Whether it is good news.
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
    Edited = "edited" Good "Your changes are saved.";
    Deleted = "deleted" Good "The ticket is off the market.";
    Refunding = "refunding" Good "The money is on its way back to the buyer.";
    Taken = "taken" Bad "Someone was faster: the ticket is held by another buyer just now.";
    Sold = "sold" Bad "Someone was faster: the ticket is sold.";
    Past = "past" Bad "The ticket’s date has passed. It can’t be bought any more.";
    PriceChanged = "price-changed" Bad "The price has changed since you looked. Nothing was ordered: this is what it costs now.";
    OwnTicket = "own-ticket" Bad "This is your own ticket. You can’t buy it yourself.";
    AlreadyPaid = "already-paid" Good "The order is paid already. Nothing more was charged.";
    ChangedMeanwhile = "changed" Bad "It has changed since you looked. Look at it again, and then decide.";
    CardUnread = "card-unread" Bad "The card couldn’t be read. Nothing was charged. Try again, or take another card.";
    PaymentsDown = "payments-down" Bad "Payments can’t be reached just now. Try again in a moment: you are never charged twice.";
    OrdersDown = "orders-down" Bad "Orders can’t be reached just now. Try again in a moment: nothing is ordered twice.";
}

impl Notice {
    /// The address that shows it.
    pub fn at(self, path: &str) -> String {
        with_query(path, &[("notice", self.slug())])
    }

    /// The notice that an address carries.
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
    fn a_notice_travels_in_the_address_and_nothing_else_does() {
        let address = Notice::Listed.at("/tickets/1?like=2");
        assert_eq!(address, "/tickets/1?like=2&notice=listed");
        assert_eq!(Notice::of(&address), Some(Notice::Listed));
        for other in ["/", "/?notice=", "/?notice=You+have+won", "/?a=notice"] {
            assert_eq!(Notice::of(other), None, "{other}");
        }
    }
}
