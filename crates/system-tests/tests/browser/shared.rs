//! Marketplaces that all tests of this binary share: each test creates its own users and tickets.

use system_tests::{Browser, Stack};
use tokio::sync::OnceCell;

static DEFAULT: OnceCell<Stack> = OnceCell::const_new();
static PAYMENT_ELEMENT: OnceCell<Stack> = OnceCell::const_new();
static VERIFIED_EMAILS: OnceCell<Stack> = OnceCell::const_new();
static SHORT_RESERVATIONS: OnceCell<Stack> = OnceCell::const_new();

/// The default marketplace, with two replicas of each service behind the gateway.
pub async fn default_stack() -> &'static Stack {
    DEFAULT.get_or_init(|| start(|| Stack::start_replicas("browser", 2, &[]))).await
}

/// With reservations of twelve seconds.
pub async fn short_reservations() -> &'static Stack {
    let short = || Stack::start("browser-short_reservations", &[("RESERVATION_SECONDS", "12")]);
    SHORT_RESERVATIONS.get_or_init(|| start(short)).await
}

/// Buying and selling takes a confirmed email address.
pub async fn with_verified_emails() -> &'static Stack {
    let verified =
        || Stack::start("browser-verified-emails", &[("REQUIRE_VERIFIED_EMAIL", "true")]);
    VERIFIED_EMAILS.get_or_init(|| start(verified)).await
}

/// With Stripe's card form, as with a Stripe account.
pub async fn with_payment_element() -> &'static Stack {
    let with_key =
        || Stack::start("browser-payment-element", &[("STRIPE_PUBLISHABLE_KEY", "pk_test_local")]);
    PAYMENT_ELEMENT.get_or_init(|| start(with_key)).await
}

/// `cargo xtask test` stops it after the tests.
async fn start(stack: impl FnOnce() -> Stack + Send + 'static) -> Stack {
    tokio::task::spawn_blocking(stack).await.expect("the marketplace starts")
}

/// Whether a browser runs scripts. Features that work without them are tested both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    On,
    Off,
}

impl Scripts {
    pub async fn browser(self, home: &str) -> Browser {
        match self {
            Scripts::On => Browser::open(home).await,
            Scripts::Off => Browser::open_without_scripts(home).await,
        }
    }
}
