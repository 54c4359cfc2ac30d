//! <https://docs.stripe.com/api/disputes>

use serde_json::Value;

use crate::{
    app::{Command, Query},
    errors::ApiError,
    ledger::Ledger,
    model::{Dispute, Metadata},
    pagination::Page,
    params::Params,
    transaction::Transaction,
};

/// Evidence decides a dispute as it does in Stripe's test mode: by its text.
#[derive(Debug)]
pub struct Update {
    id: String,
    evidence: Option<String>,
    submits: bool,
    metadata: Metadata,
}

impl Command for Update {
    fn parse(id: &str, params: &mut Params) -> Result<Self, ApiError> {
        let has_evidence = params.has("evidence");
        let evidence = params.text("evidence[uncategorized_text]")?;
        let submit = params.boolean("submit")?;
        params.ignore(&["evidence"]);
        Ok(Self {
            id: id.to_owned(),
            evidence,
            submits: submit.unwrap_or(has_evidence),
            metadata: params.metadata()?,
        })
    }

    fn lock_keys(&self, ledger: &Ledger) -> Vec<String> {
        ledger.intent_of(&self.id).into_iter().collect()
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let mut dispute = load(&self.id, transaction)?;
        dispute.metadata.extend(self.metadata);
        dispute.evidence = self.evidence.or(dispute.evidence);
        if self.submits {
            check_open(&dispute)?;
            dispute.submissions += 1;
            dispute.status = match dispute.evidence.as_deref() {
                Some("winning_evidence") => dispute.status.decided(true),
                Some("losing_evidence") => dispute.status.decided(false),
                Some(_) | None => dispute.status.reviewed(),
            };
        }
        Ok(store(dispute, transaction))
    }
}

/// The seller accepts the dispute, which is lost thereby.
#[derive(Debug)]
pub struct Close(String);

impl Command for Close {
    fn parse(id: &str, _: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(id.to_owned()))
    }

    fn lock_keys(&self, ledger: &Ledger) -> Vec<String> {
        ledger.intent_of(&self.0).into_iter().collect()
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        decide(&self.0, false, transaction)
    }
}

/// The bank decides.
pub fn decide(
    id: &str,
    is_won: bool,
    transaction: &mut Transaction<'_>,
) -> Result<Value, ApiError> {
    let mut dispute = load(id, transaction)?;
    check_open(&dispute)?;
    dispute.status = dispute.status.decided(is_won);
    Ok(store(dispute, transaction))
}

fn load(id: &str, view: &Transaction<'_>) -> Result<Dispute, ApiError> {
    view.dispute(id).cloned().ok_or_else(|| ApiError::not_found("dispute", id, "dispute"))
}

fn check_open(dispute: &Dispute) -> Result<(), ApiError> {
    if dispute.status.is_open() {
        return Ok(());
    }
    Err(ApiError::invalid(format!("This dispute is already closed: {}.", dispute.status.name())))
}

fn store(dispute: Dispute, transaction: &mut Transaction<'_>) -> Value {
    let body = transaction.render_dispute(&dispute);
    transaction.put_dispute(dispute);
    body
}

#[derive(Debug)]
pub struct Retrieve(String);

impl Query for Retrieve {
    fn parse(id: &str, _: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(id.to_owned()))
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        load(&self.0, view).map(|dispute| view.render_dispute(&dispute))
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
        let fits = |it: &&Dispute| {
            self.payment_intent.as_ref().is_none_or(|id| it.payment_intent == *id)
                && self.charge.as_ref().is_none_or(|id| it.charge == *id)
        };
        let disputes = view.committed().disputes.values().filter(fits);
        let disputes = disputes.map(|it| (it.id.as_str(), it.created, it));
        Ok(self.page.of("/v1/disputes", disputes, |it| view.render_dispute(it)))
    }
}
