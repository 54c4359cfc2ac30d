//! The hub: it counts the invalidations that this process receives, keeps a history of the last ones, and
//! notifies the open streams.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::topic::{Invalidation, Topic};

/// The length of the history: on a busy day, about a minute. Some 500 kB.
const HISTORY: usize = 10_000;

pub struct Hub {
    /// Random for each process, so that a resume token names its hub.
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many invalidations there have been.
    count: u64,
    /// The last of them.
    history: VecDeque<Invalidation>,
    subscribers: HashMap<u64, Subscriber>,
    subscribers_of: HashMap<Topic, BTreeSet<u64>>,
    next_id: u64,
}

/// The state of a subscription.
struct Subscriber {
    pending: Pending,
    wake: Arc<Notify>,
}

/// What a subscription has not sent yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Anything may have changed.
    pub resync: bool,
    /// The changed topics, with their new versions if known.
    pub changed: BTreeMap<Topic, Option<i64>>,
}

/// A subscription to some topics, until it is dropped.
pub struct Subscription {
    hub: Arc<Hub>,
    id: u64,
    topics: BTreeSet<Topic>,
    wake: Arc<Notify>,
}

impl Default for Hub {
    fn default() -> Self {
        let name = format!("{:08x}", rand::random::<u32>());
        let hub = Hub { name, state: Mutex::default() };
        hub.state().record_gauge();
        hub
    }
}

impl Hub {
    /// The current resume token: data that is loaded afterwards reflects every invalidation before it.
    pub fn resume_token(&self) -> String {
        self.token(self.state().count)
    }

    /// The earlier one of two of its resume tokens.
    pub fn earlier<'a>(&self, one: &'a str, other: &'a str) -> &'a str {
        if self.count_of(other) < self.count_of(one) { other } else { one }
    }

    /// Notifies the subscriptions of these topics.
    pub fn publish(&self, invalidations: Vec<Invalidation>) {
        let state = &mut *self.state();
        for invalidation in invalidations {
            state.count += 1;
            state.history.push_back(invalidation);
            if state.history.len() > HISTORY {
                state.history.pop_front();
            }
            for id in state.subscribers_of.get(&invalidation.topic).into_iter().flatten() {
                if let Some(subscriber) = state.subscribers.get_mut(id) {
                    subscriber.pending.add(invalidation);
                    subscriber.wake.notify_one();
                }
            }
        }
    }

    /// The hub may have missed events: invalidates every topic.
    pub fn resync(&self) {
        let state = &mut *self.state();
        state.count += 1;
        state.history.clear();
        for subscriber in state.subscribers.values_mut() {
            subscriber.pending.resync = true;
            subscriber.wake.notify_one();
        }
    }

    /// Subscribes to these topics, from a resume token on.
    pub fn subscribe(
        self: &Arc<Self>,
        topics: BTreeSet<Topic>,
        since: Option<&str>,
    ) -> Subscription {
        let mut state = self.state();
        let since = since.and_then(|token| self.count_of(token));
        let pending = state.since(since, &topics);
        let wake = Arc::new(Notify::new());
        let id = state.next_id;
        state.next_id += 1;
        for topic in &topics {
            state.subscribers_of.entry(*topic).or_default().insert(id);
        }
        state.subscribers.insert(id, Subscriber { pending, wake: Arc::clone(&wake) });
        state.record_gauge();
        Subscription { hub: Arc::clone(self), id, topics, wake }
    }

    fn token(&self, count: u64) -> String {
        format!("{}-{count}", self.name)
    }

    /// The count in a resume token, if it is this hub's.
    fn count_of(&self, token: &str) -> Option<u64> {
        let (name, count) = token.split_once('-')?;
        (name == self.name).then(|| count.parse().ok()).flatten()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The invalidations of the topics after the first `since` ones, or a resync if the history is too short.
    fn since(&self, since: Option<u64>, topics: &BTreeSet<Topic>) -> Pending {
        let mut pending = Pending::default();
        let missed = since.and_then(|since| self.count.checked_sub(since));
        match missed.and_then(|missed| usize::try_from(missed).ok()) {
            Some(missed) if missed <= self.history.len() => {
                let after = self.history.iter().skip(self.history.len() - missed);
                after
                    .filter(|invalidation| topics.contains(&invalidation.topic))
                    .for_each(|invalidation| pending.add(*invalidation));
            }
            Some(_) | None => pending.resync = true,
        }
        pending
    }

    fn record_gauge(&self) {
        let streams = u32::try_from(self.subscribers.len()).unwrap_or(u32::MAX);
        metrics::gauge!("live_streams").set(streams);
    }
}

impl Pending {
    fn add(&mut self, Invalidation { topic, version }: Invalidation) {
        let newest = self.changed.entry(topic).or_insert(version);
        // An unknown version counts as newer than any.
        *newest = newest.zip(version).map(|(one, other)| one.max(other));
    }
}

impl Subscription {
    /// Waits until something may be pending.
    pub async fn notified(&self) {
        self.wake.notified().await;
    }

