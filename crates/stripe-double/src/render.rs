//! The objects as Stripe renders them: <https://docs.stripe.com/api>.

use serde_json::{Map, Value, json};

use crate::{
    model::{
        AllowRedirects, BillingDetails, Charge, ChargeStatus, ConfirmationToken, Dispute, Event,
        IntentStatus, PaymentIntent, PaymentMethod, Refund, RefundStatus, WebhookEndpoint,
    },
    transaction::Transaction,
};

/// That of the objects that the double renders: the one of the pinned client library.
pub const API_VERSION: &str = "2026-09-30.endive";

/// The fields of a dispute's evidence, of which only the text has a meaning.
const EVIDENCE: &[&str] = &[
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];
const EVIDENCE_DUE_AFTER_SECONDS: u64 = 9 * 24 * 60 * 60;

/// The fields of a payment method that a confirmation token has.
const PREVIEWED: &[&str] =
    &["allow_redisplay", "billing_details", "card", "customer", "customer_account", "type"];

/// The fields of a PaymentIntent that Stripe.js gets.
const FOR_BROWSERS: &[&str] = &[
    "id",
    "object",
    "amount",
    "automatic_payment_methods",
    "canceled_at",
    "cancellation_reason",
    "capture_method",
    "client_secret",
    "confirmation_method",
    "created",
    "currency",
    "description",
    "last_payment_error",
    "livemode",
    "next_action",
    "payment_method",
    "payment_method_types",
    "processing",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "source",
    "status",
];

