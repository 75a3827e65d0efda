use std::sync::Arc;
use std::time::Duration;

use event::TimestampMs;
use prometheus::{Histogram, IntCounter, IntGauge};
use query::FailureKind;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use super::plan::{Question, QuestionKey};
use super::told::{AnswerMemory, Told};
use crate::analytics::refusal;
use crate::error::ApiError;
use crate::push::{Channel, Channels, Following};
use crate::request_id::RequestIds;
use crate::state::{ApiOptions, ApiParts};

/// While the server is busy an answer stays for so long before its tiles are told that there is no newer one.
const KEEP_WHILE_BUSY: Duration = Duration::from_secs(30);
/// One app asks at most this part of all questions, so that another always finds a place.
const PARTS_OF_APPS: usize = 4;

/// What is known of a question.
#[derive(Clone)]
pub(crate) struct QuestionState {
    pub(crate) told: Arc<Told>,
    /// When it was last found to be so.
    pub(crate) checked_ms: TimestampMs,
}

/// What is counted.
#[derive(Clone)]
pub(crate) struct QuestionMetrics {
    pub(crate) open: IntGauge,
    pub(crate) computed: IntCounter,
    pub(crate) unchanged: IntCounter,
    pub(crate) skipped_ticks: IntCounter,
    pub(crate) seconds: Histogram,
}

/// The questions of all dashboards that somebody watches: each is computed once in an interval, whoever watches, and only so many at a time.
pub(crate) struct Questions {
    parts: Arc<ApiParts>,
    request_ids: Arc<RequestIds>,
    tick: Duration,
    max_questions: usize,
    turns: Semaphore,
    memory: Arc<AnswerMemory>,
    metrics: QuestionMetrics,
    channels: Channels<QuestionKey, QuestionState>,
    tasks: TaskTracker,
}

impl Questions {
    pub(crate) fn new(
        parts: Arc<ApiParts>,
        request_ids: Arc<RequestIds>,
        options: &ApiOptions,
        memory: Arc<AnswerMemory>,
        metrics: QuestionMetrics,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            parts,
            request_ids,
            tick: options.dashboard_interval,
            max_questions: options.max_dashboard_questions,
            turns: Semaphore::new(options.max_dashboard_computations),
            memory,
            metrics,
            channels: Channels::new(),
            tasks,
        }
    }

    /// Follows a question; its computation starts with its first follower and ends with its last.
    ///
    /// # Errors
    /// 503 where too many questions are asked already.
    pub(crate) fn follow(self: &Arc<Self>, question: &Arc<Question>) -> Result<Following<QuestionState>, ApiError> {
        let (max, max_of_app) = (self.max_questions, self.max_questions.div_ceil(PARTS_OF_APPS));
        self.channels.follow(
            &question.key,
            |known| {
                let of_app = known.keys().filter(|(app, _)| *app == question.key.0).count();
                if known.len() < max && of_app < max_of_app {
                    return Ok(());
                }
                let message = format!("dashboards ask {} questions now, {of_app} of them of this app; at most {max}, {max_of_app} an app, are computed all the time: close some, or show the same range on them", known.len());
                Err(ApiError::unavailable("too_many_dashboard_questions", message))
            },
            |sender| drop(self.tasks.spawn(Arc::clone(self).feed(Arc::clone(question), sender))),
        )
    }

    async fn feed(self: Arc<Self>, question: Arc<Question>, sender: Channel<QuestionState>) {
        self.metrics.open.inc();
        let mut ticks = interval(self.tick);
        // What takes longer than a tick does not pile up.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = sender.closed() => {}
                () = self.parts.shutdown.cancelled() => break,
            }
            if self.channels.forget_when_unfollowed(&question.key, &sender) {
                break;
            }
            tokio::select! {
                () = self.step(&question, &sender) => {}
                // The computation ends with its last follower; a new one that comes in this moment gets one at once.
                () = sender.closed() => ticks.reset_immediately(),
                () = self.parts.shutdown.cancelled() => break,
            }
        }
        self.metrics.open.dec();
    }

    async fn step(&self, question: &Question, sender: &Channel<QuestionState>) {
        let Ok(_turn) = self.turns.acquire().await else { return };
        let (started, now_ms) = (Instant::now(), (self.parts.now_ms)());
        let asked = self.parts.queries.ask(&question.call, &question.app, question.request.clone(), now_ms).await;
        let took = started.elapsed();
        self.metrics.computed.inc();
        self.metrics.seconds.observe(took.as_secs_f64());
        self.metrics.skipped_ticks.inc_by((took.as_millis() / self.tick.as_millis().max(1)) as u64);
        let is_busy = asked.as_ref().is_err_and(|failure| matches!(failure.kind, FailureKind::Busy | FailureKind::Cancelled));
        let told = asked.map_err(refusal).and_then(|answered| Told::answer(&self.memory, answered, now_ms));
        let last = sender.borrow().clone();
        if is_busy && last.as_ref().is_some_and(|last| now_ms - last.checked_ms < KEEP_WHILE_BUSY.as_millis() as i64) {
            return;
        }
        let told = told.unwrap_or_else(|error| Told::error(&error, &self.named(&error), now_ms));
        let told = match last {
            Some(last) if last.told.is_same(&told) => {
                self.metrics.unchanged.inc();
                last.told
            }
            _ => Arc::new(told),
        };
        sender.send_replace(Some(QuestionState { told, checked_ms: now_ms }));
    }

    /// The id of a failed computation, in the log where the failure is ours.
    fn named(&self, error: &ApiError) -> String {
        let request_id = self.request_ids.next();
        if error.status.is_server_error() {
            tracing::warn!(%request_id, code = %error.code, message = error.message, "a dashboard's question failed");
        }
        request_id
    }
}
