//! The client library that payments uses, which parses strictly, parses every response.

use std::collections::HashMap;

use stripe::{
    ApiErrorsCode, ApiErrorsType, Client, ClientBuilder, IdempotencyKey, RequestStrategy,
    StripeError, StripeRequest,
};
use stripe_core::{
    PaymentIntent, PaymentIntentAllowedPaymentMethodTypes, PaymentIntentCancellationReason,
    PaymentIntentCaptureMethod, PaymentIntentStatus,
    payment_intent::{
        CancelPaymentIntent, CancelPaymentIntentCancellationReason, CapturePaymentIntent,
        ConfirmPaymentIntent, CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods,
        CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects, ListPaymentIntent,
        RetrievePaymentIntent,
    },
    refund::{CreateRefund, ListRefund, RetrieveRefund},
};
use stripe_payment::payment_method::{
    CreatePaymentMethod, CreatePaymentMethodCard, CreatePaymentMethodCardDetailsParams,
    CreatePaymentMethodTokenParams, CreatePaymentMethodType, RetrievePaymentMethod,
};
use stripe_types::{Currency, Expandable};

use crate::support::{Double, text};

fn client(double: &Double) -> Client {
    ClientBuilder::new("sk_test_123").url(double.running.url()).build().unwrap()
}

fn with_key(key: &str) -> RequestStrategy {
    RequestStrategy::Idempotent(IdempotencyKey::new(key).unwrap())
}

async fn method_of(client: &Client, token: &str) -> String {
    CreatePaymentMethod::new()
        .type_(CreatePaymentMethodType::Card)
        .card(CreatePaymentMethodCard::TokenParams(CreatePaymentMethodTokenParams::new(token)))
        .send(client)
        .await
        .unwrap()
        .id
        .to_string()
}

fn twenty_dollars() -> CreatePaymentIntent {
    let cards_only = CreatePaymentIntentAutomaticPaymentMethods {
        enabled: true,
        allow_redirects: Some(CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects::Never),
    };
    CreatePaymentIntent::new(2000, Currency::USD)
        .automatic_payment_methods(cards_only)
        .metadata(HashMap::from([("order_id".to_owned(), "o-7".to_owned())]))
}

async fn intent(client: &Client) -> PaymentIntent {
    twenty_dollars().send(client).await.unwrap()
}

#[tokio::test]
async fn a_payment_succeeds_and_is_refunded() {
    let double = Double::start().await;
    let client = client(&double);
    let method = method_of(&client, "tok_visa").await;
    assert_eq!(
        RetrievePaymentMethod::new(method.as_str())
            .send(&client)
            .await
            .unwrap()
            .card
            .unwrap()
            .last4,
        "4242"
    );

    let create = twenty_dollars();
    let created =
        create.customize().request_strategy(with_key("pi:1")).send(&client).await.unwrap();
    let again = create.customize().request_strategy(with_key("pi:1")).send(&client).await.unwrap();
    assert_eq!(
        (created.id.as_str(), created.metadata["order_id"].as_str()),
        (again.id.as_str(), "o-7")
    );

    let confirm = ConfirmPaymentIntent::new(&created.id)
        .payment_method(method)
        .error_on_requires_action(true);
    let paid =
        confirm.customize().request_strategy(with_key("confirm:1")).send(&client).await.unwrap();
    assert_eq!(paid.status, PaymentIntentStatus::Succeeded);

    let retrieved = RetrievePaymentIntent::new(&created.id)
        .expand(vec!["latest_charge".to_owned()])
        .send(&client)
        .await
        .unwrap();
    let Some(Expandable::Object(charge)) = retrieved.latest_charge else { panic!("not expanded") };
    assert_eq!((charge.amount, charge.paid), (2000, true));
    assert_eq!(ListPaymentIntent::new().limit(10).send(&client).await.unwrap().data.len(), 1);

    let create = CreateRefund::new().payment_intent(created.id.as_str()).amount(2000);
    let refund =
        create.customize().request_strategy(with_key("refund:1")).send(&client).await.unwrap();
    assert_eq!(refund.status.as_deref(), Some("succeeded"));
    let listed = ListRefund::new().payment_intent(created.id.as_str()).send(&client).await.unwrap();
    assert_eq!((listed.data.len(), listed.data[0].id.as_str()), (1, refund.id.as_str()));
    assert_eq!(RetrieveRefund::new(&refund.id).send(&client).await.unwrap().amount, 2000);

    let StripeError::Stripe(error, 400) = create.send(&client).await.unwrap_err() else {
        panic!("not Stripe's 400")
    };
    assert_eq!(error.code, Some(ApiErrorsCode::ChargeAlreadyRefunded));
}

