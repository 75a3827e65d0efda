use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use event::{AppId, TimestampMs};
use futures::future::select_all;
use prometheus::IntGauge;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use super::plan::{Asked, Plan, Scope};
use super::questions::{QuestionState, Questions};
use super::told::Told;
use crate::error::ApiError;
use crate::push::{Channel, Channels, Following, StreamPlace, StreamPlaces};
use crate::saved::on_a_thread;
use crate::saved_questions::plan_of_dashboard;
use crate::state::{ApiOptions, ApiParts};
use crate::time::iso_utc;

/// Answers that come within this time go out together.
const COLLECT: Duration = Duration::from_millis(50);

/// One server-sent event, ready to be written to all who watch.
#[derive(Clone)]
pub(crate) struct Sent {
    /// Different for whatever says something different.
    pub(crate) number: u64,
    pub(crate) bytes: Bytes,
}

impl Sent {
    pub(crate) fn new(number: u64, name: &str, data: &str) -> Self {
        // JSON has no line breaks of its own, which would end the data.
        Self { number, bytes: Bytes::from(format!("event: {name}\ndata: {data}\n\n")) }
    }
}

/// A dashboard as it is now.
pub(crate) struct BoardState {
    /// The definition, and the range and filters that hold.
    pub(crate) board: Sent,
    /// What is known of each of its questions.
    pub(crate) tiles: Vec<Option<Sent>>,
    /// When the oldest answer was last found to be so.
    pub(crate) tick: Sent,
    /// Why there will be no more.
    pub(crate) end: Option<Sent>,
}

/// Which dashboard, and under which range and filters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BoardKey {
    pub(crate) app: AppId,
    pub(crate) dashboard: String,
    /// The scope that was asked for, in one text.
    asked: String,
}

impl BoardKey {
    pub(crate) fn new(app: AppId, dashboard: String, asked: &Scope) -> Self {
        let asked = if asked.is_empty() { String::new() } else { format!("{asked:?}") };
        Self { app, dashboard, asked }
    }
}

/// The dashboards that somebody watches; all who watch one under one range and filters follow one state.
pub(crate) struct Boards {
    parts: Arc<ApiParts>,
    questions: Arc<Questions>,
    tick: Duration,
    places: Arc<StreamPlaces>,
    open_streams: IntGauge,
    channels: Channels<BoardKey, Arc<BoardState>>,
    /// Told when somebody has saved or deleted a dashboard here.
    changes: watch::Sender<()>,
    tasks: TaskTracker,
}

/// A place among those who watch.
pub(crate) struct Watching {
    pub(crate) states: Following<Arc<BoardState>>,
    _place: StreamPlace,
}

/// A question of a dashboard, what follows it, and the event that was made of its newest state.
struct Followed {
    asked: Asked,
    state: Result<Following<QuestionState>, ApiError>,
    sent: Option<Sent>,
    checked_ms: Option<TimestampMs>,
}

impl Followed {
    fn new(questions: &Arc<Questions>, asked: &Asked) -> Self {
        let state = asked.question.clone().and_then(|question| questions.follow(&question));
        Self { asked: asked.clone(), state, sent: None, checked_ms: None }
    }

    /// Where its question found no place before, it may find one now.
    fn follow_again(&mut self, questions: &Arc<Questions>) {
        if let (Err(_), Ok(question)) = (&self.state, &self.asked.question)
            && let Ok(state) = questions.follow(question)
        {
            self.state = Ok(state);
        }
    }

    fn refresh(&mut self, now_ms: TimestampMs) {
        let told = match &mut self.state {
            Ok(following) => {
                let Some(state) = following.borrow_and_update().clone() else { return };
                self.checked_ms = Some(state.checked_ms);
                state.told
            }
            // It stays as it is as long as the plan does.
            Err(_) if self.sent.is_some() => return,
            Err(error) => Arc::new(Told::error(error, "", now_ms)),
        };
        if self.sent.as_ref().is_none_or(|sent| sent.number != told.number) {
            let data = format!("{{\"tiles\":{},{}}}", json!(self.asked.tiles), told.fields);
            self.sent = Some(Sent::new(told.number, "tile", &data));
        }
    }
}

/// What a dashboard asks, and what is known of it.
struct Watched {
    plan: Plan,
    followed: Vec<Followed>,
    version: u64,
    board: Sent,
}

impl Watched {
    fn new(plan: Plan, questions: &Arc<Questions>) -> Self {
        let followed = plan.asked.iter().map(|asked| Followed::new(questions, asked)).collect();
        let board = Sent::new(1, "dashboard", &plan.told.to_string());
        Self { plan, followed, version: 1, board }
    }

    /// The same, told as what its version is.
    fn told(mut self) -> Self {
        self.board.number = self.version;
        self
    }
}

