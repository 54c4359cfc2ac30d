//! Authorised before the reservation expires, known after it: the buyer gets the ticket if it is still available, and is not
//! charged otherwise.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use common::Time;
use futures::future::{join, join_all};
use serde_json::json;
use system_tests::{Person, Stack, clock};
use testkit::eventually;

const CONFIRM: &str = "/v1/payment_intents/*/confirm";
/// The waves run one after the other: so many in each test, and in the proof that takes minutes.
const WAVES: usize = 2;
const MANY_WAVES: usize = 10;
/// Of each wave, so many concurrent cases in which the ticket is available when the authorisation is known, and as many in
/// which the next buyer has reserved it.
const CASES: usize = 5;
/// How long before the expiry the buyer pays.
const BEFORE_EXPIRY: Duration = Duration::from_secs(4);
/// How long Stripe takes to respond.
const SLOW_MS: u64 = 6000;
/// How long the outcome may take after the confirmation, or after payments is back.
const TIME_LIMIT: Duration = Duration::from_secs(5);

struct Case {
    ticket: String,
    order: String,
    expiry: Time,
    /// Whether another buyer reserves the ticket as soon as it is available.
    is_contested: bool,
}

#[tokio::test]
async fn a_late_payment_is_honoured_or_released_within_five_seconds() {
    pay_late(WAVES).await;
}

#[tokio::test]
async fn a_late_payment_is_honoured_or_released_when_payments_is_killed_before_the_confirmation() {
    pay_late_and_kill(WAVES).await;
}

#[tokio::test]
#[ignore = "takes minutes: cargo xtask proof late-payments"]
async fn a_hundred_late_payments_are_honoured_or_released() {
    pay_late(MANY_WAVES).await;
    pay_late_and_kill(MANY_WAVES).await;
}

async fn pay_late(waves: usize) {
    let _turn = crate::exclusive().await;
    let stack = Stack::start("late", &[("RESERVATION_SECONDS", "10")]);
    for _ in 0..waves {
        let wave = Wave::begin(&stack).await;
        let (known, ()) = join(wave.pay(), wave.next_buyers()).await;
        for (case, (status, known)) in wave.cases.iter().zip(&known) {
            let expected = if case.is_contested { 409 } else { 201 };
            assert!([expected, 202].contains(status), "{status}");
            assert!(
                *known > case.expiry,
                "confirmed at {known}, and the expiry was {}",
                case.expiry
            );
        }
        let settled = wave.settled().await;
        for (case, (_, known)) in wave.cases.iter().zip(&known) {
            assert!(settled[&case.order] <= *known + TIME_LIMIT, "{}", case.order);
        }
        wave.assert_outcomes().await;
    }
}

async fn pay_late_and_kill(waves: usize) {
    let _turn = crate::exclusive().await;
    let stack = Stack::start("late", &[("RESERVATION_SECONDS", "10")]);
    for _ in 0..waves {
        let wave = Wave::begin(&stack).await;
        let ((responses, ()), back) = join(join(wave.pay(), wave.next_buyers()), wave.kill()).await;
        assert!(responses.iter().all(|(status, _)| *status == 503), "{responses:?}");
        let settled = wave.settled().await;
        for case in &wave.cases {
            assert!(settled[&case.order] <= case.expiry.max(back) + TIME_LIMIT, "{}", case.order);
        }
        wave.assert_outcomes().await;
    }
}

/// The cases of a wave, all at once.
struct Wave<'a> {
    stack: &'a Stack,
    /// Of the contested cases, and of the others: a buyer may have five unpaid orders.
    buyers: [Person; 2],
    other: Person,
    cases: Vec<Case>,
}

