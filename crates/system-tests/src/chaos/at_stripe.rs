//! What happens at Stripe without us: refunds and cancellations in its dashboard, what buyers do on the page of their bank, and
//! what banks decide.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;
use testkit::retry_for;

const TIMEOUT: Duration = Duration::from_secs(20);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    RefundPart,
    RefundAll,
    Cancel,
    Authenticate,
    FailToAuthenticate,
    OpenDispute,
    WinDispute,
    LoseDispute,
}

impl Act {
    /// As the report prints it.
    fn name(self) -> &'static str {
        match self {
            Act::RefundPart => "refunds of a part",
            Act::RefundAll => "refunds of all",
            Act::Cancel => "cancellations",
            Act::Authenticate => "challenges completed",
            Act::FailToAuthenticate => "challenges failed",
            Act::OpenDispute => "disputes opened",
            Act::WinDispute => "won",
            Act::LoseDispute => "lost",
        }
    }

    /// Its path, about a PaymentIntent or a dispute, and its form.
    fn request(self, id: &str, amount: i64) -> (String, String) {
        let intent = |action: &str| format!("_dashboard/payment_intents/{id}/{action}");
        let challenge = format!("_authenticate/{id}");
        let decision = format!("_dashboard/disputes/{id}/decide");
        match self {
            Act::RefundPart => (intent("refund"), format!("amount={amount}")),
            Act::RefundAll => (intent("refund"), String::new()),
            Act::Cancel => (intent("cancel"), String::new()),
            Act::Authenticate => (challenge, "outcome=success".to_owned()),
            Act::FailToAuthenticate => (challenge, "outcome=failure".to_owned()),
            Act::OpenDispute => (intent("dispute"), String::new()),
            Act::WinDispute => (decision, "outcome=won".to_owned()),
            Act::LoseDispute => (decision, "outcome=lost".to_owned()),
        }
    }
}

/// How often each was done.
#[derive(Clone, Debug, Default)]
pub struct Acts(BTreeMap<Act, u64>);

impl fmt::Display for Acts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let acts: Vec<_> =
            self.0.iter().map(|(act, count)| format!("{count} {}", act.name())).collect();
        f.write_str(&acts.join(", "))
    }
}

/// Stripe's dashboard, and the pages of banks.
pub struct AtStripe {
    http: reqwest::Client,
    url: String,
    acts: Mutex<Acts>,
}

impl AtStripe {
    pub fn new(url: String) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(AtStripe { http, url, acts: Mutex::default() })
    }

    /// None: its state doesn't allow it, or Stripe is down.
    pub async fn does(&self, act: Act, id: &str) -> Option<Value> {
        self.does_with_amount(act, id, 0).await
    }

    pub async fn refunds_part(&self, intent: &str, amount: i64) -> Option<Value> {
        self.does_with_amount(Act::RefundPart, intent, amount).await
    }

    async fn does_with_amount(&self, act: Act, id: &str, amount: i64) -> Option<Value> {
        let (path, form) = act.request(id, amount);
        let request = self.http.post(format!("{}/{path}", self.url)).bearer_auth("sk_test_local");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(form).send().await.ok()?;
        let response = response.error_for_status().ok()?.json().await.ok()?;
        *self.counts().0.entry(act).or_default() += 1;
        Some(response)
    }

    /// Decides every dispute that is still open: banks do, within weeks.
    pub async fn decide_disputes(&self, rng: &mut StdRng) -> Result<()> {
        for dispute in self.open_disputes().await? {
            let decision = if rng.random_bool(0.5) { Act::WinDispute } else { Act::LoseDispute };
            let decided = async || self.does(decision, &dispute).await.ok_or(());
            let decided = retry_for(TIMEOUT, decided).await;
            ensure!(decided.is_ok(), "dispute {dispute} can't be decided");
        }
        Ok(())
    }

    async fn open_disputes(&self) -> Result<Vec<String>> {
        let ledger = async || {
            let response = self.http.get(format!("{}/_ledger", self.url)).send().await?;
            response.error_for_status()?.json::<Value>().await
        };
        let ledger = retry_for(TIMEOUT, ledger).await.context("Stripe's ledger")?;
        let disputes = ledger["disputes"].as_array().into_iter().flatten();
        let open =
            disputes.filter(|it| !["won", "lost"].contains(&it["status"].as_str().unwrap_or("")));
        Ok(open.filter_map(|it| it["id"].as_str().map(str::to_owned)).collect())
    }

    pub fn acts(&self) -> Acts {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, Acts> {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
