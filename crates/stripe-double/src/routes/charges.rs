//! <https://docs.stripe.com/api/charges>

use serde_json::Value;

use crate::{
    app::Query, errors::ApiError, model::Charge, pagination::Page, params::Params,
    transaction::Transaction,
};

#[derive(Debug)]
pub struct Retrieve(String);

impl Query for Retrieve {
    fn parse(id: &str, _: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(id.to_owned()))
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        let charge =
            view.charge(&self.0).ok_or_else(|| ApiError::not_found("charge", &self.0, "id"))?;
        Ok(view.render_charge(charge))
    }
}

#[derive(Debug)]
pub struct List {
    payment_intent: Option<String>,
    page: Page,
}

impl Query for List {
    fn parse(_: &str, params: &mut Params) -> Result<Self, ApiError> {
        if let Some(customer) = params.text("customer")? {
            return Err(ApiError::no_such("customer", &customer, "customer"));
        }
        Ok(Self { payment_intent: params.text("payment_intent")?, page: Page::parse(params)? })
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        let listed: Vec<&Charge> = match &self.payment_intent {
            None => view.committed().charges.values().collect(),
            Some(id) => {
                let intent = view
                    .payment_intent(id)
                    .ok_or_else(|| ApiError::no_such("payment_intent", id, "payment_intent"))?;
                intent.charges.iter().filter_map(|id| view.charge(id)).collect()
            }
        };
        let listed = listed.into_iter().map(|it| (it.id.as_str(), it.created, it));
        Ok(self.page.of("/v1/charges", listed, |it| view.render_charge(it)))
    }
}
