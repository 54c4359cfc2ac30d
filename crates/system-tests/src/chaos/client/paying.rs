//! What buyers pay with, what they do for their banks, and what happens to sales at Stripe without us.

use std::time::Duration;

use rand::Rng;
use rand::seq::IndexedRandom;
use reqwest::Method;
use serde_json::json;

use super::{Client, Outcome, text};
use crate::chaos::at_stripe::Act;
use crate::chaos::cards::{CHALLENGED_CARD, GOOD_CARDS};
use crate::chaos::gateway_client::{Operation, Response};
use crate::chaos::shared_state::{Reservation, Sale};
use crate::checker::AcknowledgedPayment;

/// The share of challenges after which the buyer comes back to the website.
const COMES_BACK: f64 = 0.5;
/// A refund of a part in the dashboard is of so many cents at most: less than the cheapest ticket costs.
const MAX_PART: i64 = 40;

impl Client {
    pub async fn pay_before_expiry(&mut self, reservation: &Reservation) -> Outcome {
        self.pay(reservation, &GOOD_CARDS).await
    }

    /// Pays with one of these cards.
    pub(super) async fn pay(&mut self, reservation: &Reservation, cards: &[&str]) -> Outcome {
        let card = cards.choose(&mut self.rng)?;
        let body = json!({ "orderId": reservation.order, "token": card });
        let response = self
            .request_as(
                &reservation.buyer,
                Operation::Pay,
                Method::POST,
                "/api/payments",
                Some(body),
            )
            .await?;
        self.record_payment(reservation, &response);
        Some(())
    }

    /// Records what the response to a payment, or to the return from the bank, acknowledges.
    fn record_payment(&self, reservation: &Reservation, response: &Response) {
        let body = &response.body;
        let Some(id) = text(&body["id"]) else { return };
        let paid = AcknowledgedPayment { id: id.clone(), order: reservation.order.clone() };
        let mut state = self.load.state();
        match (response.status, body["status"].as_str()) {
            (201, _) | (200, Some("completed")) => {
                state.acknowledged.paid.push(paid);
                if reservation.is_all {
                    state.remove_listing(&reservation.ticket);
                }
                let intent = text(&body["stripeId"]).unwrap_or_default();
                let Reservation { order, ticket, buyer, seller, .. } = reservation.clone();
                state.add_sale(Sale { payment: id, intent, order, ticket, buyer, seller });
            }
            (202, _) => state.acknowledged.processing.push(paid),
            _ => {}
        }
    }

    /// The bank asks the buyer, who confirms, fails, or leaves; and who may come back to the website, or not.
    pub(super) async fn pay_with_challenge(&mut self, reservation: &Reservation) -> Outcome {
        let Reservation { order, buyer, .. } = reservation;
        let body = json!({ "orderId": order, "token": CHALLENGED_CARD });
        let response = self
            .request_as(buyer, Operation::Pay, Method::POST, "/api/payments", Some(body))
            .await?;
        self.record_payment(reservation, &response);
        let is_challenged = response.body["status"] == "action_required";
        let intent = text(&response.body["stripeId"]).filter(|_| is_challenged);
        let (Some(payment), Some(intent)) = (text(&response.body["id"]), intent) else {
            return Some(());
        };
        let pause = Duration::from_millis(self.rng.random_range(0..3000));
        tokio::time::sleep(pause).await;
        let act = match self.rng.random_range(0..10_u32) {
            0..5 => Act::Authenticate,
            5..7 => Act::FailToAuthenticate,
            7..8 => Act::Cancel,
            // The buyer has left: the reservation ends.
            _ => return Some(()),
        };
        self.load.at_stripe.does(act, &intent).await;
        if !self.rng.random_bool(COMES_BACK) {
            return Some(());
        }
        let path = format!("/api/payments/{payment}/refresh");
        let response =
            self.request_as(buyer, Operation::Refresh, Method::POST, &path, None).await?;
        self.record_payment(reservation, &response);
        if act == Act::FailToAuthenticate {
            return self.pay(reservation, &GOOD_CARDS).await;
        }
        Some(())
    }

    /// Somebody refunds a sale in Stripe's dashboard, all of it or a part; its buyer disputes the charge; or a bank decides.
    pub(super) async fn act_at_stripe(&mut self) -> Outcome {
        let Some(Sale { intent, .. }) = self.load.state().any_sale(&mut self.rng) else {
            return self.read().await;
        };
        let at_stripe = &self.load.at_stripe;
        match self.rng.random_range(0..10_u32) {
            0..4 => {
                let part = self.rng.random_range(1..=MAX_PART);
                at_stripe.refunds_part(&intent, part).await;
            }
            4 => drop(at_stripe.does(Act::RefundAll, &intent).await),
            5..8 => {
                let opened = at_stripe.does(Act::OpenDispute, &intent).await;
                if let Some(dispute) = opened.and_then(|dispute| text(&dispute["id"])) {
                    self.load.state().add_dispute(dispute);
                }
            }
            _ => {
                let dispute = self.load.state().take_dispute(&mut self.rng);
                let is_won = self.rng.random_bool(0.5);
                let decision = if is_won { Act::WinDispute } else { Act::LoseDispute };
                if let Some(dispute) = dispute {
                    at_stripe.does(decision, &dispute).await;
                }
            }
        }
        Some(())
    }
}
