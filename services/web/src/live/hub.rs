//! The hub: it counts the changes that this process hears of, remembers the last ones, and tells the streams
//! that are open.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::topic::{Change, Topic};

/// How many changes are remembered: on a busy day, those of about a minute. Some 500 kB.
const REMEMBERED: usize = 10_000;

pub struct Hub {
    /// Another one for each process, so that a position says whose it is.
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many changes there have been.
    count: u64,
    /// The last of them.
    recent: VecDeque<Change>,
    waiting: HashMap<u64, Waiting>,
    listeners_of: HashMap<Topic, BTreeSet<u64>>,
    next_listener: u64,
}

/// What a listener has not been told yet.
struct Waiting {
    news: News,
    wake: Arc<Notify>,
}

/// What has changed of that which a listener follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Anything may have changed.
    pub anything: bool,
    /// What has changed for certain, and to which version, if that is known.
    pub changed: BTreeMap<Topic, Option<i64>>,
}

/// One who follows some topics, until it is dropped.
pub struct Listener {
    hub: Arc<Hub>,
    number: u64,
    topics: BTreeSet<Topic>,
    wake: Arc<Notify>,
}

impl Default for Hub {
    fn default() -> Self {
        Hub { name: format!("{:08x}", rand::random::<u32>()), state: Mutex::default() }
    }
}

impl Hub {
    /// Where the hub is now: all that changed before is known to whoever reads it only afterwards.
    pub fn position(&self) -> String {
        self.written(self.state().count)
    }

    /// This has changed.
    pub fn tell(&self, changes: Vec<Change>) {
        let state = &mut *self.state();
        for change in changes {
            state.count += 1;
            state.recent.push_back(change);
            if state.recent.len() > REMEMBERED {
                state.recent.pop_front();
            }
            for number in state.listeners_of.get(&change.topic).into_iter().flatten() {
                if let Some(waiting) = state.waiting.get_mut(number) {
                    waiting.news.add(change);
                    waiting.wake.notify_one();
                }
            }
        }
    }

    /// Things have changed that the hub was not told of: everybody has to look.
    pub fn may_have_missed(&self) {
        let state = &mut *self.state();
        state.count += 1;
        state.recent.clear();
        for waiting in state.waiting.values_mut() {
            waiting.news.anything = true;
            waiting.wake.notify_one();
        }
    }

    /// Follows these topics, from a position on that someone has read.
    pub fn listen(self: &Arc<Self>, topics: BTreeSet<Topic>, since: Option<&str>) -> Listener {
        let mut state = self.state();
        let known = since.and_then(|position| self.read(position));
        let news = state.since(known, &topics);
        let wake = Arc::new(Notify::new());
        let number = state.next_listener;
        state.next_listener += 1;
        for topic in &topics {
            state.listeners_of.entry(*topic).or_default().insert(number);
        }
        state.waiting.insert(number, Waiting { news, wake: Arc::clone(&wake) });
        state.measure();
        Listener { hub: Arc::clone(self), number, topics, wake }
    }

    fn written(&self, count: u64) -> String {
        format!("{}-{count}", self.name)
    }

