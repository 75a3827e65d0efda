mod hub;
mod params;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use futures::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

use crate::access::Reader;
use crate::error::ApiError;
use crate::request::query_string;
use crate::state::ApiState;

pub(crate) use hub::LiveHub;
use hub::Subscription;
use params::LiveParams;
use view::LiveAnswer;

/// Keeps proxies from closing a quiet stream.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What another process has taken away, a key or a role, ends its streams after this long at the latest.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// The last minutes as they are now, from 5-second windows.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/realtime", tag = "live", params(("app_id" = String, Path), LiveParams),
    responses((status = 200, body = LiveAnswer)), security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn realtime(State(state): State<ApiState>, reader: Reader, uri: Uri) -> Result<Response, ApiError> {
    let question = query_string::<LiveParams>(&uri)?.check()?;
    let view = state.live.compute(reader.app_id(), &question).await.map_err(|error| {
        tracing::error!(%error, "live windows could not be read");
        ApiError::unavailable("live_unavailable", error.to_string())
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], view.json.to_string()).into_response())
}

/// The last minutes, pushed as server-sent events named `live` whenever they change, at most every 250 ms.
///
/// A client that falls behind gets the newest state, not those it missed. Browsers read this with `fetch`, since a key has no place in a URL.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/realtime/stream", tag = "live", params(("app_id" = String, Path), LiveParams),
    responses((status = 200, body = LiveAnswer, content_type = "text/event-stream")), security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn realtime_stream(State(state): State<ApiState>, reader: Reader, uri: Uri) -> Result<Response, ApiError> {
    let question = query_string::<LiveParams>(&uri)?.check()?;
    let subscription = Arc::clone(&state.live).subscribe(reader.app_id().clone(), question)?;
    let access = state.access_changes();
    let follower = Follower { subscription, reader, state, access, next_check: Instant::now() + CHECK_INTERVAL };
    let events = unfold(follower, |mut follower| async move {
        let frame = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Event::default().event("live").data(frame)), follower))
    });
    let stream = Sse::new(events.boxed()).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    // Nginx would otherwise collect the stream until its buffer is full.
    Ok(([("x-accel-buffering", "no")], stream).into_response())
}

/// One client of a live stream.
struct Follower {
    subscription: Subscription,
    reader: Reader,
    state: ApiState,
    access: watch::Receiver<()>,
    next_check: Instant,
}

impl Follower {
    /// The next state, or `None` when the stream ends: the server stops, the key was revoked, the login ended or the role was taken.
    async fn next(&mut self) -> Option<Arc<str>> {
        loop {
            tokio::select! {
                // Before the next state: what is not allowed any more is not told first.
                biased;
                Ok(()) = self.access.changed() => {}
                () = sleep_until(self.next_check) => {}
                frame = self.subscription.next() => return frame,
            }
            self.next_check = Instant::now() + CHECK_INTERVAL;
            if !self.reader.still_allowed(&self.state).await {
                return None;
            }
        }
    }
}
