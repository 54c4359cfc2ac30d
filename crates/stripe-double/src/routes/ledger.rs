//! All money that moved, for a checker.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    app::App,
    model::{Charge, ChargeStatus, Dispute, DisputeStatus, Refund, RefundStatus},
    response::ApiResponse,
};

#[derive(Debug, Default, Serialize)]
struct Totals {
    /// Neither captured nor released yet.
    authorised: i64,
    /// Captured.
    charged: i64,
    refunded: i64,
    /// Withdrawn by banks until they have decided.
    disputed: i64,
    disputes_lost: i64,
    /// Neither refunded nor lost.
    kept: i64,
    charges_succeeded: u64,
    charges_failed: u64,
    refunds_pending: u64,
    refunds_succeeded: u64,
    refunds_failed: u64,
}

pub async fn ledger(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiResponse> {
    app.settle_due().await.map_err(ApiResponse::error)?;
    let ledger = app.ledger();
    let mut totals: BTreeMap<&str, Totals> = BTreeMap::new();
    for charge in ledger.charges.values() {
        totals.entry(&charge.currency).or_default().charge(charge);
    }
    for refund in ledger.refunds.values() {
        totals.entry(&refund.currency).or_default().refund(refund);
    }
    for dispute in ledger.disputes.values() {
        totals.entry(&dispute.currency).or_default().dispute(dispute);
    }
    let charges: Vec<Value> = ledger.charges.values().map(charge_with_amounts).collect();
    let refunds: Vec<Value> = ledger.refunds.values().map(refund_with_status).collect();
    Ok(Json(json!({
        "payment_intents": ledger.payment_intents.values().collect::<Vec<_>>(),
        "charges": charges,
        "refunds": refunds,
        "disputes": ledger.disputes.values().collect::<Vec<_>>(),
        "totals": totals,
        "saved_responses": ledger.saved_responses(),
    })))
}

impl Totals {
    fn charge(&mut self, charge: &Charge) {
        match charge.status {
            ChargeStatus::Succeeded => {
                self.authorised += charge.capture_before_ms().map_or(0, |_| charge.amount);
                self.charged += charge.amount_captured();
                self.kept += charge.amount_captured();
                self.charges_succeeded += 1;
            }
            ChargeStatus::Failed => self.charges_failed += 1,
        }
    }

    fn dispute(&mut self, dispute: &Dispute) {
        match dispute.status {
            DisputeStatus::NeedsResponse | DisputeStatus::UnderReview => {
                self.disputed += dispute.amount;
            }
            DisputeStatus::Lost => {
                self.disputes_lost += dispute.amount;
                self.kept -= dispute.amount;
            }
            DisputeStatus::WarningNeedsResponse
            | DisputeStatus::WarningUnderReview
            | DisputeStatus::WarningClosed
            | DisputeStatus::Won => {}
        }
    }

    fn refund(&mut self, refund: &Refund) {
        self.refunded += refund.counted();
        self.kept -= refund.counted();
        match refund.status() {
            RefundStatus::Pending => self.refunds_pending += 1,
            RefundStatus::Succeeded => self.refunds_succeeded += 1,
            RefundStatus::Failed => self.refunds_failed += 1,
        }
    }
}

fn charge_with_amounts(charge: &Charge) -> Value {
    let mut json = json!(charge);
    json["amount_captured"] = json!(charge.amount_captured());
    json["captured"] = json!(charge.is_captured());
    json
}

fn refund_with_status(refund: &Refund) -> Value {
    let mut json = json!(refund);
    json["status"] = json!(refund.status());
    json
}

pub async fn requests(State(app): State<Arc<App>>) -> Json<Value> {
    Json(app.counters.to_json())
}

pub async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
