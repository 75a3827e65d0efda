use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::request::Parts;
use event::TimestampMs;
use event_store::{Ledger, PersonDeletions};
use metadata_store::{AccountStore, Definitions, MetadataError, MetadataStore, PasswordHash, TokenHash};
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use query::QueryService;
use realtime_store::RealtimeStore;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::access::ReadKeys;
use crate::error::ApiError;
use crate::export::ExportMetrics;
use crate::live::LiveHub;
use crate::login::Attempts;
use crate::login::account::refused;
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
    /// Live streams open at once, of all apps together; one more is answered 503.
    pub max_live_streams: usize,
    /// Shortest time between two pushes on a live stream.
    pub live_interval: Duration,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self { max_live_streams: 10_000, live_interval: Duration::from_millis(250) }
    }
}

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) parts: Arc<ApiParts>,
    pub(crate) live: Arc<LiveHub>,
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
        let live = Arc::new(LiveHub::new(Arc::clone(&parts), options, metrics.live_streams.clone()));
        let request_ids = Arc::new(RequestIds::new(parts.process));
        Ok(Self { parts, live, metrics, request_ids, attempts: Arc::new(Attempts::new()), access: watch::Sender::new(()) })
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
    }
}

pub(crate) struct ApiMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    live_streams: IntGauge,
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
        Ok(Self { requests, seconds, live_streams, exports })
    }

    /// `route` is the pattern, never the path, so that the number of series is bounded.
    pub(crate) fn observe(&self, route: &str, status: StatusCode, elapsed: Duration) {
        self.requests.with_label_values(&[route, status.as_str()]).inc();
        self.seconds.with_label_values(&[route]).observe(elapsed.as_secs_f64());
    }
}