impl Transaction<'_> {
    pub fn render_payment_method(&self, it: &PaymentMethod) -> Value {
        let card = it.card();
        let brand = card.map_or("unknown", |card| card.brand);
        json!({
            "id": it.id,
            "object": "payment_method",
            "allow_redisplay": "unspecified",
            "billing_details": billing_details(&it.billing_details),
            "card": {
                "brand": brand,
                "checks": checks(it),
                "country": "US",
                "display_brand": brand,
                "exp_month": it.exp_month,
                "exp_year": it.exp_year,
                "fingerprint": fingerprint(it),
                "funding": card.map_or("unknown", |card| card.funding),
                "generated_from": null,
                "last4": card.map_or("0000", |card| card.last4()),
                "networks": { "available": [brand], "preferred": null },
                "regulated_status": "unregulated",
                "three_d_secure_usage": { "supported": true },
                "wallet": null,
            },
            "created": it.created,
            "customer": null,
            "customer_account": null,
            "livemode": false,
            "metadata": it.metadata,
            "type": "card",
        })
    }

    pub fn render_confirmation_token(&self, it: &ConfirmationToken) -> Value {
        let mut preview = self.render_payment_method(&it.payment_method);
        if let Some(preview) = preview.as_object_mut() {
            preview.retain(|name, _| PREVIEWED.contains(&name.as_str()));
        }
        json!({
            "id": it.id,
            "object": "confirmation_token",
            "created": it.created,
            "expires_at": it.payment_intent.is_none().then_some(it.expires_at),
            "livemode": false,
            "mandate_data": null,
            "payment_intent": it.payment_intent,
            "payment_method_options": null,
            "payment_method_preview": preview,
            "return_url": it.return_url,
            "setup_future_usage": null,
            "setup_intent": null,
            "shipping": null,
            "use_stripe_sdk": true,
        })
    }

    /// What a publishable key and the client secret show.
    pub fn render_payment_intent_for_browser(&self, it: &PaymentIntent) -> Value {
        let mut intent = self.render_payment_intent(it);
        if let Some(intent) = intent.as_object_mut() {
            intent.retain(|name, _| FOR_BROWSERS.contains(&name.as_str()));
        }
        intent
    }

    pub fn render_payment_intent(&self, it: &PaymentIntent) -> Value {
        let attempts = || it.charges.iter().filter_map(|id| self.charge(id));
        let received: i64 = attempts().map(Charge::amount_captured).sum();
        let capturable = if it.status == IntentStatus::RequiresCapture { it.amount } else { 0 };
        json!({
            "id": it.id,
            "object": "payment_intent",
            "amount": it.amount,
            "amount_capturable": capturable,
            "amount_details": { "tip": {} },
            "amount_received": received,
            "application": null,
            "application_fee_amount": null,
            "automatic_payment_methods": it.automatic_payment_methods.map(|redirects| json!({
                "enabled": true,
                "allow_redirects": match redirects { AllowRedirects::Always => "always", AllowRedirects::Never => "never" },
            })),
            "canceled_at": it.canceled_at,
            "cancellation_reason": it.cancellation_reason,
            "capture_method": it.capture_method,
            "client_secret": it.client_secret,
            "confirmation_method": "automatic",
            "created": it.created,
            "currency": it.currency,
            "customer": null,
            "customer_account": null,
            "description": it.description,
            "excluded_payment_method_types": null,
            "last_payment_error": it.last_payment_error,
            "latest_charge": it.charges.last(),
            "livemode": false,
            "managed_payments": { "enabled": false },
            "metadata": it.metadata,
            "next_action": it.next_action,
            "on_behalf_of": null,
            "payment_method": it.payment_method,
            "payment_method_configuration_details": null,
            "payment_method_options": {
                "card": { "installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic" },
            },
            "payment_method_types": it.payment_method_types,
            "processing": null,
            "receipt_email": it.receipt_email,
            "review": null,
            "setup_future_usage": null,
            "shipping": null,
            "source": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": it.status.name(),
            "transfer_data": null,
            "transfer_group": null,
        })
    }

    pub fn render_charge(&self, it: &Charge) -> Value {
        let paid = match it.status {
            ChargeStatus::Succeeded => true,
            ChargeStatus::Failed => false,
        };
        let method = self.payment_method(&it.payment_method);
        let amount_refunded = self.amount_refunded(it);
        json!({
            "id": it.id,
            "object": "charge",
            "amount": it.amount,
            "amount_captured": it.amount_captured(),
            "amount_refunded": amount_refunded,
            "application": null,
            "application_fee": null,
            "application_fee_amount": null,
            "balance_transaction": it.is_captured().then(|| balance_transaction_id(&it.id)),
            "billing_details": billing_details(&method.map(|method| method.billing_details.clone()).unwrap_or_default()),
            "calculated_statement_descriptor": "STRIPE DOUBLE",
            "captured": it.is_captured(),
            "created": it.created,
            "currency": it.currency,
            "customer": null,
            "description": it.description,
            "disputed": !it.disputes.is_empty(),
            "failure_balance_transaction": null,
            "failure_code": it.failure_code,
            "failure_message": it.failure_message,
            "fraud_details": {},
            "livemode": false,
            "metadata": it.metadata,
            "on_behalf_of": null,
            "outcome": outcome(it),
            "paid": paid,
            "payment_intent": it.payment_intent,
            "payment_method": it.payment_method,
            "payment_method_details": { "type": "card", "card": method.map(|method| charged_card(it, method)) },
            "radar_options": {},
            "receipt_email": it.receipt_email,
            "receipt_number": null,
            "receipt_url": null,
            "refunded": it.is_captured() && amount_refunded == it.amount_captured(),
            "review": null,
            "shipping": null,
            "source": null,
            "source_transfer": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": match it.status { ChargeStatus::Succeeded => "succeeded", ChargeStatus::Failed => "failed" },
            "transfer_data": null,
            "transfer_group": null,
        })
    }

    pub fn render_refund(&self, it: &Refund) -> Value {
        let status = it.status();
        let failed = status == RefundStatus::Failed;
        let mut refund = json!({
            "id": it.id,
            "object": "refund",
            "amount": it.amount,
            "balance_transaction": balance_transaction_id(&it.id),
            "charge": it.charge,
            "created": it.created,
            "currency": it.currency,
            "customer": null,
            "customer_account": null,
            "destination_details": {
                "type": "card",
                "card": { "reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund" },
            },
            "metadata": it.metadata,
            "payment_intent": it.payment_intent,
            "payment_method": null,
            "reason": it.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": match status {
                RefundStatus::Pending => "pending",
                RefundStatus::Succeeded => "succeeded",
                RefundStatus::Failed => "failed",
            },
            "transfer_reversal": null,
        });
        if failed {
            refund["failure_reason"] = json!("expired_or_canceled_card");
            refund["failure_balance_transaction"] =
                json!(balance_transaction_id(&format!("{}f", it.id)));
        }
        if status == RefundStatus::Pending {
            refund["pending_reason"] = json!("processing");
        }
        refund
    }

    pub fn render_dispute(&self, it: &Dispute) -> Value {
        let method = self.charge(&it.charge).map(|charge| &charge.payment_method);
        let card = method.and_then(|id| self.payment_method(id)).and_then(PaymentMethod::card);
        let brand = card.map_or("unknown", |card| card.brand);
        let mut evidence: Map<String, Value> =
            EVIDENCE.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        evidence.insert("enhanced_evidence".to_owned(), json!({}));
        evidence.insert("uncategorized_text".to_owned(), json!(it.evidence));
        json!({
            "id": it.id,
            "object": "dispute",
            "amount": it.amount,
            "balance_transactions": [],
            "charge": it.charge,
            "created": it.created,
            "currency": it.currency,
            "enhanced_eligibility_types": [],
            "evidence": evidence,
            "evidence_details": {
                "due_by": it.created + EVIDENCE_DUE_AFTER_SECONDS,
                "enhanced_eligibility": {},
                "has_evidence": it.evidence.is_some(),
                "past_due": false,
                "submission_count": it.submissions,
            },
            "is_charge_refundable": it.status.is_charge_refundable(),
            "livemode": false,
            "metadata": it.metadata,
            "payment_intent": it.payment_intent,
            "payment_method_details": {
                "card": {
                    "brand": brand,
                    "case_type": if it.status.is_inquiry() { "inquiry" } else { "chargeback" },
                    "network": brand,
                    "network_reason_code": "10.4",
                },
                "type": "card",
            },
            "reason": it.reason,
            "status": it.status.name(),
        })
    }

    /// As an endpoint with this API version receives it.
    pub fn render_event(&self, it: &Event, api_version: Option<&str>) -> Value {
        let mut event = json!({
            "id": it.id,
            "object": "event",
            "api_version": api_version.unwrap_or(API_VERSION),
            "created": it.created,
            "data": { "object": it.object },
            "livemode": false,
            "pending_webhooks": self.committed().pending_webhooks(&it.id),
            "request": {
                "id": it.request.as_ref().map(|request| &request.id),
                "idempotency_key": it.request.as_ref().and_then(|request| request.idempotency_key.as_ref()),
            },
            "type": it.kind,
        });
        if let Some(previous) = &it.previous_attributes {
            event["data"]["previous_attributes"] = previous.clone();
        }
        event
    }

    /// Without the secret, which only the response to its creation has.
    pub fn render_webhook_endpoint(&self, it: &WebhookEndpoint) -> Value {
        json!({
            "id": it.id,
            "object": "webhook_endpoint",
            "api_version": it.api_version,
            "application": null,
            "created": it.created,
            "description": it.description,
            "enabled_events": it.enabled_events,
            "livemode": false,
            "metadata": it.metadata,
            "status": if it.is_enabled { "enabled" } else { "disabled" },
            "url": it.url,
        })
    }

    /// The object that an id refers to, if it can be expanded and the double stores it.
    pub fn render_by_id(&self, id: &str) -> Option<Value> {
        match id.split_once('_')?.0 {
            "pi" => self.payment_intent(id).map(|it| self.render_payment_intent(it)),
            "ctoken" => self.confirmation_token(id).map(|it| self.render_confirmation_token(it)),
            "pm" => self.payment_method(id).map(|it| self.render_payment_method(it)),
            "ch" => self.charge(id).map(|it| self.render_charge(it)),
            "dp" => self.dispute(id).map(|it| self.render_dispute(it)),
            "re" => self.refund(id).map(|it| self.render_refund(it)),
            _ => None,
        }
    }
}

