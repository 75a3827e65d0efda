use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::request::Parts;
use event::TimestampMs;
use event_store::{Ledger, PersonDeletions};
use metadata_store::{AccountStore, Definitions, MetadataError, MetadataStore, PasswordHash, TokenHash};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use query::QueryService;
use realtime_store::RealtimeStore;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::ReadKeys;
use crate::dashboards::{AnswerMemory, Boards, QuestionMetrics, Questions};
use crate::error::ApiError;
use crate::export::ExportMetrics;
use crate::live::LiveHub;
use crate::login::Attempts;
use crate::login::account::refused;
use crate::push::StreamPlaces;
use crate::request_id::RequestIds;
use crate::saved::on_a_thread;

/// What the API is made of; the server puts it together.
pub struct ApiParts {
    /// Answers questions.
    pub queries: Arc<QueryService>,
    /// Live windows.
    pub realtime: Arc<dyn RealtimeStore>,
    /// Accounts of ingestion.
    pub ledger: Arc<dyn Ledger>,
    /// Deletes persons.
    pub deletions: Arc<dyn PersonDeletions>,
    /// Apps and their settings.
    pub metadata: Arc<dyn MetadataStore>,
    /// What people saved in their apps.
    pub definitions: Arc<dyn Definitions>,
    /// Whom keys belong to.
    pub keys: Arc<dyn ReadKeys>,
    /// Who logs in, with which roles.
    pub accounts: Arc<dyn AccountStore>,
    /// What the token of the link for the first account must match; `None` where no link was given out.
    pub set_up: Option<TokenHash>,
    /// Where a request comes from, proxies that are trusted looked through.
    pub client_address: ClientAddress,
    /// The clock, milliseconds since 1970.
    pub now_ms: fn() -> TimestampMs,
    /// A random number of this process, the first part of every request id.
    pub process: u32,
    /// Ends live streams when cancelled, so that the server can stop.
    pub shutdown: CancellationToken,
}

/// Tells where a request comes from, `None` where that is not known.
pub type ClientAddress = Arc<dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync>;

/// Bounds of the API.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// Streams open at once, of live numbers and of dashboards, of all apps together; one more is answered 503.
    pub max_live_streams: usize,
    /// Shortest time between two pushes on a live stream.
    pub live_interval: Duration,
    /// Time from one computation of a dashboard's question to the next.
    pub dashboard_interval: Duration,
    /// Distinct questions of all dashboards that are watched; an app has a quarter of them at most, and a tile beyond is told so.
    pub max_dashboard_questions: usize,
    /// Questions of dashboards that are computed at the same time; ordinary questions have the other turns.
    pub max_dashboard_computations: usize,
    /// Memory of the answers kept for those who watch.
    pub dashboard_answer_bytes: usize,
    /// One who watches and takes nothing for so long is let go.
    pub dashboard_stall_limit: Duration,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            max_live_streams: 10_000,
            live_interval: Duration::from_millis(250),
            dashboard_interval: Duration::from_secs(4),
            max_dashboard_questions: 2_000,
            max_dashboard_computations: 2,
            dashboard_answer_bytes: 128 << 20,
            dashboard_stall_limit: Duration::from_secs(20),
        }
    }
}

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) parts: Arc<ApiParts>,
    pub(crate) options: Arc<ApiOptions>,
    pub(crate) live: Arc<LiveHub>,
    pub(crate) boards: Arc<Boards>,
    /// What goes on behind dashboards that are watched.
    pub(crate) tasks: TaskTracker,
    pub(crate) metrics: Arc<ApiMetrics>,
    pub(crate) request_ids: Arc<RequestIds>,
    pub(crate) attempts: Arc<Attempts>,
    /// Changes whenever somebody may do less than before.
    access: watch::Sender<()>,
}

impl ApiState {
    /// Puts the API together and registers its metrics.
    ///
    /// # Errors
    /// When `registry` already has metrics of these names.
    pub fn new(parts: ApiParts, options: &ApiOptions, registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Arc::new(ApiMetrics::register(registry)?);
        let parts = Arc::new(parts);
        let places = Arc::new(StreamPlaces::new(options.max_live_streams));
        let live = Arc::new(LiveHub::new(Arc::clone(&parts), options, Arc::clone(&places), metrics.live_streams.clone()));
        let request_ids = Arc::new(RequestIds::new(parts.process));
        let tasks = TaskTracker::new();
        let memory = AnswerMemory::new(options.dashboard_answer_bytes, metrics.dashboard_bytes.clone());
        let questions = metrics.dashboard_questions.clone();
        let questions = Questions::new(Arc::clone(&parts), Arc::clone(&request_ids), options, memory, questions, tasks.clone());
        let open_streams = metrics.dashboard_streams.clone();
        let boards = Arc::new(Boards::new(Arc::clone(&parts), Arc::new(questions), options, places, open_streams, tasks.clone()));
        let attempts = Arc::new(Attempts::new());
        let access = watch::Sender::new(());
        Ok(Self { parts, options: Arc::new(options.clone()), live, boards, tasks, metrics, request_ids, attempts, access })
    }

