//! How a charge is disputed. The bank withdraws the amount at once, and returns it if the dispute is won.

use crate::{
    ids,
    model::{Charge, Dispute, DisputeStatus, Metadata},
    transaction::Transaction,
};

pub fn open(
    charge: &Charge,
    amount: i64,
    reason: &str,
    is_inquiry: bool,
    transaction: &mut Transaction<'_>,
) -> Dispute {
    let dispute = Dispute {
        id: ids::new("dp"),
        created: transaction.now_seconds(),
        amount,
        currency: charge.currency.clone(),
        charge: charge.id.clone(),
        payment_intent: charge.payment_intent.clone(),
        reason: reason.to_owned(),
        status: if is_inquiry {
            DisputeStatus::WarningNeedsResponse
        } else {
            DisputeStatus::NeedsResponse
        },
        evidence: None,
        submissions: 0,
        metadata: Metadata::new(),
    };
    let mut charge = charge.clone();
    charge.disputed_at_ms = None;
    charge.disputes.push(dispute.id.clone());
    transaction.put_charge(charge);
    transaction.put_dispute(dispute.clone());
    dispute
}

/// An inquiry about a charge that has been refunded in full has nothing left to ask.
pub fn close_inquiries(charge: &Charge, transaction: &mut Transaction<'_>) {
    if transaction.refundable(charge) > 0 {
        return;
    }
    let inquiries: Vec<Dispute> = transaction
        .disputes_of(charge)
        .filter(|dispute| dispute.status.is_open() && dispute.status.is_inquiry())
        .cloned()
        .collect();
    for inquiry in inquiries {
        transaction.put_dispute(Dispute { status: DisputeStatus::WarningClosed, ..inquiry });
    }
}