#[tokio::test]
async fn an_authorisation_is_captured_or_expires() {
    let double = Double::start().await;
    let client = client(&double);
    let authorise = twenty_dollars()
        .capture_method(PaymentIntentCaptureMethod::Manual)
        .payment_method("pm_card_visa")
        .confirm(true);
    let authorised = authorise.send(&client).await.unwrap();
    assert_eq!(
        (authorised.status, authorised.amount_capturable),
        (PaymentIntentStatus::RequiresCapture, 2000)
    );
    let capture = CapturePaymentIntent::new(&authorised.id).amount_to_capture(1500);
    let captured =
        capture.customize().request_strategy(with_key("capture:1")).send(&client).await.unwrap();
    assert_eq!((captured.status, captured.amount_received), (PaymentIntentStatus::Succeeded, 1500));

    let expires = authorise.send(&client).await.unwrap();
    double.clock.advance(std::time::Duration::from_secs(7 * 24 * 60 * 60));
    let StripeError::Stripe(error, 400) =
        CapturePaymentIntent::new(&expires.id).send(&client).await.unwrap_err()
    else {
        panic!("not Stripe's 400")
    };
    let intent = error.payment_intent.unwrap();
    assert_eq!(intent.cancellation_reason, Some(PaymentIntentCancellationReason::Expired));
}

#[tokio::test]
async fn a_decline_is_parsed_with_its_code_and_its_intent() {
    let double = Double::start().await;
    let client = client(&double);
    for (token, code, decline_code) in [
        (
            "tok_chargeDeclinedInsufficientFunds",
            ApiErrorsCode::CardDeclined,
            Some("insufficient_funds"),
        ),
        ("tok_chargeDeclinedExpiredCard", ApiErrorsCode::ExpiredCard, None),
        (
            "tok_threeDSecure2Required",
            ApiErrorsCode::AuthenticationRequired,
            Some("authentication_required"),
        ),
    ] {
        let created = intent(&client).await;
        let confirm = ConfirmPaymentIntent::new(&created.id)
            .payment_method(method_of(&client, token).await)
            .error_on_requires_action(true);
        let StripeError::Stripe(error, 402) = confirm.send(&client).await.unwrap_err() else {
            panic!("not Stripe's 402")
        };
        assert_eq!(
            (error.type_, error.code, error.decline_code.as_deref()),
            (ApiErrorsType::CardError, Some(code), decline_code)
        );
        let intent = error.payment_intent.unwrap();
        assert_eq!(
            (intent.id.as_str(), &intent.status),
            (created.id.as_str(), &PaymentIntentStatus::RequiresPaymentMethod)
        );
        assert!(intent.last_payment_error.is_some());
        let retrieved = RetrievePaymentIntent::new(&created.id).send(&client).await.unwrap();
        assert_eq!(retrieved.status, PaymentIntentStatus::RequiresPaymentMethod);
    }
}

#[tokio::test]
async fn an_intent_is_canceled_once_and_stays_canceled() {
    let double = Double::start().await;
    let client = client(&double);
    let created = intent(&client).await;
    let cancel = CancelPaymentIntent::new(&created.id)
        .cancellation_reason(CancelPaymentIntentCancellationReason::Abandoned);
    assert_eq!(cancel.send(&client).await.unwrap().status, PaymentIntentStatus::Canceled);
    let StripeError::Stripe(error, 400) = cancel.send(&client).await.unwrap_err() else {
        panic!("not Stripe's 400")
    };
    assert_eq!(error.code, Some(ApiErrorsCode::PaymentIntentUnexpectedState));
    assert_eq!(error.payment_intent.unwrap().status, PaymentIntentStatus::Canceled);
}