    /// The count that a position says, if it is this hub's.
    fn read(&self, position: &str) -> Option<u64> {
        let (name, count) = position.split_once('-')?;
        (name == self.name).then(|| count.parse().ok()).flatten()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What has changed of the topics after the first `known` changes, as far as the hub remembers.
    fn since(&self, known: Option<u64>, topics: &BTreeSet<Topic>) -> News {
        let mut news = News::default();
        let missed = known.and_then(|known| self.count.checked_sub(known));
        match missed.and_then(|missed| usize::try_from(missed).ok()) {
            Some(missed) if missed <= self.recent.len() => {
                let after = self.recent.iter().skip(self.recent.len() - missed);
                after
                    .filter(|change| topics.contains(&change.topic))
                    .for_each(|change| news.add(*change));
            }
            Some(_) | None => news.anything = true,
        }
        news
    }

    fn measure(&self) {
        metrics::gauge!("live_streams").set(u32::try_from(self.waiting.len()).unwrap_or(u32::MAX));
    }
}

impl News {
    fn add(&mut self, Change { topic, version }: Change) {
        let newest = self.changed.entry(topic).or_insert(version);
        // Of an unknown version, whoever follows it has to look in any case.
        *newest = newest.zip(version).map(|(one, other)| one.max(other));
    }
}

impl Listener {
    /// Until there may be news.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The news since it last asked, and the position that it has reached by them.
    pub fn news(&self) -> (News, String) {
        let mut state = self.hub.state();
        let count = state.count;
        let waiting = state.waiting.get_mut(&self.number);
        let news = waiting.map(|waiting| std::mem::take(&mut waiting.news)).unwrap_or_default();
        (news, self.hub.written(count))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        state.waiting.remove(&self.number);
        for topic in &self.topics {
            if let Some(listeners) = state.listeners_of.get_mut(topic) {
                listeners.remove(&self.number);
                if listeners.is_empty() {
                    state.listeners_of.remove(topic);
                }
            }
        }
        state.measure();
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

    fn change(topic: Topic, version: i64) -> Change {
        Change { topic, version: Some(version) }
    }

    fn listen(hub: &Arc<Hub>, topic: Topic, since: &str) -> Listener {
        hub.listen(BTreeSet::from([topic]), Some(since))
    }

    fn changed(changed: impl IntoIterator<Item = (Topic, Option<i64>)>) -> News {
        News { anything: false, changed: changed.into_iter().collect() }
    }

    fn anything() -> News {
        News { anything: true, changed: BTreeMap::new() }
    }

    #[test]
    fn who_listens_is_told_what_changed_since_the_position_that_the_page_had() {
        let (hub, (ours, other)) = (Arc::<Hub>::default(), (ticket(), ticket()));
        hub.tell(vec![change(ours, 1)]);
        let page = hub.position();
        hub.tell(vec![change(ours, 2), change(other, 7), change(ours, 3)]);
        let listener = listen(&hub, ours, &page);
        assert_eq!(listener.news(), (changed([(ours, Some(3))]), hub.position()));
        assert_eq!(listener.news().0, News::default());
        assert_eq!(listen(&hub, ours, &hub.position()).news().0, News::default());
    }

    #[test]
    fn who_comes_from_elsewhere_or_from_long_ago_has_to_look() {
        let (hub, ours) = (Arc::<Hub>::default(), ticket());
        let page = hub.position();
        let other = Hub::default().position();
        let future = format!("{}-{}", hub.name, u64::MAX);
        for position in [other.as_str(), future.as_str(), "", "-", "0", "a-b"] {
            assert_eq!(listen(&hub, ours, position).news().0, anything(), "{position}");
        }
        assert_eq!(hub.listen(BTreeSet::from([ours]), None).news().0, anything());

        assert_eq!(listen(&hub, ours, &page).news().0, News::default());
        for _ in 0..REMEMBERED {
            hub.tell(vec![change(ticket(), 1)]);
        }
        assert_eq!(listen(&hub, ours, &page).news().0, News::default());
        hub.tell(vec![change(ticket(), 1)]);
        assert_eq!(listen(&hub, ours, &page).news().0, anything());
    }

    #[test]
    fn after_the_hub_was_cut_off_everybody_has_to_look_once() {
        let (hub, ours) = (Arc::<Hub>::default(), ticket());
        let page = hub.position();
        let listener = listen(&hub, ours, &page);
        hub.may_have_missed();
        assert_eq!(listener.news().0, anything());
        assert_eq!(listener.news().0, News::default());
        assert_eq!(listen(&hub, ours, &page).news().0, anything());
        assert_eq!(listen(&hub, ours, &hub.position()).news().0, News::default());
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_what_it_follows_alone() {
        let (hub, ours) = (Arc::<Hub>::default(), ticket());
        let listener = listen(&hub, ours, &hub.position());
        hub.tell(vec![change(ticket(), 1)]);
        let woken = async |listener: &Listener| {
            let moment = std::time::Duration::from_millis(20);
            tokio::time::timeout(moment, listener.woken()).await.is_ok()
        };
        assert!(!woken(&listener).await);
        hub.tell(vec![change(ours, 1)]);
        assert!(woken(&listener).await);
    }

    #[test]
    fn a_slow_reader_finds_the_newest_version_alone_and_unknown_ones_outweigh() {
        let (hub, (ours, other)) = (Arc::<Hub>::default(), (ticket(), ticket()));
        let both = BTreeSet::from([ours, other]);
        let listener = hub.listen(both, Some(&hub.position()));
        for version in (1..1000).rev() {
            hub.tell(vec![change(ours, version), change(other, version)]);
        }
        hub.tell(vec![Change { topic: other, version: None }, change(other, 5)]);
        assert_eq!(listener.news().0, changed([(ours, Some(999)), (other, None)]));
    }

    #[test]
    fn of_a_listener_that_has_gone_nothing_stays() {
        let (hub, ours) = (Arc::<Hub>::default(), ticket());
        let (one, other) =
            (listen(&hub, ours, &hub.position()), listen(&hub, ours, &hub.position()));
        drop(one);
        hub.tell(vec![change(ours, 1)]);
        assert_eq!(other.news().0, changed([(ours, Some(1))]));
        drop(other);
        let state = hub.state();
        assert!(state.waiting.is_empty() && state.listeners_of.is_empty());
    }
}
