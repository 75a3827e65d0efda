use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event::{AppId, TimestampMs};
use prometheus::IntGauge;
use realtime_store::RealtimeError;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::TaskTracker;

use super::params::LiveQuestion;
use super::view::{LiveAnswer, Viewer, WINDOW_MS, cell_range};
use crate::error::ApiError;
use crate::state::{ApiOptions, ApiParts};
use crate::time::iso_utc;

/// How long a computation waits after the realtime store failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

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
        self.compute_with(&mut Viewer::default(), app, question).await
    }

    async fn compute_with(&self, viewer: &mut Viewer, app: &AppId, question: &LiveQuestion) -> Result<LiveFrame, RealtimeError> {
        let now_ms = (self.parts.now_ms)();
        let range = cell_range(question, now_ms);
        let cells = self.parts.realtime.range(app, realtime_store::Resolution::FiveSeconds, range.0, range.1).await?;
        let answer = viewer.view(&cells, question, range);
        let json = to_json(&answer, now_ms);
        Ok(LiveFrame { answer, json })
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

    async fn feed(self: Arc<Self>, (app, question): ChannelKey, sender: Channel) {
        let mut changes = self.parts.realtime.subscribe(&app);
        let mut viewer = Viewer::default();
        let mut last: Option<LiveAnswer> = None;
        loop {
            changes.mark_unchanged();
            let pause = match self.compute_with(&mut viewer, &app, &question).await {
                Ok(frame) => {
                    if last.as_ref() != Some(&frame.answer) {
                        sender.send_replace(Some(frame.json));
                        last = Some(frame.answer);
                    }
                    self.live_interval
                }
                Err(error) => {
                    tracing::warn!(%error, %app, "live windows could not be read");
                    RETRY_INTERVAL
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.parts.shutdown.cancelled() => break,
            }
            if self.forget_when_unfollowed(&app, &question, &sender) {
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
        self.channels().remove(&(app, question));
    }

    /// Under the lock that new followers take, so that none joins a computation that has just ended.
    fn forget_when_unfollowed(&self, app: &AppId, question: &LiveQuestion, sender: &Channel) -> bool {
        let mut channels = self.channels();
        let unfollowed = sender.receiver_count() == 0;
        if unfollowed {
            channels.remove(&(app.clone(), question.clone()));
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
