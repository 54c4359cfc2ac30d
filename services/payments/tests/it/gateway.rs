//! The gateway against Stripe: the local double, or with `STRIPE_KEY=sk_test_…` the real one.

use common::ids::{OrderId, PaymentId};
use common::{Clock, Money};
use payments::domain::{
    AttemptNumber, CaptureNumber, GatewayError, IntentNumber, IntentState, RefundNumber,
    RefundState, Refunds, StripeResult, Total,
};
use payments::gateway::Gateway;
use stripe_double::{Config, StripeDouble};
use tempfile::TempDir;

struct Stripe {
    gateway: Gateway,
    order: OrderId,
    _double: Option<(StripeDouble, TempDir)>,
}

impl Stripe {
    async fn start() -> Stripe {
        let order = OrderId::new(Clock::system().now());
        #[expect(
            clippy::disallowed_methods,
            reason = "the environment may contain a key for Stripe's own test mode"
        )]
        if let Ok(key) = std::env::var("TEST_STRIPE_KEY") {
            let url = "https://api.stripe.com/".parse().unwrap();
            return Stripe { gateway: Gateway::new(&key, &url).unwrap(), order, _double: None };
        }
        let journal = tempfile::tempdir().unwrap();
        let double = StripeDouble::start(Config::in_dir(journal.path())).await.unwrap();
        let gateway = Gateway::new("sk_test_local", &double.url().parse().unwrap()).unwrap();
        Stripe { gateway, order, _double: Some((double, journal)) }
    }

    async fn intent(&self) -> String {
        self.create_intent(2050).await.unwrap()
    }

    async fn create_intent(&self, minor: i64) -> StripeResult<String> {
        let amount = Money::from_minor(minor);
        let total = Total { amount, currency: "usd".parse().unwrap() };
        self.gateway.create_intent(self.order, IntentNumber::FIRST, &total).await
    }

    async fn confirm(&self, number: i64, intent: &str, token: &str) -> StripeResult<IntentState> {
        let (number, token) = (AttemptNumber::from(number), token.parse().unwrap());
        let method = self.gateway.create_payment_method(self.order, number, &token).await.unwrap();
        self.confirm_with(number, intent, &method, &total()).await
    }

    async fn confirm_with(
        &self,
        number: AttemptNumber,
        intent: &str,
        method: &str,
        total: &Total,
    ) -> StripeResult<IntentState> {
        let (method, url) = (method.parse().unwrap(), "http://localhost:8080/orders/1/return");
        self.gateway.confirm(self.order, number, intent, &method, url, total).await
    }

    /// Captures what is authorised, under this number.
    async fn capture(&self, number: i64, intent: &str) -> StripeResult<IntentState> {
        let payment = PaymentId::new(self.order.created_at().unwrap());
        let number = CaptureNumber::from(number);
        self.gateway.capture(payment, number, intent, &total()).await
    }
}

fn total() -> Total {
    Total { amount: Money::from_minor(2050), currency: "usd".parse().unwrap() }
}

#[tokio::test]
async fn a_charge_and_its_refund_happen_once_under_one_key() {
    let stripe = Stripe::start().await;
    let intent = stripe.intent().await;
    assert_eq!(stripe.intent().await, intent, "the same key, the same PaymentIntent");
    for _ in 0..2 {
        let authorised = stripe.confirm(1, &intent, "tok_visa").await.unwrap();
        assert_eq!(authorised, IntentState::RequiresCapture);
    }
    let retrieved = async || stripe.gateway.retrieve_intent(&intent, &total()).await.unwrap();
    assert_eq!(retrieved().await, IntentState::RequiresCapture);
    let capture = PaymentId::new(Clock::system().now());
    for _ in 0..2 {
        let number = CaptureNumber::FIRST;
        let captured = stripe.gateway.capture(capture, number, &intent, &total()).await.unwrap();
        assert_eq!(captured, IntentState::Succeeded(Refunds::NONE));
    }
    assert!(matches!(stripe.capture(2, &intent).await, Err(GatewayError::Refused { .. })));
    assert_eq!(retrieved().await, IntentState::Succeeded(Refunds::NONE));
    let refunds = stripe.gateway.retrieve_refunds(&intent, &total()).await.unwrap();
    assert_eq!((refunds.succeeded, refunds.newest), (Money::from_minor(0), None));

    let payment = PaymentId::new(Clock::system().now());
    let refund = async |number: i64| {
        let number = RefundNumber::from(number);
        let amount = Some(total().amount);
        stripe.gateway.create_refund(payment, number, &intent, amount, &total()).await
    };
    let RefundState::Succeeded { id, amount } = refund(1).await.unwrap() else {
        panic!("not refunded")
    };
    assert_eq!(amount, total().amount);
    assert_eq!(refund(1).await, Ok(RefundState::Succeeded { id: id.clone(), amount }));
    assert!(matches!(refund(2).await, Err(GatewayError::Refused { .. })));
    let refunds = stripe.gateway.retrieve_refunds(&intent, &total()).await.unwrap();
    assert_eq!((refunds.succeeded, refunds.newest), (amount, Some(id)));
    assert!(!refunds.is_pending);
}

