//! <https://docs.stripe.com/api/refunds>

use serde_json::Value;

use crate::{
    app::{Command, Query},
    cards::Behaviour,
    disputes,
    errors::ApiError,
    ids,
    ledger::Ledger,
    model::{Charge, ChargeStatus, Metadata, PaymentMethod, Refund, RefundCourse},
    money,
    pagination::Page,
    params::Params,
    transaction::Transaction,
};

#[derive(Debug)]
pub struct Create {
    target: RefundTarget,
    amount: Option<i64>,
    reason: Option<String>,
    metadata: Metadata,
}

#[derive(Debug)]
enum RefundTarget {
    PaymentIntent(String),
    Charge(String),
}

impl Command for Create {
    const NOT_COVERED: &'static [&'static str] = &[
        "currency",
        "customer",
        "instructions_email",
        "origin",
        "refund_application_fee",
        "reverse_transfer",
    ];

    fn parse(_: &str, params: &mut Params) -> Result<Self, ApiError> {
        let target = match (params.text("payment_intent")?, params.text("charge")?) {
            (Some(_), Some(_)) => {
                let message =
                    "You may only specify one of these parameters: charge, payment_intent.";
                return Err(ApiError::invalid(message).code("parameters_exclusive"));
            }
            (Some(id), None) => RefundTarget::PaymentIntent(id),
            (None, Some(id)) => RefundTarget::Charge(id),
            (None, None) => {
                let message = "One of the following params should be provided for this request: payment_intent or charge.";
                return Err(ApiError::invalid(message).code("parameter_missing"));
            }
        };
        Self::of(target, params)
    }

    /// Refunds of one intent's charges are serialized.
    fn lock_keys(&self, ledger: &Ledger) -> Vec<String> {
        match &self.target {
            RefundTarget::PaymentIntent(id) => vec![id.clone()],
            RefundTarget::Charge(id) => ledger
                .charges
                .get(id)
                .map(|charge| charge.payment_intent.clone())
                .into_iter()
                .collect(),
        }
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let mut charge = charge_of(&self.target, transaction)?;
        let amount = refundable(self.amount, &charge, transaction)?;
        let settles_at = transaction.settles_at_ms();
        let behaviour = transaction
            .payment_method(&charge.payment_method)
            .map_or(Behaviour::Pays, PaymentMethod::behaviour);
        let refund = Refund {
            id: ids::new("re"),
            created: transaction.now_seconds(),
            amount,
            currency: charge.currency.clone(),
            charge: charge.id.clone(),
            payment_intent: charge.payment_intent.clone(),
            reason: self.reason,
            metadata: self.metadata,
            course: match behaviour {
                _ if transaction.refunds_fail => RefundCourse::Fails,
                Behaviour::RefundsLate => RefundCourse::PendsUntil { ms: settles_at },
                Behaviour::FailsRefunds => RefundCourse::FailsAt { ms: settles_at },
                Behaviour::Pays
                | Behaviour::Declines(_)
                | Behaviour::Authenticates(_)
                | Behaviour::Disputes { .. } => RefundCourse::Succeeds,
            },
        };
        charge.refunds.push(refund.id.clone());
        let body = transaction.render_refund(&refund);
        transaction.put_refund(refund);
        transaction.put_charge(charge.clone());
        disputes::close_inquiries(&charge, transaction);
        Ok(body)
    }
}

impl Create {
    fn of(target: RefundTarget, params: &mut Params) -> Result<Self, ApiError> {
        let reason =
            params.one_of("reason", &["duplicate", "fraudulent", "requested_by_customer"])?;
        Ok(Self { target, amount: params.amount("amount")?, reason, metadata: params.metadata()? })
    }
}

/// The same in the dashboard, on the page of the intent.
#[derive(Debug)]
pub struct CreateInDashboard(Create);

impl Command for CreateInDashboard {
    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError> {
        Create::of(RefundTarget::PaymentIntent(id.to_owned()), params).map(Self)
    }

    fn lock_keys(&self, ledger: &Ledger) -> Vec<String> {
        self.0.lock_keys(ledger)
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        self.0.execute(transaction)
    }
}

