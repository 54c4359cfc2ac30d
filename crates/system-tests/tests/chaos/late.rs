//! Paid in time, known too late: the buyer gets the ticket if it is still free, else the money back.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use common::Time;
use futures::future::{join, join_all};
use serde_json::json;
use system_tests::{Person, Stack, clock};
use testkit::eventually;

const CONFIRM: &str = "/v1/payment_intents/*/confirm";
/// One wave after the other,
const WAVES: usize = 10;
/// each with so many rounds in which the ticket is free when the payment is known, and as many in which the
/// next buyer has it.
const ROUNDS: usize = 5;
/// Paid so long before the end of the hold,
const BEFORE_THE_END: Duration = Duration::from_secs(4);
/// and known to be paid so long afterwards.
const SLOW_MS: u64 = 6000;
/// Within this time of the hold's end, and of payments' knowing it or being back, all is settled.
const LIMIT: Duration = Duration::from_secs(5);

struct Round {
    ticket: String,
    order: String,
    end: Time,
    /// Whether someone else wants the ticket as soon as it is free.
    is_wanted: bool,
}

#[tokio::test]
async fn a_late_payment_is_honoured_if_the_ticket_is_free_and_else_refunded_within_five_seconds() {
    let _alone = crate::alone().await;
    let stack = Stack::start("late", &[("RESERVATION_SECONDS", "10")]);
    for _ in 0..WAVES {
        let late = Late::begin(&stack).await;
        let (known, ()) = join(late.pay(), late.next_buyers()).await;
        for (round, (status, known)) in late.rounds.iter().zip(&known) {
            assert_eq!(*status, 201);
            assert!(*known > round.end, "known at {known}, and the hold ended at {}", round.end);
        }
        let settled = late.settled().await;
        for (round, (_, known)) in late.rounds.iter().zip(&known) {
            assert!(settled[&round.order] <= *known + LIMIT, "{}", round.order);
        }
        late.is_right().await;
    }
}

#[tokio::test]
async fn the_same_holds_when_payments_is_killed_before_it_knows_that_it_was_paid() {
    let _alone = crate::alone().await;
    let stack = Stack::start("late", &[("RESERVATION_SECONDS", "10")]);
    for _ in 0..WAVES {
        let late = Late::begin(&stack).await;
        let ((answers, ()), back) = join(join(late.pay(), late.next_buyers()), late.kill()).await;
        assert!(answers.iter().all(|(status, _)| *status == 503), "{answers:?}");
        let settled = late.settled().await;
        for round in &late.rounds {
            assert!(settled[&round.order] <= round.end.max(back) + LIMIT, "{}", round.order);
        }
        late.is_right().await;
    }
}

/// The rounds of a wave, all at once.
struct Late<'a> {
    stack: &'a Stack,
    buyer: Person,
    other: Person,
    rounds: Vec<Round>,
}

impl Late<'_> {
    /// As many tickets as there are rounds, each held by the buyer; and a Stripe that is slow to answer.
    async fn begin(stack: &Stack) -> Late<'_> {
        let seller = stack.person("seller").await;
        let (buyer, other) = (stack.person("buyer").await, stack.person("other").await);
        stack.stripe_fails(CONFIRM, "slow", None, SLOW_MS).await;
        let tickets = join_all((0..2 * ROUNDS).map(|_| seller.offers("Lulu", "20.50"))).await;
        let rounds = tickets.into_iter().enumerate().map(async |(index, ticket)| {
            let order = buyer.orders(&ticket).await.expect(201);
            let end = Time::parse(order["expiresAt"].as_str().unwrap()).unwrap();
            let order = order["id"].as_str().unwrap().to_owned();
            Round { ticket, order, end, is_wanted: index % 2 == 0 }
        });
        let rounds = join_all(rounds).await;
        Late { stack, buyer, other, rounds }
    }

    /// Pays each in the last seconds of its hold: the answers' status, and when they came.
    async fn pay(&self) -> Vec<(u16, Time)> {
        join_all(self.rounds.iter().map(async |round| {
            clock::until(round.end - BEFORE_THE_END).await;
            let answer = self.buyer.pays(&round.order, "tok_visa").await;
            (answer.status.as_u16(), clock::now())
        }))
        .await
    }

    /// Kills payments when Stripe has charged all and nobody knows yet, so late that it is started again, and
    /// has the payments that were left behind, only after the holds' end. Answers when it is back.
    async fn kill(&self) -> Time {
        eventually("Stripe to have charged everyone", || async {
            let ledger = self.stack.stripe_ledger().await;
            self.rounds.iter().all(|round| ledger.charges(&round.order).len() == 1).then_some(())
        })
        .await;
        let end = self.rounds.iter().map(|round| round.end).max().unwrap();
        clock::until(end - Duration::from_millis(1500)).await;
        self.stack.kill("payments").await;
        self.stack.is_ready("payments").await;
        clock::now()
    }

    /// At the second that the hold ends, someone else takes the tickets that are wanted.
    async fn next_buyers(&self) {
        join_all(self.rounds.iter().filter(|round| round.is_wanted).map(async |round| {
            clock::until(round.end).await;
            self.other.holds(&round.ticket).await;
        }))
        .await;
    }

    /// When each order was seen to be complete, or to be paid back at Stripe.
    async fn settled(&self) -> HashMap<String, Time> {
        let settled = RefCell::new(HashMap::new());
        eventually("all rounds to be settled", || async {
            let ledger = self.stack.stripe_ledger().await;
            let complete = self.complete().await;
            let now = clock::now();
            let mut settled = settled.borrow_mut();
            for Round { order, is_wanted, .. } in &self.rounds {
                if (*is_wanted && !ledger.refunds(order).is_empty()) || complete.contains(order) {
                    settled.entry(order.clone()).or_insert(now);
                }
            }
            (settled.len() == self.rounds.len()).then_some(())
        })
        .await;
        settled.into_inner()
    }

    async fn complete(&self) -> Vec<String> {
        let path = "/api/orders?status=complete&limit=100";
        let orders = self.buyer.client.get(path).await.expect(200)["orders"].clone();
        let ids = orders.as_array().unwrap().iter().filter_map(|order| order["id"].as_str());
        ids.map(str::to_owned).collect()
    }

    /// Each was charged once; and that was kept for a ticket, or given back once.
    async fn is_right(&self) {
        let ledger = self.stack.stripe_ledger().await;
        for Round { ticket, order, is_wanted, .. } in &self.rounds {
            let shown = self.buyer.order(order).await;
            let is = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
            assert_eq!(ledger.charges(order).len(), 1, "{shown}");
            assert_eq!(ledger.refunds(order).len(), usize::from(*is_wanted), "{shown}");
            if *is_wanted {
                assert_eq!((&*is("status"), &*is("cancelReason")), ("cancelled", "expired"));
                self.buyer.sees_payment(order, "refunded").await;
            } else {
                // It was held (1), locked (2), cancelled (3), and taken back.
                assert_eq!((&*is("status"), &shown["version"]), ("complete", &json!(4)));
                assert_eq!(self.buyer.payment(order).await["status"], "completed");
                let sold = self.buyer.sees_ticket(ticket, "sold").await;
                assert_eq!(sold["orderId"], json!(order));
            }
        }
        self.stack.stripe_is_well().await;
    }
}