fn billing_details(it: &BillingDetails) -> Value {
    json!({
        "address": { "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null },
        "email": it.email,
        "name": it.name,
        "phone": it.phone,
        "tax_id": null,
    })
}

fn checks(method: &PaymentMethod) -> Value {
    let cvc_check = match method.number.as_str() {
        "4000000000000101" => Some("fail"),
        _ => method.cvc_given.then_some("pass"),
    };
    json!({ "address_line1_check": null, "address_postal_code_check": null, "cvc_check": cvc_check })
}

/// Equal for equal cards, as Stripe's is.
fn fingerprint(method: &PaymentMethod) -> String {
    format!("{:0>16}", method.number.chars().rev().collect::<String>())
}

fn charged_card(charge: &Charge, method: &PaymentMethod) -> Value {
    let card = method.card();
    let brand = card.map_or("unknown", |card| card.brand);
    let mut rendered = json!({
        "amount_authorized": match charge.status { ChargeStatus::Succeeded => Some(charge.amount), ChargeStatus::Failed => None },
        "authorization_code": null,
        "brand": brand,
        "checks": checks(method),
        "country": "US",
        "exp_month": method.exp_month,
        "exp_year": method.exp_year,
        "extended_authorization": { "status": "disabled" },
        "fingerprint": fingerprint(method),
        "funding": card.map_or("unknown", |card| card.funding),
        "incremental_authorization": { "status": "unavailable" },
        "installments": null,
        "last4": card.map_or("0000", |card| card.last4()),
        "mandate": null,
        "multicapture": { "status": "unavailable" },
        "network": brand,
        "network_token": { "used": false },
        "network_transaction_id": null,
        "overcapture": { "maximum_amount_capturable": charge.amount, "status": "unavailable" },
        "regulated_status": "unregulated",
        "three_d_secure": charge.is_authenticated.then(|| three_d_secure(&charge.id)),
        "transaction_link_id": null,
        "wallet": null,
    });
    if let Some(until_ms) = charge.capture_before_ms() {
        rendered["capture_before"] = json!(until_ms / 1000);
    }
    rendered
}

/// The challenge that the buyer has completed.
fn three_d_secure(charge: &str) -> Value {
    json!({
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": null,
        "result": "authenticated",
        "result_reason": null,
        "transaction_id": charge.replacen("ch_", "3ds_", 1),
        "version": "2.2.0",
    })
}

fn outcome(charge: &Charge) -> Value {
    let mut outcome = network_outcome(charge);
    for name in ["advice_code", "network_advice_code", "network_decline_code"] {
        outcome[name] = Value::Null;
    }
    outcome
}

fn network_outcome(charge: &Charge) -> Value {
    let blocked = charge.decline_code.as_deref() == Some("fraudulent");
    match charge.status {
        ChargeStatus::Succeeded => json!({
            "network_status": "approved_by_network",
            "reason": null,
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }),
        ChargeStatus::Failed if blocked => json!({
            "network_status": "not_sent_to_network",
            "reason": "highest_risk_level",
            "risk_level": "highest",
            "risk_score": 90,
            "seller_message": "Stripe blocked this payment as too risky.",
            "type": "blocked",
        }),
        ChargeStatus::Failed => json!({
            "network_status": "declined_by_network",
            "reason": charge.decline_code.as_ref().or(charge.failure_code.as_ref()),
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "The bank declined the payment.",
            "type": "issuer_declined",
        }),
    }
}

/// Balance transactions aren't covered: the id is well-formed and can't be retrieved.
fn balance_transaction_id(id: &str) -> String {
    match id.split_once('_') {
        Some((_, rest)) => format!("txn_{rest}"),
        None => format!("txn_{id}"),
    }
}