fn charge_of(target: &RefundTarget, transaction: &Transaction<'_>) -> Result<Charge, ApiError> {
    match target {
        RefundTarget::Charge(id) => match transaction.charge(id) {
            None => Err(ApiError::no_such("charge", id, "charge")),
            Some(charge) if charge.status == ChargeStatus::Failed => {
                Err(ApiError::invalid(format!("Charge {id} failed; there is nothing to refund."))
                    .code("charge_not_refundable"))
            }
            Some(charge) if !charge.is_captured() => Err(ApiError::invalid(format!(
                "Charge {id} has not been captured; cancel its PaymentIntent {} instead.",
                charge.payment_intent
            ))
            .code("charge_not_refundable")),
            Some(charge) => Ok(charge.clone()),
        },
        RefundTarget::PaymentIntent(id) => {
            let intent = transaction
                .payment_intent(id)
                .ok_or_else(|| ApiError::no_such("payment_intent", id, "payment_intent"))?;
            let paid = intent
                .charges
                .iter()
                .filter_map(|id| transaction.charge(id))
                .find(|charge| charge.is_captured());
            let no_charge = || {
                ApiError::invalid(format!(
                    "This PaymentIntent ({id}) does not have a successful charge to refund."
                ))
            };
            paid.cloned().ok_or_else(no_charge)
        }
    }
}

/// The requested amount, or all that remains to be refunded.
fn refundable(
    amount: Option<i64>,
    charge: &Charge,
    transaction: &Transaction<'_>,
) -> Result<i64, ApiError> {
    if transaction.disputes_of(charge).any(|dispute| !dispute.status.is_charge_refundable()) {
        let message = format!("Charge {} has been charged back; cannot issue a refund.", charge.id);
        return Err(ApiError::invalid(message).code("charge_disputed"));
    }
    let left = transaction.refundable(charge);
    let amount = amount.unwrap_or(left);
    if left == 0 {
        let message = format!("Charge {} has already been refunded.", charge.id);
        return Err(ApiError::invalid(message).code("charge_already_refunded"));
    }
    if amount > left {
        let what = if left == charge.amount_captured() {
            "charge amount"
        } else {
            "unrefunded amount on charge"
        };
        let (asked, left) =
            (money::formatted(amount, &charge.currency), money::formatted(left, &charge.currency));
        return Err(ApiError::invalid(format!(
            "Refund amount ({asked}) is greater than {what} ({left})"
        ))
        .param("amount"));
    }
    Ok(amount)
}

#[derive(Debug)]
pub struct Retrieve(String);

impl Query for Retrieve {
    fn parse(id: &str, _: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(id.to_owned()))
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        let refund =
            view.refund(&self.0).ok_or_else(|| ApiError::not_found("refund", &self.0, "id"))?;
        Ok(view.render_refund(refund))
    }
}

#[derive(Debug)]
pub struct List {
    payment_intent: Option<String>,
    charge: Option<String>,
    page: Page,
}

impl Query for List {
    fn parse(_: &str, params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            payment_intent: params.text("payment_intent")?,
            charge: params.text("charge")?,
            page: Page::parse(params)?,
        })
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        let mut charges = Vec::new();
        if let Some(id) = &self.payment_intent {
            let intent = view
                .payment_intent(id)
                .ok_or_else(|| ApiError::no_such("payment_intent", id, "payment_intent"))?;
            charges.extend(intent.charges.iter().filter_map(|id| view.charge(id)));
        }
        if let Some(id) = &self.charge {
            let charge =
                view.charge(id).ok_or_else(|| ApiError::no_such("charge", id, "charge"))?;
            charges.retain(|other: &&Charge| other.id == charge.id);
            if self.payment_intent.is_none() {
                charges.push(charge);
            }
        }
        let listed: Vec<&Refund> = match (&self.payment_intent, &self.charge) {
            (None, None) => view.committed().refunds.values().collect(),
            (Some(_), _) | (_, Some(_)) => charges
                .iter()
                .flat_map(|charge| &charge.refunds)
                .filter_map(|id| view.refund(id))
                .collect(),
        };
        let listed = listed.into_iter().map(|it| (it.id.as_str(), it.created, it));
        Ok(self.page.of("/v1/refunds", listed, |it| view.render_refund(it)))
    }
}
