use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::failure::QueryFailure;
use crate::runner::Outcome;

/// Computations that several callers may wait for; one per key at a time.
///
/// Bounded by what the runner admits: a computation that is refused leaves at once. Nobody joins one that began longer ago than an
/// answer is kept, since it would tell of older events than the cache may: the question is then begun anew beside it.
pub(crate) struct Flights {
    by_key: Mutex<HashMap<String, Weak<Flight>>>,
    max_age: Duration,
}

/// One computation under way. It is held by those who wait for it; when the last of them leaves, it is cancelled.
struct Flight {
    key: String,
    began: Instant,
    outcome: watch::Receiver<Option<Outcome>>,
    flights: Arc<Flights>,
    _cancel: DropGuard,
}

impl Flights {
    /// None under way; one is joined within `max_age` of its beginning.
    pub fn new(max_age: Duration) -> Self {
        Self { by_key: Mutex::default(), max_age }
    }

    /// Waits for the computation of `key`, which `start` begins unless it is under way. Dropping the future leaves; the computation
    /// goes on for those who stay. `joined` is called when it was under way.
    pub async fn join<F>(self: &Arc<Self>, key: String, start: impl FnOnce() -> F, joined: impl FnOnce()) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let flight = self.enter(key, start, joined);
        let mut outcome = flight.outcome.clone();
        let ended = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        // The sender is gone without an outcome only when the runtime stops.
        ended.unwrap_or_else(|| Err(QueryFailure::cancelled()))
    }

    fn enter<F>(self: &Arc<Self>, key: String, start: impl FnOnce() -> F, joined: impl FnOnce()) -> Arc<Flight>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let began = Instant::now();
        let mut by_key = self.lock();
        // One that is too old is let go only when the lock is free: whoever lets go of it last takes the lock.
        let _too_old = match by_key.get(&key).and_then(Weak::upgrade) {
            Some(flight) if began.saturating_duration_since(flight.began) < self.max_age => {
                drop(by_key);
                joined();
                return flight;
            }
            other => other,
        };
        let (sender, outcome) = watch::channel(None);
        let cancel = CancellationToken::new();
        let flight = Arc::new(Flight { key: key.clone(), began, outcome, flights: Arc::clone(self), _cancel: cancel.clone().drop_guard() });
        by_key.insert(key, Arc::downgrade(&flight));
        drop(by_key);
        let computation = start();
        tokio::spawn(async move {
            tokio::select! {
                ended = computation => drop(sender.send(Some(ended))),
                () = cancel.cancelled() => {}
            }
        });
        flight
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Flight>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut by_key = self.flights.lock();
        // Somebody may have begun the same question anew since the last one left.
        if by_key.get(&self.key).is_some_and(|flight| flight.strong_count() == 0) {
            by_key.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use event_store::MemoryBudget;
    use serde_json::Map;

    use super::*;
    use crate::answered::Held;
    use crate::runner::Made;

    fn flights() -> Arc<Flights> {
        Arc::new(Flights::new(Duration::from_secs(5)))
    }

    /// Counts when it is dropped.
    struct OnDrop(Arc<AtomicUsize>);

    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn join(
        flights: &Arc<Flights>,
        key: &str,
        started: &Arc<AtomicUsize>,
        dropped: &Arc<AtomicUsize>,
    ) -> impl Future<Output = Outcome> + use<> {
        let (flights, key) = (Arc::clone(flights), key.to_owned());
        let (started, on_drop) = (Arc::clone(started), OnDrop(Arc::clone(dropped)));
        async move {
            let start = move || async move {
                let _on_drop = on_drop;
                started.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                let held = Arc::new(Held::take(&MemoryBudget::new(0), 0).unwrap());
                Ok(Made { answer: Arc::new(Map::new()), held, as_of: Instant::now() })
            };
            flights.join(key, start, || {}).await
        }
    }

    #[tokio::test]
    async fn equal_questions_share_one_computation() {
        let flights = flights();
        let (started, dropped) = (Arc::default(), Arc::default());
        let (a, b, c) = tokio::join!(
            join(&flights, "k", &started, &dropped),
            join(&flights, "k", &started, &dropped),
            join(&flights, "other", &started, &dropped)
        );
        assert!(Arc::ptr_eq(&a.unwrap().answer, &b.unwrap().answer));
        c.unwrap();
        assert_eq!(started.load(Ordering::SeqCst), 2);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn who_stays_still_gets_the_answer_and_the_last_to_leave_ends_it() {
        let flights = flights();
        let (started, dropped): (Arc<AtomicUsize>, Arc<AtomicUsize>) = (Arc::default(), Arc::default());
        let first = tokio::spawn(join(&flights, "k", &started, &dropped));
        let second = tokio::spawn(join(&flights, "k", &started, &dropped));
        tokio::time::sleep(Duration::from_millis(20)).await;
        first.abort();
        second.await.unwrap().unwrap();
        assert_eq!(started.load(Ordering::SeqCst), 1);

        let before = dropped.load(Ordering::SeqCst);
        let lonely = tokio::spawn(join(&flights, "k", &started, &dropped));
        tokio::time::sleep(Duration::from_millis(20)).await;
        lonely.abort();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(started.load(Ordering::SeqCst), 2);
        assert_eq!(dropped.load(Ordering::SeqCst), before + 1, "the computation ended before its 100 ms were over");
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn one_that_is_older_than_a_kept_answer_is_not_joined() {
        let flights = Arc::new(Flights::new(Duration::from_millis(40)));
        let (started, dropped): (Arc<AtomicUsize>, Arc<AtomicUsize>) = (Arc::default(), Arc::default());
        let first = tokio::spawn(join(&flights, "k", &started, &dropped));
        tokio::time::sleep(Duration::from_millis(10)).await;
        let soon = tokio::spawn(join(&flights, "k", &started, &dropped));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let late = tokio::spawn(join(&flights, "k", &started, &dropped));
        let (first, soon, late) = tokio::join!(first, soon, late);
        let (first, soon, late) = (first.unwrap().unwrap(), soon.unwrap().unwrap(), late.unwrap().unwrap());
        assert_eq!(started.load(Ordering::SeqCst), 2);
        assert!(Arc::ptr_eq(&first.answer, &soon.answer) && !Arc::ptr_eq(&first.answer, &late.answer));
        assert!(flights.lock().is_empty());
    }
}
