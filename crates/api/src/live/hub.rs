use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event::{AppId, TimestampMs};
use prometheus::IntGauge;
use realtime_store::{RealtimeError, Resolution};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::params::LiveQuestion;
use super::view::{CellRange, LiveAnswer, Viewer, WINDOW_MS};
use crate::error::ApiError;
use crate::state::{ApiOptions, ApiParts};
use crate::time::iso_utc;

/// How long a computation waits after the realtime store failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// A computation rests this many times as long as it worked, so that one app takes a tenth of a core at most.
const PAUSE_PER_WORK: u32 = 9;
/// Windows this old change rarely: they are read again only once in [`READ_ALL_INTERVAL_MS`].
const SETTLED_MS: i64 = 60 * 60_000;
const READ_ALL_INTERVAL_MS: i64 = 60_000;

/// What one channel computes, and what it remembers between two steps.
struct Computation {
    app: AppId,
    question: LiveQuestion,
    viewer: Viewer,
    all_read_ms: Option<TimestampMs>,
}

impl Computation {
    fn read_from_ms(&mut self, range: CellRange, now_ms: TimestampMs) -> TimestampMs {
        if self.all_read_ms.is_some_and(|read_ms| now_ms - read_ms < READ_ALL_INTERVAL_MS) {
            return range.from_ms.max(now_ms - SETTLED_MS);
        }
        self.all_read_ms = Some(now_ms);
        range.from_ms
    }
}

/// A computed state with its JSON, shared by all who follow it.
#[derive(Clone)]
pub(crate) struct LiveFrame {
    answer: LiveAnswer,
    pub(crate) json: Arc<str>,
}

/// One computation per app and question, however many follow it.
///
/// A follower holds a place in a `watch` channel, not a queue: it finds the newest state when it comes back for more, so a slow one
/// costs nothing and delays nobody. One that takes nothing at all is closed by the listener's TCP user timeout.
pub(crate) struct LiveHub {
    parts: Arc<ApiParts>,
    live_interval: Duration,
    places: Arc<Semaphore>,
    max_live_streams: usize,
    open_streams: IntGauge,
    channels: Mutex<HashMap<ChannelKey, Channel>>,
    tasks: TaskTracker,
}

type ChannelKey = (AppId, LiveQuestion);
type Channel = watch::Sender<Option<Arc<str>>>;