#[tokio::test]
async fn an_object_of_another_amount_or_currency_is_never_a_success() {
    let stripe = Stripe::start().await;
    let intent = stripe.intent().await;
    let less = Total { amount: Money::from_minor(2000), ..total() };
    let euros = Total { currency: "eur".parse().unwrap(), ..total() };
    let method = async |number: i64| {
        let token = "tok_visa".parse().unwrap();
        let number = AttemptNumber::from(number);
        stripe.gateway.create_payment_method(stripe.order, number, &token).await.unwrap()
    };
    let (number, method) = (AttemptNumber::FIRST, method(1).await);
    let mismatches = async |total: &Total| {
        let confirmed = stripe.confirm_with(number, &intent, &method, total).await;
        assert!(matches!(confirmed, Err(GatewayError::Mismatch(_))), "{confirmed:?}");
        let found = stripe.gateway.retrieve_intent(&intent, total).await;
        assert!(matches!(found, Err(GatewayError::Mismatch(_))), "{found:?}");
    };
    mismatches(&less).await;
    mismatches(&euros).await;
    let captured = stripe.gateway.capture(
        PaymentId::new(Clock::system().now()),
        CaptureNumber::FIRST,
        &intent,
        &less,
    );
    let captured = captured.await;
    assert!(matches!(captured, Err(GatewayError::Mismatch(_))), "{captured:?}");
    let payment = PaymentId::new(Clock::system().now());
    let refund = stripe.gateway.create_refund(payment, RefundNumber::FIRST, &intent, None, &less);
    let refund = refund.await;
    assert!(matches!(refund, Err(GatewayError::Mismatch(_))), "{refund:?}");
    for other in [&less, &euros] {
        let refunds = stripe.gateway.retrieve_refunds(&intent, other).await;
        assert!(matches!(refunds, Err(GatewayError::Mismatch(_))), "{refunds:?}");
    }
}

#[tokio::test]
async fn a_decline_has_a_code_and_leaves_the_intent_unpaid() {
    let stripe = Stripe::start().await;
    let intent = stripe.intent().await;
    let declined = stripe.confirm(1, &intent, "tok_chargeDeclinedInsufficientFunds").await;
    let Err(GatewayError::Declined { code, charge: Some(charge) }) = declined else {
        panic!("{declined:?}")
    };
    assert_eq!(code, "insufficient_funds");
    let unpaid =
        IntentState::RequiresPaymentMethod { last_charge: Some(charge), decline_code: Some(code) };
    assert_eq!(stripe.gateway.retrieve_intent(&intent, &total()).await.unwrap(), unpaid);
    let authorised = stripe.confirm(2, &intent, "tok_visa").await.unwrap();
    assert_eq!(authorised, IntentState::RequiresCapture);
}

#[tokio::test]
async fn a_cancelled_intent_cannot_be_charged_and_a_charged_one_cannot_be_cancelled() {
    let stripe = Stripe::start().await;
    let intent = stripe.intent().await;
    assert_eq!(
        stripe.gateway.cancel_intent(&intent, &total()).await.unwrap(),
        IntentState::Canceled
    );
    assert!(matches!(
        stripe.confirm(1, &intent, "tok_visa").await,
        Err(GatewayError::Refused { .. })
    ));

    let stripe = Stripe { order: OrderId::new(Clock::system().now()), ..stripe };
    let intent = stripe.intent().await;
    stripe.confirm(1, &intent, "tok_visa").await.unwrap();
    stripe.capture(1, &intent).await.unwrap();
    assert!(matches!(
        stripe.gateway.cancel_intent(&intent, &total()).await,
        Err(GatewayError::Refused { .. })
    ));
}

#[tokio::test]
async fn an_amount_below_the_minimum_is_refused() {
    let stripe = Stripe::start().await;
    let refused = stripe.create_intent(49).await;
    let Err(GatewayError::Refused { code, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(code.as_deref(), Some("amount_too_small"));
}
