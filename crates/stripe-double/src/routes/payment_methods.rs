//! <https://docs.stripe.com/api/payment_methods>

use serde_json::Value;

use crate::{
    app::{Command, Query},
    cards::{self, Card},
    errors::ApiError,
    ids,
    model::{BillingDetails, Metadata, PaymentMethod},
    params::Params,
    transaction::Transaction,
};

#[derive(Debug)]
pub struct Create {
    data: MethodData,
    metadata: Metadata,
}

/// A card and its holder, also as `payment_method_data` of other endpoints.
#[derive(Debug)]
pub struct MethodData {
    card: CardData,
    billing_details: BillingDetails,
}

#[derive(Debug)]
enum CardData {
    Token(String),
    Typed { number: String, exp_month: i64, exp_year: i64, cvc: Option<String> },
}

impl MethodData {
    /// `parent` is the parameter that contains it, such as `payment_method_data`; without one, it is the request itself.
    pub fn parse(params: &mut Params, parent: Option<&str>) -> Result<Self, ApiError> {
        let name = |path: &str| match parent {
            None => path.to_owned(),
            Some(parent) => {
                let (root, rest) = path.split_at(path.find('[').unwrap_or(path.len()));
                format!("{parent}[{root}]{rest}")
            }
        };
        let kind = params.required(&name("type"))?;
        if kind != "card" {
            let what = format!("The payment method type {kind}");
            return Err(ApiError::not_covered(&what, &name("type")));
        }
        let (month, year) = (name("card[exp_month]"), name("card[exp_year]"));
        let card = match params.text(&name("card[token]"))? {
            Some(token) => CardData::Token(token),
            None => CardData::Typed {
                number: params.required(&name("card[number]"))?,
                exp_month: params
                    .integer(&month)?
                    .ok_or_else(|| ApiError::missing_param(&month))?,
                exp_year: params.integer(&year)?.ok_or_else(|| ApiError::missing_param(&year))?,
                cvc: params.text(&name("card[cvc]"))?,
            },
        };
        let billing_details = BillingDetails {
            email: params.text(&name("billing_details[email]"))?,
            name: params.text(&name("billing_details[name]"))?,
            phone: params.text(&name("billing_details[phone]"))?,
        };
        Ok(Self { card, billing_details })
    }

    /// Not stored yet.
    pub fn payment_method(self, view: &Transaction<'_>) -> Result<PaymentMethod, ApiError> {
        let mut method = match self.card {
            CardData::Token(token) => {
                let card = cards::by_name(&token, "tok_")
                    .ok_or_else(|| ApiError::no_such("token", &token, "card[token]"))?;
                of_test_card(card, view)
            }
            CardData::Typed { number, exp_month, exp_year, cvc } => {
                let card = cards::parse_number(&number)?;
                check_typed(exp_month, exp_year, cvc.as_deref(), view)?;
                PaymentMethod {
                    exp_month,
                    exp_year,
                    cvc_given: cvc.is_some(),
                    ..of_test_card(card, view)
                }
            }
        };
        method.billing_details = self.billing_details;
        Ok(method)
    }
}

impl Command for Create {
    const NOT_COVERED: &'static [&'static str] =
        &["payment_method", "radar_options", "billing_details"];
    const PUBLISHABLE: bool = true;

    fn parse(_: &str, params: &mut Params) -> Result<Self, ApiError> {
        if let Some(customer) = params.text("customer")? {
            return Err(ApiError::no_such("customer", &customer, "customer"));
        }
        params.ignore(&["allow_redisplay"]);
        if params.has("type") && !params.has("card") {
            return Err(ApiError::missing_param("card"));
        }
        Ok(Self { data: MethodData::parse(params, None)?, metadata: params.metadata()? })
    }

    fn execute(self, transaction: &mut Transaction<'_>) -> Result<Value, ApiError> {
        let mut method = self.data.payment_method(transaction)?;
        method.metadata = self.metadata;
        let body = transaction.render_payment_method(&method);
        transaction.put_payment_method(method);
        Ok(body)
    }
}

#[derive(Debug)]
pub struct Retrieve(String);

impl Query for Retrieve {
    fn parse(id: &str, _: &mut Params) -> Result<Self, ApiError> {
        Ok(Self(id.to_owned()))
    }

    fn run(self, view: &Transaction<'_>) -> Result<Value, ApiError> {
        if let Some(card) = cards::by_name(&self.0, "pm_card_") {
            let id = self.0;
            return Ok(
                view.render_payment_method(&PaymentMethod { id, ..of_test_card(card, view) })
            );
        }
        let method = view.payment_method(&self.0);
        method
            .map(|it| view.render_payment_method(it))
            .ok_or_else(|| ApiError::not_found("PaymentMethod", &self.0, "payment_method"))
    }
}

/// The payment method that a PaymentIntent refers to: an existing one, or `pm_card_…`, which creates a new one each time.
pub fn resolve(id: &str, transaction: &Transaction<'_>) -> Result<PaymentMethod, ApiError> {
    if let Some(card) = cards::by_name(id, "pm_card_") {
        return Ok(of_test_card(card, transaction));
    }
    match transaction.payment_method(id) {
        None => Err(ApiError::no_such("PaymentMethod", id, "payment_method")),
        Some(method) if method.used => Err(ApiError::invalid(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment. It may not be used again.",
        )),
        Some(method) => Ok(method.clone()),
    }
}

fn of_test_card(card: &Card, transaction: &Transaction<'_>) -> PaymentMethod {
    PaymentMethod {
        id: ids::new("pm"),
        created: transaction.now_seconds(),
        number: card.number.to_owned(),
        exp_month: 12,
        exp_year: this_year(transaction) + 1,
        cvc_given: false,
        billing_details: BillingDetails::default(),
        metadata: Metadata::new(),
        used: false,
    }
}

fn check_typed(
    exp_month: i64,
    exp_year: i64,
    cvc: Option<&str>,
    transaction: &Transaction<'_>,
) -> Result<(), ApiError> {
    if !(1..=12).contains(&exp_month) {
        return Err(ApiError::card(
            "invalid_expiry_month",
            "Your card's expiration month is invalid.",
        )
        .param("exp_month"));
    }
    if !(this_year(transaction)..=this_year(transaction) + 50).contains(&exp_year) {
        return Err(ApiError::card(
            "invalid_expiry_year",
            "Your card's expiration year is invalid.",
        )
        .param("exp_year"));
    }
    let is_valid =
        |cvc: &str| (3..=4).contains(&cvc.len()) && cvc.bytes().all(|byte| byte.is_ascii_digit());
    if cvc.is_some_and(|cvc| !is_valid(cvc)) {
        return Err(
            ApiError::card("invalid_cvc", "Your card's security code is invalid.").param("cvc")
        );
    }
    Ok(())
}

/// Accurate enough for a card: off by a few hours around New Year.
fn this_year(transaction: &Transaction<'_>) -> i64 {
    const SECONDS_A_YEAR: u64 = 31_556_952;
    1970 + i64::try_from(transaction.now_seconds() / SECONDS_A_YEAR).unwrap_or(0)
}
