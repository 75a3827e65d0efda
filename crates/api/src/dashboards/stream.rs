use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use futures::stream::unfold;
use prometheus::IntCounter;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::boards::{BoardKey, BoardState, Sent, Watching, end_event};
use super::plan::{BoardParams, Scope};
use crate::access::Reader;
use crate::error::{ApiError, ErrorBody};
use crate::openapi::saved_examples as examples;
use crate::request::query_string;
use crate::saved_questions::check_scope;
use crate::state::ApiState;

/// Events that wait for one client; the next one waits for the client to take them.
const MAX_WAITING_EVENTS: usize = 4;

/// A dashboard's answers, pushed as server-sent events.
///
/// The events are `dashboard` (the definition and the range and filters that hold: first, and whenever it was changed), `tile` (an answer or an error, with the places
/// of the tiles that show it), `tick` (since when the oldest answer is known to hold) and `end` (why there will be no more). Every distinct question is computed once in
/// an interval, however many watch; what did not change is not sent again.
#[utoipa::path(get, path = "/api/v1/apps/{app_id}/dashboards/{dashboard_id}/stream", tag = "dashboards",
    params(("app_id" = String, Path), ("dashboard_id" = String, Path), BoardParams),
    responses((status = 200, body = Value, content_type = "text/event-stream", example = json!(examples::dashboard_event())),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody)),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn stream(
    State(state): State<ApiState>,
    reader: Reader,
    Path(in_path): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked = Scope::asked(query_string::<BoardParams>(&uri)?)?;
    let key = BoardKey::new(reader.app_id().clone(), in_path.1, &asked);
    let plan = state.boards.plan(&key, &asked).await?;
    check_scope(&state, reader.app(), &asked).await?;
    let watching = state.boards.watch(&key, &asked, plan)?;
    let (sender, receiver) = channel(MAX_WAITING_EVENTS);
    let watcher = Watcher {
        seen: Seen::default(),
        events: sender,
        access_check_interval: state.options.dashboard_interval,
        stall_limit: state.options.dashboard_stall_limit,
        stalled: state.metrics.stalled_watchers.clone(),
        shutdown: state.parts.shutdown.clone(),
    };
    state.tasks.spawn(watcher.watch(watching, reader, state.clone()));
    let events = unfold(receiver, |mut receiver| async { Some((Ok::<Bytes, Infallible>(receiver.recv().await?), receiver)) });
    // Nginx would otherwise collect the stream until its buffer is full.
    Ok(([(header::CONTENT_TYPE.as_str(), "text/event-stream"), ("x-accel-buffering", "no")], Body::from_stream(events)).into_response())
}

/// What one client has got.
#[derive(Default)]
struct Seen {
    board: Option<u64>,
    tiles: Vec<Option<u64>>,
    tick: u64,
}

impl Seen {
    /// What is new in a state, in the order in which it is to be sent.
    fn news(&mut self, state: &BoardState) -> Vec<Bytes> {
        let mut news = Vec::new();
        if self.board != Some(state.board.number) {
            self.board = Some(state.board.number);
            self.tiles = vec![None; state.tiles.len()];
            news.push(state.board.bytes.clone());
        }
        self.tiles.resize(state.tiles.len(), None);
        for (seen, sent) in self.tiles.iter_mut().zip(&state.tiles) {
            let Some(Sent { number, bytes }) = sent.as_ref().filter(|sent| *seen != Some(sent.number)) else { continue };
            *seen = Some(*number);
            news.push(bytes.clone());
        }
        if self.tick != state.tick.number {
            self.tick = state.tick.number;
            news.push(state.tick.bytes.clone());
        }
        news.extend(state.end.as_ref().map(|end| end.bytes.clone()));
        news
    }
}

/// Tells one client what is new. It holds no answers itself: what waits for a slow client is shared with all the others.
struct Watcher {
    seen: Seen,
    events: Sender<Bytes>,
    access_check_interval: Duration,
    stall_limit: Duration,
    stalled: IntCounter,
    shutdown: CancellationToken,
}

impl Watcher {
    async fn watch(mut self, mut watching: Watching, reader: Reader, state: ApiState) {
        let mut access = state.access_changes();
        let mut access_checks = interval(self.access_check_interval);
        access_checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        access_checks.reset();
        let states = &mut watching.states;
        loop {
            let newest = states.borrow_and_update().clone();
            if let Some(newest) = newest
                && (!self.tell(&newest).await || newest.end.is_some())
            {
                return;
            }
            tokio::select! {
                // Before the next state: what is not allowed any more is not told first.
                biased;
                Ok(()) = access.changed() => {}
                _ = access_checks.tick() => {}
                changed = states.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                () = self.events.closed() => return,
                () = self.shutdown.cancelled() => {
                    self.say(end_event("server_stopping", "The server stops.").bytes).await;
                    return;
                }
            }
            if !reader.still_allowed(&state).await {
                self.say(end_event("access_ended", "The key of this page was revoked, or the login ended.").bytes).await;
                return;
            }
        }
    }

    async fn tell(&mut self, state: &Arc<BoardState>) -> bool {
        for event in self.seen.news(state) {
            if !self.say(event).await {
                return false;
            }
        }
        true
    }

    /// False where the client is gone, or takes nothing any more.
    async fn say(&self, event: Bytes) -> bool {
        let taken = tokio::select! {
            taken = timeout(self.stall_limit, self.events.send(event)) => taken,
            // The server does not wait for those who take nothing.
            () = self.shutdown.cancelled(), if self.events.capacity() == 0 => return false,
        };
        if taken.is_err() {
            self.stalled.inc();
        }
        matches!(taken, Ok(Ok(())))
    }
}
