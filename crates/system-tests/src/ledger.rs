//! Stripe's ledger: what was really charged and refunded.

use std::ops::Deref;

use serde_json::{Value, json};

/// The ledger of Stripe's double: as a whole, and by order.
pub struct Ledger(pub(crate) Value);

impl Deref for Ledger {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Ledger {
    /// What the cards were charged for an order.
    pub fn charges(&self, order: &str) -> Vec<&Value> {
        let succeeded = self.of_order(order, "charges").into_iter();
        succeeded.filter(|charge| charge["captured"] == true).collect()
    }

    /// What was authorised for an order, whatever has become of it.
    pub fn authorisations(&self, order: &str) -> Vec<&Value> {
        self.of_order(order, "charges")
    }

    /// The successful refunds of an order.
    pub fn refunds(&self, order: &str) -> Vec<&Value> {
        self.of_order(order, "refunds")
    }

    /// The PaymentIntents of an order.
    pub fn intents(&self, order: &str) -> Vec<&Value> {
        let of_order = |intent: &&Value| intent["metadata"]["order_id"] == json!(order);
        self.all("payment_intents").filter(of_order).collect()
    }

    fn of_order(&self, order: &str, what: &str) -> Vec<&Value> {
        let intents: Vec<_> = self.intents(order).iter().map(|intent| &intent["id"]).collect();
        self.all(what)
            .filter(|it| intents.contains(&&it["payment_intent"]) && it["status"] == "succeeded")
            .collect()
    }

    fn all(&self, what: &str) -> impl Iterator<Item = &Value> {
        self.0[what].as_array().into_iter().flatten()
    }
}