    /// Asks or changes accounts, on a thread made for it.
    pub(crate) async fn on_accounts<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn AccountStore, TimestampMs) -> Result<T, MetadataError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let parts = Arc::clone(&self.parts);
        on_a_thread(move || work(parts.accounts.as_ref(), (parts.now_ms)()).map_err(refused)).await
    }

    /// Asks or changes apps and keys, on a thread made for it.
    pub(crate) async fn on_apps<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn MetadataStore, TimestampMs) -> Result<T, MetadataError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let parts = Arc::clone(&self.parts);
        on_a_thread(move || work(parts.metadata.as_ref(), (parts.now_ms)()).map_err(refused)).await
    }

    /// Hashes a password that was checked.
    pub(crate) async fn hash_password(&self, password: String) -> Result<PasswordHash, ApiError> {
        self.attempts.hashing(move || PasswordHash::of(&password)).await?.map_err(|error| {
            tracing::error!(error, "a password could not be hashed");
            ApiError::internal()
        })
    }

    /// Somebody may do less from now on: live streams ask whether theirs is still allowed.
    pub(crate) fn access_changed(&self) {
        self.access.send_replace(());
    }

    /// Keys or settings changed: nothing that was remembered of them is believed any more.
    pub(crate) fn keys_changed(&self) {
        self.parts.keys.forget();
        self.access_changed();
    }

    /// Follows [`ApiState::access_changed`].
    pub(crate) fn access_changes(&self) -> watch::Receiver<()> {
        self.access.subscribe()
    }

    /// Resolves when the tasks behind live streams have ended, some time after `shutdown` was cancelled.
    pub async fn closed(&self) {
        self.live.closed().await;
        self.tasks.close();
        self.tasks.wait().await;
    }
}

pub(crate) struct ApiMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    live_streams: IntGauge,
    dashboard_streams: IntGauge,
    dashboard_bytes: IntGauge,
    dashboard_questions: QuestionMetrics,
    pub(crate) stalled_watchers: IntCounter,
    pub(crate) exports: ExportMetrics,
}

impl ApiMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(Opts::new("throng_api_requests_total", "Requests answered by the API"), &["route", "status"])?;
        let seconds = HistogramOpts::new("throng_api_request_seconds", "Time from request to the first byte of the answer")
            .buckets(vec![0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        let seconds = HistogramVec::new(seconds, &["route"])?;
        let live_streams = IntGauge::new("throng_api_live_streams", "Live streams open now")?;
        let exports = ExportMetrics {
            running: IntGauge::new("throng_api_exports", "Exports under way now")?,
            bytes: IntCounter::new("throng_api_exported_bytes_total", "Bytes of files handed to clients")?,
        };
        registry.register(Box::new(exports.running.clone()))?;
        registry.register(Box::new(exports.bytes.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(live_streams.clone()))?;
        let gauge = |name: &str, help: &str| registered(registry, IntGauge::new(name, help)?);
        let counter = |name: &str, help: &str| registered(registry, IntCounter::new(name, help)?);
        Ok(Self {
            requests,
            seconds,
            live_streams,
            dashboard_streams: gauge("throng_api_dashboard_streams", "Dashboards watched now, each as often as it is")?,
            dashboard_bytes: gauge("throng_api_dashboard_answer_bytes", "Memory of answers kept for those who watch dashboards")?,
            dashboard_questions: QuestionMetrics {
                open: gauge("throng_api_dashboard_questions", "Distinct questions of watched dashboards")?,
                computed: counter("throng_api_dashboard_computations_total", "Questions of dashboards computed")?,
                unchanged: counter("throng_api_dashboard_unchanged_total", "Computations that said what was known")?,
                skipped_ticks: counter(
                    "throng_api_dashboard_skipped_ticks_total",
                    "Times a question was not computed because it still was",
                )?,
                seconds: registered(registry, Histogram::with_opts(dashboard_seconds())?)?,
            },
            stalled_watchers: counter("throng_api_dashboard_stalled_total", "Watchers let go because they took nothing")?,
            exports,
        })
    }

    /// `route` is the pattern, never the path, so that the number of series is bounded.
    pub(crate) fn observe(&self, route: &str, status: StatusCode, elapsed: Duration) {
        self.requests.with_label_values(&[route, status.as_str()]).inc();
        self.seconds.with_label_values(&[route]).observe(elapsed.as_secs_f64());
    }
}

fn registered<M: prometheus::core::Collector + Clone + 'static>(registry: &Registry, metric: M) -> Result<M, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn dashboard_seconds() -> HistogramOpts {
    HistogramOpts::new(
        "throng_api_dashboard_computation_seconds",
        "Time of one computation of a dashboard's question, its wait for a turn among queries included",
    )
    .buckets(vec![0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}
