use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::cache::Answer;
use crate::failure::QueryFailure;

/// How a computation ended, for everyone who waited for it.
pub(crate) type Outcome = Result<Answer, QueryFailure>;

/// Computations that several callers may wait for; one per key at a time.
///
/// Bounded by what the runner admits: a computation that is refused leaves at once.
#[derive(Default)]
pub(crate) struct Flights {
    by_key: Mutex<HashMap<String, Weak<Flight>>>,
}

/// One computation under way. It is held by those who wait for it; when the last of them leaves, it is cancelled.
struct Flight {
    key: String,
    outcome: watch::Receiver<Option<Outcome>>,
    flights: Arc<Flights>,
    _cancel: DropGuard,
}

impl Flights {
    /// Waits for the computation of `key`, which `start` begins unless it is under way. Dropping the future leaves; the computation
    /// goes on for those who stay.
    pub async fn join<F>(self: &Arc<Self>, key: String, start: impl FnOnce() -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let flight = self.enter(key, start);
        let mut outcome = flight.outcome.clone();
        let ended = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        // The sender is gone without an outcome only when the runtime stops.
        ended.unwrap_or_else(|| Err(QueryFailure::cancelled()))
    }

    fn enter<F>(self: &Arc<Self>, key: String, start: impl FnOnce() -> F) -> Arc<Flight>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut by_key = self.lock();
        if let Some(flight) = by_key.get(&key).and_then(Weak::upgrade) {
            return flight;
        }
        let (sender, outcome) = watch::channel(None);
        let cancel = CancellationToken::new();
        let flight = Arc::new(Flight { key: key.clone(), outcome, flights: Arc::clone(self), _cancel: cancel.clone().drop_guard() });
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

    use serde_json::Map;

    use super::*;

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
                Ok(Arc::new(Map::new()))
            };
            flights.join(key, start).await
        }
    }

    #[tokio::test]
    async fn equal_questions_share_one_computation() {
        let flights = Arc::new(Flights::default());
        let (started, dropped) = (Arc::default(), Arc::default());
        let (a, b, c) = tokio::join!(
            join(&flights, "k", &started, &dropped),
            join(&flights, "k", &started, &dropped),
            join(&flights, "other", &started, &dropped)
        );
        assert!(Arc::ptr_eq(&a.unwrap(), &b.unwrap()));
        c.unwrap();
        assert_eq!(started.load(Ordering::SeqCst), 2);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn who_stays_still_gets_the_answer_and_the_last_to_leave_ends_it() {
        let flights = Arc::new(Flights::default());
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
}
