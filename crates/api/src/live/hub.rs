use std::sync::Arc;
use std::time::Duration;

use event::{AppId, TimestampMs};
use prometheus::IntGauge;
use realtime_store::{RealtimeError, Resolution};
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::params::LiveQuestion;
use super::view::{CellRange, LiveAnswer, Viewer, WINDOW_MS};
use crate::error::ApiError;
use crate::push::{Channel, Channels, Following, StreamPlace, StreamPlaces};
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

/// One computation per app and question, however many follow it. A client that takes nothing at all is closed by the listener's TCP user timeout.
pub(crate) struct LiveHub {
    parts: Arc<ApiParts>,
    live_interval: Duration,
    places: Arc<StreamPlaces>,
    open_streams: IntGauge,
    channels: Channels<ChannelKey, Arc<str>>,
    tasks: TaskTracker,
}

type ChannelKey = (AppId, LiveQuestion);

impl LiveHub {
    pub(crate) fn new(parts: Arc<ApiParts>, options: &ApiOptions, places: Arc<StreamPlaces>, open_streams: IntGauge) -> Self {
        let (live_interval, channels, tasks) = (options.live_interval, Channels::new(), TaskTracker::new());
        Self { parts, live_interval, places, open_streams, channels, tasks }
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
        let place = self.places.take(&self.open_streams, "ask /realtime instead")?;
        let key = (app, question);
        let begin = |sender| drop(self.tasks.spawn(Arc::clone(&self).feed(key.clone(), sender)));
        let frames = self.channels.follow(&key, |_| Ok(()), begin)?;
        Ok(Subscription { frames, _place: place })
    }

    async fn feed(self: Arc<Self>, key: ChannelKey, sender: Channel<Arc<str>>) {
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
            if self.channels.forget_when_unfollowed(&key, &sender) {
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
        self.channels.forget(&key);
    }

    pub(crate) async fn closed(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A follower's place.
pub(crate) struct Subscription {
    frames: Following<Arc<str>>,
    _place: StreamPlace,
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