impl Boards {
    pub(crate) fn new(
        parts: Arc<ApiParts>,
        questions: Arc<Questions>,
        options: &ApiOptions,
        places: Arc<StreamPlaces>,
        open_streams: IntGauge,
        tasks: TaskTracker,
    ) -> Self {
        let (channels, changes) = (Channels::new(), watch::Sender::new(()));
        Self { parts, questions, tick: options.dashboard_interval, places, open_streams, channels, changes, tasks }
    }

    /// Watches a dashboard; `plan` is what it asks now.
    ///
    /// # Errors
    /// 503 when all places are taken.
    pub(crate) fn watch(self: &Arc<Self>, key: &BoardKey, asked: &Scope, plan: Plan) -> Result<Watching, ApiError> {
        let place = self.places.take(&self.open_streams, "close some dashboards and live pages")?;
        let begin = |sender| drop(self.tasks.spawn(Arc::clone(self).feed(key.clone(), asked.clone(), plan, sender)));
        let states = self.channels.follow(key, |_| Ok(()), begin)?;
        Ok(Watching { states, _place: place })
    }

    /// Those who watch see at once what somebody has saved; what another process saves, they see with the next tick.
    pub(crate) fn look_again(&self) {
        self.changes.send_replace(());
    }

    /// What a dashboard asks now, under a scope that was asked for.
    ///
    /// # Errors
    /// There is no such dashboard; the definitions cannot be read now.
    pub(crate) async fn plan(&self, key: &BoardKey, asked: &Scope) -> Result<Plan, ApiError> {
        let (parts, key, asked) = (Arc::clone(&self.parts), key.clone(), asked.clone());
        on_a_thread(move || plan_of_dashboard(&*parts.definitions, &*parts.metadata, &key.app, &key.dashboard, &asked)).await
    }

    async fn feed(self: Arc<Self>, key: BoardKey, asked: Scope, plan: Plan, sender: Channel<Arc<BoardState>>) {
        let mut checks = interval(self.tick);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        checks.reset();
        let mut changes = self.changes.subscribe();
        let mut ticks = 1;
        let mut watched = Watched::new(plan, &self.questions);
        loop {
            sender.send_replace(Some(Arc::new(self.state(&mut watched, ticks, None))));
            let looks_again = tokio::select! {
                () = any_changed(&mut watched.followed) => {
                    tokio::time::sleep(COLLECT).await;
                    false
                }
                _ = checks.tick() => {
                    ticks += 1;
                    true
                }
                changed = changes.changed() => changed.is_ok(),
                () = sender.closed() => false,
                () = self.parts.shutdown.cancelled() => return,
            };
            if self.channels.forget_when_unfollowed(&key, &sender) {
                return;
            }
            if looks_again && !self.refresh(&key, &asked, &mut watched).await {
                let end = end_event("dashboard_deleted", "This dashboard was deleted.");
                sender.send_replace(Some(Arc::new(self.state(&mut watched, ticks, Some(end)))));
                self.channels.forget(&key);
                return;
            }
        }
    }

    /// Follows what the dashboard asks now; false where there is none any more.
    async fn refresh(&self, key: &BoardKey, asked: &Scope, watched: &mut Watched) -> bool {
        match self.plan(key, asked).await {
            Ok(new) if new.is_same(&watched.plan) => {
                watched.followed.iter_mut().for_each(|followed| followed.follow_again(&self.questions));
            }
            Ok(new) => {
                let next = Watched { version: watched.version + 1, ..Watched::new(new, &self.questions) };
                // The old one is let go of after: what both ask goes on without a break.
                *watched = next.told();
            }
            Err(error) if error.status == StatusCode::NOT_FOUND => return false,
            // What cannot be read now is what it was.
            Err(error) => tracing::warn!(app = %key.app, error = error.message, "a watched dashboard could not be read"),
        }
        true
    }

    fn state(&self, watched: &mut Watched, ticks: u64, end: Option<Sent>) -> BoardState {
        let now_ms = (self.parts.now_ms)();
        let Watched { followed, board, .. } = watched;
        followed.iter_mut().for_each(|followed| followed.refresh(now_ms));
        let oldest_ms = followed.iter().filter_map(|followed| followed.checked_ms).min().unwrap_or(now_ms);
        let tick = Sent::new(ticks, "tick", &json!({ "as_of": iso_utc(oldest_ms) }).to_string());
        BoardState { board: board.clone(), tiles: followed.iter().map(|followed| followed.sent.clone()).collect(), tick, end }
    }
}

/// The last event of a stream.
pub(crate) fn end_event(reason: &str, message: &str) -> Sent {
    Sent::new(0, "end", &json!({ "reason": reason, "message": message }).to_string())
}

async fn any_changed(followed: &mut [Followed]) {
    let following = followed.iter_mut().filter_map(|followed| followed.state.as_mut().ok());
    let changes: Vec<_> = following.map(|states| Box::pin(states.changed())).collect();
    if changes.is_empty() {
        return std::future::pending().await;
    }
    // A computation ends only with the server, whose end is waited for beside this.
    if select_all(changes).await.0.is_err() {
        std::future::pending::<()>().await;
    }
}