    /// Takes what is pending, and the resume token that it leads to.
    pub fn take_pending(&self) -> (Pending, String) {
        let mut state = self.hub.state();
        let count = state.count;
        let subscriber = state.subscribers.get_mut(&self.id);
        let pending = subscriber.map(|subscriber| std::mem::take(&mut subscriber.pending));
        (pending.unwrap_or_default(), self.hub.token(count))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        state.subscribers.remove(&self.id);
        for topic in &self.topics {
            if let Some(subscribers) = state.subscribers_of.get_mut(topic) {
                subscribers.remove(&self.id);
                if subscribers.is_empty() {
                    state.subscribers_of.remove(topic);
                }
            }
        }
        state.record_gauge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::Time;
    use common::ids::TicketId;

    fn ticket() -> Topic {
        Topic::Ticket(TicketId::new(Time::from_millis(1_700_000_000_000)))
    }

    fn invalidation(topic: Topic, version: i64) -> Invalidation {
        Invalidation { topic, version: Some(version) }
    }

    fn subscribe(hub: &Arc<Hub>, topic: Topic, since: &str) -> Subscription {
        hub.subscribe(BTreeSet::from([topic]), Some(since))
    }

    fn changed(changed: impl IntoIterator<Item = (Topic, Option<i64>)>) -> Pending {
        Pending { resync: false, changed: changed.into_iter().collect() }
    }

    fn resync() -> Pending {
        Pending { resync: true, changed: BTreeMap::new() }
    }

    #[test]
    fn a_subscription_receives_what_changed_since_its_resume_token() {
        let (hub, (ours, other)) = (Arc::<Hub>::default(), (ticket(), ticket()));
        hub.publish(vec![invalidation(ours, 1)]);
        let page = hub.resume_token();
        hub.publish(vec![invalidation(ours, 2), invalidation(other, 7), invalidation(ours, 3)]);
        let subscription = subscribe(&hub, ours, &page);
        assert_eq!(subscription.take_pending(), (changed([(ours, Some(3))]), hub.resume_token()));
        assert_eq!(subscription.take_pending().0, Pending::default());
        assert_eq!(subscribe(&hub, ours, &hub.resume_token()).take_pending().0, Pending::default());
    }

    #[test]
    fn a_token_of_another_hub_or_beyond_the_history_causes_a_resync() {
        let (hub, ours) = (Arc::<Hub>::default(), ticket());
        let page = hub.resume_token();
        let other = Hub::default().resume_token();
        let future = format!("{}-{}", hub.name, u64::MAX);
        for token in [other.as_str(), future.as_str(), "", "-", "0", "a-b"] {
            assert_eq!(subscribe(&hub, ours, token).take_pending().0, resync(), "{token}");
        }
        assert_eq!(hub.subscribe(BTreeSet::from([ours]), None).take_pending().0, resync());

        assert_eq!(subscribe(&hub, ours, &page).take_pending().0, Pending::default());
        for _ in 0..HISTORY {
            hub.publish(vec![invalidation(ticket(), 1)]);
        }
        assert_eq!(subscribe(&hub, ours, &page).take_pending().0, Pending::default());
        hub.publish(vec![invalidation(ticket(), 1)]);
        assert_eq!(subscribe(&hub, ours, &page).take_pending().0, resync());
    }

    #[test]
    fn after_a_disconnection_every_subscription_resyncs_once() {
        let (hub, ours) = (Arc::<Hub>::default(), ticket());
        let page = hub.resume_token();
        let subscription = subscribe(&hub, ours, &page);
        hub.resync();
        assert_eq!(subscription.take_pending().0, resync());
        assert_eq!(subscription.take_pending().0, Pending::default());
        assert_eq!(subscribe(&hub, ours, &page).take_pending().0, resync());
        assert_eq!(subscribe(&hub, ours, &hub.resume_token()).take_pending().0, Pending::default());
    }

    #[tokio::test]
    async fn a_subscription_is_notified_of_its_own_topics_only() {
        let (hub, ours) = (Arc::<Hub>::default(), ticket());
        let subscription = subscribe(&hub, ours, &hub.resume_token());
        hub.publish(vec![invalidation(ticket(), 1)]);
        let notified = async |subscription: &Subscription| {
            let moment = std::time::Duration::from_millis(20);
            tokio::time::timeout(moment, subscription.notified()).await.is_ok()
        };
        assert!(!notified(&subscription).await);
        hub.publish(vec![invalidation(ours, 1)]);
        assert!(notified(&subscription).await);
    }

    #[test]
    fn a_slow_reader_receives_only_the_newest_version_and_unknown_counts_as_newer() {
        let (hub, (ours, other)) = (Arc::<Hub>::default(), (ticket(), ticket()));
        let both = BTreeSet::from([ours, other]);
        let subscription = hub.subscribe(both, Some(&hub.resume_token()));
        for version in (1..1000).rev() {
            hub.publish(vec![invalidation(ours, version), invalidation(other, version)]);
        }
        hub.publish(vec![Invalidation { topic: other, version: None }, invalidation(other, 5)]);
        assert_eq!(subscription.take_pending().0, changed([(ours, Some(999)), (other, None)]));
    }

    #[test]
    fn a_dropped_subscription_leaves_nothing_behind() {
        let (hub, ours) = (Arc::<Hub>::default(), ticket());
        let (one, other) = (
            subscribe(&hub, ours, &hub.resume_token()),
            subscribe(&hub, ours, &hub.resume_token()),
        );
        drop(one);
        hub.publish(vec![invalidation(ours, 1)]);
        assert_eq!(other.take_pending().0, changed([(ours, Some(1))]));
        drop(other);
        let state = hub.state();
        assert!(state.subscribers.is_empty() && state.subscribers_of.is_empty());
    }
}
