//! The gateway against Stripe: the local double, or with `STRIPE_KEY=sk_test_…` the real one.

use common::ids::{OrderId, PaymentId};
use common::money::Currency;
use common::{Clock, Money};
use payments::gateway::{Gateway, Intent, RefundWord, Trouble};
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
            reason = "whoever has a key of Stripe's own says so by it"
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
        self.gateway.make_intent(self.order, 1, Money::from_minor(2050), &usd()).await.unwrap()
    }

    async fn confirm(&self, key: i64, intent: &str, token: &str) -> Result<Intent, Trouble> {
        let method = self.gateway.make_method(self.order, key, token).await.unwrap();
        self.gateway.confirm(self.order, key, intent, &method).await
    }
}

fn usd() -> Currency {
    "usd".parse().unwrap()
}

#[tokio::test]
async fn a_charge_and_its_refund_are_done_once_under_one_key() {
    let stripe = Stripe::start().await;
    let intent = stripe.intent().await;
    assert_eq!(stripe.intent().await, intent, "the same key, the same PaymentIntent");
    for _ in 0..2 {
        assert_eq!(stripe.confirm(1, &intent, "tok_visa").await.unwrap(), Intent::Succeeded);
    }
    assert_eq!(stripe.gateway.ask(&intent).await.unwrap(), Intent::Succeeded);
    assert_eq!(stripe.gateway.ask_refund(&intent).await.unwrap(), None);

    let payment = PaymentId::new(Clock::system().now());
    let refund = stripe.gateway.refund(payment, 1, &intent).await.unwrap();
    assert!(matches!(refund, RefundWord::Succeeded { .. }));
    assert_eq!(stripe.gateway.refund(payment, 1, &intent).await.unwrap(), refund);
    assert!(matches!(
        stripe.gateway.refund(payment, 2, &intent).await,
        Err(Trouble::Refused { .. })
    ));
    assert_eq!(stripe.gateway.ask_refund(&intent).await.unwrap(), Some(refund));
}

#[tokio::test]
async fn a_decline_has_its_code_and_leaves_the_intent_open() {
    let stripe = Stripe::start().await;
    let intent = stripe.intent().await;
    let declined = stripe.confirm(1, &intent, "tok_chargeDeclinedInsufficientFunds").await;
    let Err(Trouble::Declined { code, charge: Some(charge) }) = declined else {
        panic!("{declined:?}")
    };
    assert_eq!(code, "insufficient_funds");
    let open = Intent::Open { charge: Some(charge), decline: Some(code) };
    assert_eq!(stripe.gateway.ask(&intent).await.unwrap(), open);
    assert_eq!(stripe.confirm(2, &intent, "tok_visa").await.unwrap(), Intent::Succeeded);
}

#[tokio::test]
async fn a_canceled_intent_can_not_be_charged_and_a_charged_one_not_canceled() {
    let stripe = Stripe::start().await;
    let intent = stripe.intent().await;
    assert_eq!(stripe.gateway.cancel(&intent).await.unwrap(), Intent::Canceled);
    assert!(matches!(stripe.confirm(1, &intent, "tok_visa").await, Err(Trouble::Refused { .. })));

    let order = OrderId::new(Clock::system().now());
    let intent =
        stripe.gateway.make_intent(order, 1, Money::from_minor(2050), &usd()).await.unwrap();
    let method = stripe.gateway.make_method(order, 1, "tok_visa").await.unwrap();
    assert_eq!(
        stripe.gateway.confirm(order, 1, &intent, &method).await.unwrap(),
        Intent::Succeeded
    );
    assert!(matches!(stripe.gateway.cancel(&intent).await, Err(Trouble::Refused { .. })));
}

#[tokio::test]
async fn too_small_an_amount_is_refused() {
    let stripe = Stripe::start().await;
    let made = stripe.gateway.make_intent(stripe.order, 1, Money::from_minor(49), &usd()).await;
    let Err(Trouble::Refused { code, .. }) = made else { panic!("{made:?}") };
    assert_eq!(code.as_deref(), Some("amount_too_small"));
}