impl Wave<'_> {
    /// Reserves a ticket for each case, and makes Stripe slow.
    async fn begin(stack: &Stack) -> Wave<'_> {
        let seller = stack.person("seller").await;
        let buyers = [stack.person("buyer").await, stack.person("buyer").await];
        let other = stack.person("other").await;
        stack.lose_webhooks().await;
        stack.inject_stripe_fault(CONFIRM, "slow", None, SLOW_MS).await;
        let tickets = join_all((0..2 * CASES).map(|_| seller.offers("Lulu", "20.50"))).await;
        let cases = tickets.into_iter().enumerate().map(async |(index, ticket)| {
            let is_contested = index % 2 == 0;
            let order = buyers[usize::from(is_contested)].orders(&ticket).await.expect(201);
            let expiry = Time::parse(order["expiresAt"].as_str().unwrap()).unwrap();
            let order = order["id"].as_str().unwrap().to_owned();
            Case { ticket, order, expiry, is_contested }
        });
        let cases = join_all(cases).await;
        Wave { stack, buyers, other, cases }
    }

    fn buyer_of(&self, case: &Case) -> &Person {
        &self.buyers[usize::from(case.is_contested)]
    }

    /// Pays each one shortly before its expiry: the status and the time of the response.
    async fn pay(&self) -> Vec<(u16, Time)> {
        join_all(self.cases.iter().map(async |case| {
            clock::until(case.expiry - BEFORE_EXPIRY).await;
            let response = self.buyer_of(case).pays(&case.order, "tok_visa").await;
            (response.status.as_u16(), clock::now())
        }))
        .await
    }

    /// Kills payments after Stripe has authorised all and before it has responded, so late that payments is restarted after
    /// the expiry. Returns the time when it is ready again.
    async fn kill(&self) -> Time {
        eventually("Stripe to have authorised all", || async {
            let ledger = self.stack.stripe_ledger().await;
            let is_authorised = |case: &Case| ledger.authorisations(&case.order).len() == 1;
            self.cases.iter().all(is_authorised).then_some(())
        })
        .await;
        let expiry = self.cases.iter().map(|case| case.expiry).max().unwrap();
        clock::until(expiry - Duration::from_millis(1500)).await;
        self.stack.kill("payments").await;
        self.stack.is_ready("payments").await;
        clock::now()
    }

    /// At the expiry, another buyer reserves the contested tickets.
    async fn next_buyers(&self) {
        join_all(self.cases.iter().filter(|case| case.is_contested).map(async |case| {
            clock::until(case.expiry).await;
            self.other.reserves(&case.ticket).await;
        }))
        .await;
    }

    /// When each order was observed to be complete, or its authorisation to be released at Stripe.
    async fn settled(&self) -> HashMap<String, Time> {
        let settled = RefCell::new(HashMap::new());
        eventually("all cases to be settled", || async {
            let ledger = self.stack.stripe_ledger().await;
            let complete = self.complete().await;
            let now = clock::now();
            let mut settled = settled.borrow_mut();
            for Case { order, is_contested, .. } in &self.cases {
                let is_released =
                    || ledger.intents(order).iter().all(|intent| intent["status"] == "canceled");
                if (*is_contested && is_released()) || complete.contains(order) {
                    settled.entry(order.clone()).or_insert(now);
                }
            }
            (settled.len() == self.cases.len()).then_some(())
        })
        .await;
        settled.into_inner()
    }

    async fn complete(&self) -> Vec<String> {
        let path = "/api/orders?status=complete&limit=100";
        let mut complete = Vec::new();
        for buyer in &self.buyers {
            let orders = buyer.client.get(path).await.expect(200)["orders"].clone();
            let ids = orders.as_array().unwrap().iter().filter_map(|order| order["id"].as_str());
            complete.extend(ids.map(str::to_owned));
        }
        complete
    }

    /// The buyer of each ticket was charged once, and nobody else was charged at all.
    async fn assert_outcomes(&self) {
        for case in self.cases.iter().filter(|case| !case.is_contested) {
            self.buyer_of(case).sees_payment(&case.order, "completed").await;
        }
        let ledger = self.stack.stripe_ledger().await;
        for case in &self.cases {
            let (Case { ticket, order, is_contested, .. }, buyer) = (case, self.buyer_of(case));
            let shown = buyer.order(order).await;
            let is = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
            assert_eq!(ledger.charges(order).len(), usize::from(!is_contested), "{shown}");
            assert!(ledger.refunds(order).is_empty(), "{shown}");
            if *is_contested {
                assert_eq!((&*is("status"), &*is("cancelReason")), ("cancelled", "expired"));
                buyer.sees_payment(order, "released").await;
            } else {
                // Reserved (1), locked (2), cancelled (3), and reserved again.
                assert_eq!((&*is("status"), &shown["version"]), ("complete", &json!(4)));
                assert_eq!(buyer.payment(order).await["status"], "completed");
                let sold = buyer.sees_ticket(ticket, "sold").await;
                assert_eq!(sold["orderId"], json!(order));
            }
        }
        self.stack.clear_stripe_faults().await;
    }
}