impl LiveHub {
    pub(crate) fn new(parts: Arc<ApiParts>, options: &ApiOptions, open_streams: IntGauge) -> Self {
        Self {
            parts,
            live_interval: options.live_interval,
            places: Arc::new(Semaphore::new(options.max_live_streams)),
            max_live_streams: options.max_live_streams,
            open_streams,
            channels: Mutex::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// The state of this moment.
    pub(crate) async fn compute(&self, app: &AppId, question: &LiveQuestion) -> Result<LiveFrame, RealtimeError> {
        let computation = Computation { app: app.clone(), question: question.clone(), viewer: Viewer::default(), all_read_ms: None };
        self.step(computation).await.map(|(_, frame)| frame)
    }

    /// Reads what may have changed and computes on a thread for blocking work: a busy app takes milliseconds, which events that
    /// come in at the same time should not wait for.
    async fn step(&self, mut computation: Computation) -> Result<(Computation, LiveFrame), RealtimeError> {
        let now_ms = (self.parts.now_ms)();
        let range = CellRange::of(&computation.question, now_ms);
        let read_from_ms = computation.read_from_ms(range, now_ms);
        let cells = self.parts.realtime.range(&computation.app, Resolution::FiveSeconds, read_from_ms, range.to_ms).await?;
        let computed = tokio::task::spawn_blocking(move || {
            computation.viewer.update(cells, &computation.question, range);
            let answer = computation.viewer.view(&computation.question, range);
            let json = to_json(&answer, now_ms);
            (computation, LiveFrame { answer, json })
        });
        computed.await.map_err(|error| RealtimeError::Unavailable(error.to_string()))
    }

    /// Follows a question; the computation starts with its first follower and ends with its last.
    pub(crate) fn subscribe(self: Arc<Self>, app: AppId, question: LiveQuestion) -> Result<Subscription, ApiError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let message = format!("{} live streams are open, the most this server allows: ask /realtime instead", self.max_live_streams);
            ApiError::unavailable("too_many_streams", message)
        })?;
        let key = (app, question);
        let mut channels = self.channels();
        let known = channels.get(&key).map(watch::Sender::subscribe);
        let mut frames = known.unwrap_or_else(|| {
            let (sender, frames) = watch::channel(None);
            channels.insert(key.clone(), sender.clone());
            self.tasks.spawn(Arc::clone(&self).feed(key, sender));
            frames
        });
        drop(channels);
        // A computation that is under way already has a state to begin with.
        frames.mark_changed();
        self.open_streams.inc();
        Ok(Subscription { frames, open_streams: self.open_streams.clone(), _place: place })
    }

    async fn feed(self: Arc<Self>, key: ChannelKey, sender: Channel) {
        let mut changes = self.parts.realtime.subscribe(&key.0);
        let fresh = || Computation { app: key.0.clone(), question: key.1.clone(), viewer: Viewer::default(), all_read_ms: None };
        let mut computation = fresh();
        let mut last: Option<LiveAnswer> = None;
        loop {
            changes.mark_unchanged();
            let started = Instant::now();
            let pause = match self.step(computation).await {
                Ok((next, frame)) => {
                    computation = next;
                    if last.as_ref() != Some(&frame.answer) {
                        sender.send_replace(Some(frame.json));
                        last = Some(frame.answer);
                    }
                    self.live_interval.max(started.elapsed() * PAUSE_PER_WORK)
                }
                Err(error) => {
                    tracing::warn!(%error, app = %key.0, "live windows could not be read");
                    computation = fresh();
                    RETRY_INTERVAL
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.parts.shutdown.cancelled() => break,
            }
            if self.forget_when_unfollowed(&key, &sender) {
                return;
            }
            tokio::select! {
                // The store keeps its end of the channel as long as somebody listens.
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep(until_next_window((self.parts.now_ms)())) => {}
                () = sender.closed() => {}
                () = self.parts.shutdown.cancelled() => break,
            }
        }
        self.channels().remove(&key);
    }

    /// Under the lock that new followers take, so that none joins a computation that has just ended.
    fn forget_when_unfollowed(&self, key: &ChannelKey, sender: &Channel) -> bool {
        let mut channels = self.channels();
        let unfollowed = sender.receiver_count() == 0;
        if unfollowed {
            channels.remove(key);
        }
        unfollowed
    }

    /// Insert and remove are all that happens under the lock; a panic cannot leave it half done.
    fn channels(&self) -> MutexGuard<'_, HashMap<ChannelKey, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn closed(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A follower's place.
pub(crate) struct Subscription {
    frames: watch::Receiver<Option<Arc<str>>>,
    open_streams: IntGauge,
    _place: OwnedSemaphorePermit,
}

impl Subscription {
    /// The newest state that this follower has not seen; `None` when there will be no more.
    pub(crate) async fn next(&mut self) -> Option<Arc<str>> {
        loop {
            self.frames.changed().await.ok()?;
            let newest = self.frames.borrow_and_update().clone();
            if newest.is_some() {
                return newest;
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.open_streams.dec();
    }
}

/// Windows move on even when nothing happens.
fn until_next_window(now_ms: TimestampMs) -> Duration {
    Duration::from_millis((WINDOW_MS - now_ms.rem_euclid(WINDOW_MS)).unsigned_abs())
}

/// `as_of` is no part of the answer that is compared: time alone is no change.
fn to_json(answer: &LiveAnswer, now_ms: TimestampMs) -> Arc<str> {
    #[derive(Serialize)]
    struct Stamped<'a> {
        as_of: String,
        #[serde(flatten)]
        answer: &'a LiveAnswer,
    }
    // Writing numbers and text to memory does not fail.
    serde_json::to_string(&Stamped { as_of: iso_utc(now_ms), answer }).unwrap_or_default().into()
}