#[tokio::test]
async fn an_intent_that_requires_3d_secure_is_parsed() {
    let double = Double::start().await;
    let client = client(&double);
    let created = intent(&client).await;
    let card = CreatePaymentMethodCardDetailsParams::new(12, 2034, "4000000000003220");
    let create = CreatePaymentMethod::new()
        .type_(CreatePaymentMethodType::Card)
        .card(CreatePaymentMethodCard::CardDetailsParams(card));
    let method = create.send(&client).await.unwrap();
    let waiting = ConfirmPaymentIntent::new(&created.id)
        .payment_method(method.id.as_str())
        .send(&client)
        .await
        .unwrap();
    assert_eq!(waiting.status, PaymentIntentStatus::RequiresAction);
    assert_eq!(waiting.next_action.unwrap().type_, "use_stripe_sdk");
}

#[tokio::test]
async fn a_confirmation_token_leads_through_3d_secure_to_an_authorised_charge() {
    let double = Double::start().await;
    let client = client(&double);
    let form = [("payment_method", "pm_card_authenticationRequired")];
    let token = double.client.post("/v1/test_helpers/confirmation_tokens", &form).await.body;
    let created = twenty_dollars()
        .capture_method(PaymentIntentCaptureMethod::Manual)
        .send(&client)
        .await
        .unwrap();
    let confirm = ConfirmPaymentIntent::new(&created.id)
        .confirmation_token(text(&token["id"]))
        .return_url("https://shop.example/orders/7/return")
        .use_stripe_sdk(false);
    let waiting = confirm.send(&client).await.unwrap();
    assert_eq!(waiting.status, PaymentIntentStatus::RequiresAction);
    let redirect = waiting.next_action.unwrap().redirect_to_url.unwrap();
    assert!(redirect.url.unwrap().starts_with(&double.running.url()));
    assert_eq!(redirect.return_url.as_deref(), Some("https://shop.example/orders/7/return"));

    let answer = format!("/_authenticate/{}", created.id.as_str());
    double.client.post(&answer, &[("outcome", "success")]).await;
    let authorised = RetrievePaymentIntent::new(&created.id)
        .expand(vec!["latest_charge".to_owned()])
        .send(&client)
        .await
        .unwrap();
    assert_eq!(authorised.status, PaymentIntentStatus::RequiresCapture);
    let Some(Expandable::Object(charge)) = authorised.latest_charge else { panic!("not expanded") };
    assert_eq!((charge.captured, charge.amount_captured, charge.paid), (false, 0, true));
    let card = charge.payment_method_details.unwrap().card.unwrap();
    assert!(card.three_d_secure.is_some() && card.capture_before.is_some());
}

#[tokio::test]
async fn allowed_payment_method_types_are_accepted() {
    let double = Double::start().await;
    let create = CreatePaymentIntent::new(2000, Currency::USD)
        .allowed_payment_method_types(vec![PaymentIntentAllowedPaymentMethodTypes::Card])
        .payment_method("pm_card_visa")
        .confirm(true);
    assert_eq!(create.send(&client(&double)).await.unwrap().status, PaymentIntentStatus::Succeeded);
}

#[tokio::test]
async fn connection_errors_are_distinguished_from_errors_of_stripe() {
    let double = Double::start().await;
    let client = client(&double);
    double.client.arm(serde_json::json!({"kind": "cut", "times": 1})).await;
    assert!(matches!(twenty_dollars().send(&client).await, Err(StripeError::ClientError(_))));
    double.client.arm(serde_json::json!({"kind": "error_after", "times": 1})).await;
    assert!(matches!(twenty_dollars().send(&client).await, Err(StripeError::Stripe(_, 500))));
    double.client.arm(serde_json::json!({"kind": "hang", "times": 1})).await;
    let short_timeout = twenty_dollars().customize().timeout(std::time::Duration::from_millis(50));
    assert!(matches!(short_timeout.send(&client).await, Err(StripeError::Timeout)));
}
