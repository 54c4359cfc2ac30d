//! All PaymentIntents since some time, Stripe's and ours, compared with each other: for the operator, after a restore or a loss of
//! webhooks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, anyhow};
use bus::Failure;
use common::Time;
use common::ids::OrderId;
use futures::{StreamExt, stream};

use super::{Observed, observe, record};
use crate::domain::{GatewayError, OrderPayment};
use crate::gateway::ListedIntent;
use crate::state::App;

/// How many orders are compared concurrently: Stripe limits the rate.
const CONCURRENCY: usize = 8;
/// How often an order is compared whose payment is in progress, or whose event is on its way: the running service handles it
/// meanwhile.
const ROUNDS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// Stripe's code for what doesn't exist.
const MISSING: &str = "resource_missing";

/// The result.
#[derive(Debug, Default)]
pub struct Reconciliation {
    /// How many orders have a PaymentIntent.
    pub orders: usize,
    /// Of how many something was taken over.
    pub mended: usize,
    /// What still differs.
    pub differences: Vec<String>,
}

/// One order's comparison.
struct Compared {
    order: OrderId,
    is_mended: bool,
    /// Whether the document may be another one soon.
    is_moving: bool,
    differences: Vec<String>,
}

/// Compares each, takes over what is new, and compares again until nothing changes.
pub async fn reconcile_since(app: &App, since: Time) -> anyhow::Result<Reconciliation> {
    let mut open = both(app, since).await?;
    let mut result = Reconciliation { orders: open.len(), ..Reconciliation::default() };
    let mut mended = BTreeSet::new();
    for round in 0..ROUNDS {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let compared: Vec<Compared> = stream::iter(&open)
            .map(|(order, intents)| compare(app, *order, intents))
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        result.differences.clear();
        let mut is_moving = false;
        for compared in compared {
            if compared.is_mended {
                mended.insert(compared.order);
            }
            let has_differences = !compared.differences.is_empty();
            if !has_differences && !compared.is_mended {
                open.remove(&compared.order);
            }
            is_moving |= compared.is_mended || (has_differences && compared.is_moving);
            result.differences.extend(compared.differences);
        }
        if !is_moving {
            break;
        }
    }
    result.mended = mended.len();
    result.differences.sort();
    Ok(result)
}

/// The PaymentIntents that Stripe lists, and those of our own that it doesn't.
async fn both(app: &App, since: Time) -> anyhow::Result<BTreeMap<OrderId, Vec<ListedIntent>>> {
    // Ours first: Stripe had them before its list.
    let ours = ours(app, since).await.context("could not list the payments here")?;
    let listed = app.gateway.list_intents(since).await.context("could not list PaymentIntents")?;
    let mut both: BTreeMap<OrderId, Vec<ListedIntent>> = BTreeMap::new();
    for intent in listed {
        both.entry(intent.order).or_default().push(intent);
    }
    for intent in ours {
        let theirs = both.entry(intent.order).or_default();
        if !theirs.iter().any(|it| it.id == intent.id) {
            theirs.push(intent);
        }
    }
    Ok(both)
}

/// The PaymentIntents of the orders that were placed since then.
async fn ours(app: &App, since: Time) -> store::Result<Vec<ListedIntent>> {
    let mut ours = Vec::new();
    let mut after = OrderId::new(since);
    loop {
        let page = app.store.with_intent(after).await?;
        let Some(last) = page.last() else { return Ok(ours) };
        after = last.order_id;
        ours.extend(page.iter().filter_map(|payment| {
            let (order, total) = (payment.order_id, payment.order.total());
            Some(ListedIntent { id: payment.intent()?.to_owned(), order, total })
        }));
    }
}

async fn compare(app: &App, order: OrderId, intents: &[ListedIntent]) -> Compared {
    let mut compared =
        Compared { order, is_mended: false, is_moving: false, differences: Vec::new() };
    if let Err(failure) = try_compare(app, intents, &mut compared).await {
        compared.is_moving = true;
        compared.differences.push(format!("order {order} could not be compared: {failure}"));
    }
    compared
}

async fn try_compare(
    app: &App,
    intents: &[ListedIntent],
    compared: &mut Compared,
) -> Result<(), Failure> {
    let order = compared.order;
    let Some(mut read) = app.store.find(order).await? else {
        let ids: Vec<&str> = intents.iter().map(|intent| intent.id.as_str()).collect();
        compared.differences.push(format!(
            "order {order} is not known here, and has {} at Stripe: republish orders",
            ids.join(", ")
        ));
        compared.is_moving = true;
        return Ok(());
    };
    // The oldest first.
    let mut observed = Vec::new();
    for ListedIntent { id, .. } in intents.iter().rev() {
        match observe(app, id, &read.order.total()).await {
            Ok(found) => observed.push(found),
            Err(GatewayError::Refused { code, .. }) if code.as_deref() == Some(MISSING) => {
                let ours = read.payment.as_ref().map_or("none", |it| it.status.as_str());
                let difference =
                    format!("order {order}: {id} is {ours} here, and unknown at Stripe");
                compared.differences.push(difference);
            }
            Err(error) => return Err(Failure::Transient(anyhow!("{id}: {error}"))),
        }
    }
    if let Some(adopted) = adopt(app, &read, &observed).await? {
        compared.is_mended = true;
        read = adopted;
    }
    let is_ours = |observed: &&Observed| read.intent() == Some(observed.intent.as_str());
    if let Some(ours) = observed.iter().find(is_ours) {
        compared.is_mended |= record(app, &read, ours).await?;
    }
    let now = app.store.load(order).await?;
    compared.is_moving = now.is_in_progress() || now.version != read.version;
    for Observed { intent, state, disputes } in &observed {
        if now.intent() == Some(intent.as_str()) {
            let difference = now.difference(state, disputes);
            let say = |difference| format!("order {order}: {intent} {difference}");
            compared.differences.extend(difference.map(say));
        } else if state.holds_money(&now) {
            let (state, ours) = (state.describe(), now.intent().unwrap_or("none"));
            compared.differences.push(format!(
                "order {order}: {intent} is {state} at Stripe, and the PaymentIntent here is {ours}"
            ));
        }
    }
    Ok(())
}

/// Of several that the database may have lost, the one that holds money, or else the newest.
async fn adopt(
    app: &App,
    read: &OrderPayment,
    observed: &[Observed],
) -> Result<Option<OrderPayment>, Failure> {
    let holds_money = |observed: &&Observed| observed.state.holds_money(read);
    let ours = observed.iter().find(|it| read.intent() == Some(it.intent.as_str()));
    let Some(best) = observed.iter().max_by_key(holds_money) else { return Ok(None) };
    // Whether another one may take the place of ours: only if ours was retrieved, and holds nothing.
    let instead = ours.is_some_and(|ours| !ours.state.holds_money(read)) && holds_money(&best);
    let mut is_new = false;
    let (limits, now) = (app.limits, app.clock.now());
    let after = app
        .store
        .record(read.order_id, |payment: &OrderPayment| {
            let change = payment.adopt_intent(&best.intent, instead, limits, now);
            is_new = change.is_some();
            change
        })
        .await?;
    Ok(is_new.then_some(after))
}
