use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use api::{ApiOptions, ApiParts, ApiState, Operations};
use axum::Router;
use event::AppId;
use event_log::{EventLog, FileLog, FileLogOptions};
use event_store::{EventSink, EventSource, Ledger};
use event_store_parquet::{ParquetStore, ParquetStoreOptions};
use gateway::{Gateway, GatewayOptions, GeoIp, ServeOptions, WriteKeys};
use metadata_store::{MetadataStore, SqliteMetadataStore};
use prometheus::Registry;
use query::{QueryOptions, QueryService};
use realtime_store::{MemoryOptions, MemoryRealtimeStore, RealtimeStore};
use stream::{Stream, StreamOptions, StreamParts};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::demo::{Demo, Traffic};
use super::log_metrics;
use super::shutdown::watch_signals;
use crate::app::{now_ms, open_metadata};
use crate::config::{Config, Role};
use crate::data_folder::DataFolder;
use crate::key_cache::KeyCache;
use crate::output;

const MIB: usize = 1 << 20;

/// The rooms of this process, opened and connected, not yet serving.
pub(super) struct Platform {
    config: Config,
    router: Router,
    stream: Option<Stream>,
    api: Option<ApiState>,
    metadata: Arc<SqliteMetadataStore>,
    /// Cancelled first: nothing new comes in, live streams end.
    stopping: CancellationToken,
    /// Why the process cannot do its work, for `/ready`.
    troubles: Troubles,
}

/// Reasons why this process is not ready, empty when it is.
#[derive(Clone, Default)]
struct Troubles(Arc<Mutex<Vec<String>>>);

impl Troubles {
    fn set(&self, troubles: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = troubles;
    }

    fn get(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Platform {
    /// Opens what the roles of this process need, in the order in which events flow.
    pub(super) fn open(config: &Config, folder: &DataFolder) -> Result<Self> {
        let has = |role| config.server.roles.contains(&role);
        let stopping = CancellationToken::new();
        watch_signals(stopping.clone())?;
        let registry = Registry::new();
        let backends = config.backends()?;
        let metadata = open_metadata(config, folder)?;
        let keys = Arc::new(KeyCache::new(Arc::clone(&metadata) as Arc<dyn MetadataStore>));
        let troubles = Troubles::default();
        troubles.set(vec!["starting".to_owned()]);

        let store = match has(Role::Stream) || has(Role::Query) {
            true => Some(open_store(config, folder, &metadata)?),
            false => None,
        };
        let log = match has(Role::Gateway) || has(Role::Stream) {
            true => {
                let stored = store.as_ref().map_or(0, |store| store.position());
                Some(open_log(&backends.event_log.path_or(&folder.log()), config, stored, &registry)?)
            }
            false => None,
        };
        let options = MemoryOptions { max_bytes: config.realtime_store.max_memory_mib * MIB };
        let realtime = Arc::new(MemoryRealtimeStore::new(options));

        let operations = Operations { registry: registry.clone(), not_ready: readiness(troubles.clone(), log.clone()) };
        let mut router = api::operations_router(operations);
        if let (true, Some(log)) = (has(Role::Gateway), &log) {
            let geo = config.gateway.geo_ip_file.as_deref().map(open_geo).transpose()?;
            let gateway = Gateway::new(
                Arc::clone(log) as Arc<dyn EventLog>,
                Arc::clone(&keys) as Arc<dyn WriteKeys>,
                geo,
                &registry,
                gateway_options(config)?,
            )?;
            router = router.merge(Arc::new(gateway).router());
        }
        let stream = match (has(Role::Stream), &log, &store) {
            (true, Some(log), Some(store)) => {
                let parts = StreamParts {
                    log: Arc::clone(log) as Arc<dyn EventLog>,
                    sink: Arc::clone(store) as Arc<dyn EventSink>,
                    source: Arc::clone(store) as Arc<dyn EventSource>,
                    realtime: Arc::clone(&realtime) as Arc<dyn RealtimeStore>,
                    snapshots: Some(Arc::clone(&realtime)),
                };
                Some(Stream::open(parts, &registry, stream_options(config, folder)).context("the stream cannot start")?)
            }
            _ => None,
        };
        let api = match (has(Role::Query), &store) {
            (true, Some(store)) => {
                let parts = ApiParts {
                    queries: Arc::new(QueryService::new(Arc::clone(store) as Arc<dyn EventSource>, query_options(config))),
                    realtime: realtime as Arc<dyn RealtimeStore>,
                    ledger: Arc::clone(store) as Arc<dyn Ledger>,
                    keys,
                    now_ms,
                    process: rand::random(),
                    shutdown: stopping.clone(),
                };
                Some(ApiState::new(parts, &api_options(config), &registry)?)
            }
            _ => None,
        };
        if let Some(api) = &api {
            router = router.merge(api::router(api.clone()));
        }
        Ok(Self { config: config.clone(), router, stream, api, metadata, stopping, troubles })
    }

    /// Serves until a signal or a failure, then lets everything under way come to its end, in the order in which events flow.
    pub(super) async fn serve(self, listener: TcpListener, demo: Option<Demo>) -> Result<()> {
        let Self { config, router, stream, api, metadata, stopping, troubles } = self;
        let address = listener.local_addr()?;
        let draining = CancellationToken::new();
        let caught_up = stream.as_ref().map(Stream::caught_up);
        let stream = stream.map(|stream| tokio::spawn(watched(stream, draining.clone(), stopping.clone(), troubles.clone())));
        let mut serving = tokio::spawn(gateway::serve(listener, router, stopping.clone(), serve_options(&config)));
        wait_until_caught_up(caught_up, &stopping).await;
        if !stopping.is_cancelled() {
            troubles.set(Vec::new());
            announce(address, &config, metadata.as_ref());
        }
        let traffic = demo.map(|demo| demo.start(address)).transpose()?;

        let ended_early = tokio::select! {
            () = stopping.cancelled() => None,
            ended = &mut serving => Some(ended),
        };
        traffic.iter().for_each(Traffic::stop);
        let ended = match ended_early {
            Some(ended) => ended,
            None => serving.await,
        };
        ended.context("the accept loop panicked")??;
        if let Some(api) = &api {
            api.closed().await;
        }
        // Only now has the last answered event been appended.
        draining.cancel();
        if let Some(stream) = stream {
            stream.await.context("the stream panicked")??;
        }
        if let Some(traffic) = traffic {
            tokio::task::spawn_blocking(|| traffic.join()).await?;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Readiness waits for what a crash left in the log to be visible, so that no answer after a restart says less than one before it;
/// but not for ever: events are taken all the same, and a load balancer should not turn them away for what only answers lack.
async fn wait_until_caught_up(caught_up: Option<CancellationToken>, stopping: &CancellationToken) {
    const LONGEST: Duration = Duration::from_secs(3);
    let Some(caught_up) = caught_up else { return };
    tokio::select! {
        () = caught_up.cancelled() => {}
        () = stopping.cancelled() => {}
        () = tokio::time::sleep(LONGEST) => tracing::warn!("serving while the stream catches up: answers lack the newest events for now"),
    }
}

/// Runs the stream. One that fails ends the process, so that whoever watches over it starts it again: the log keeps every answered
/// event until then, and an answer that lags behind for ever would help nobody.
async fn watched(stream: Stream, draining: CancellationToken, stopping: CancellationToken, troubles: Troubles) -> Result<()> {
    let result = stream.run(draining).await;
    if let Err(error) = &result {
        tracing::error!(%error, "the stream failed, the process ends; no answered event is lost");
        troubles.set(vec![format!("the stream failed: {error}")]);
        stopping.cancel();
    }
    result.context("the stream failed")
}

fn announce(address: SocketAddr, config: &Config, metadata: &dyn MetadataStore) {
    let data = &config.server.data;
    tracing::info!(%address, data, roles = ?config.server.roles, pid = std::process::id(), "serving");
    if metadata.apps().is_ok_and(|apps| apps.is_empty()) {
        output::note(&format!("There is no app yet. Make one with: throng app create NAME --data {data}"));
    }
}

/// `stored` is the store's position: offsets it has seen are never given again.
fn open_log(folder: &Path, config: &Config, stored: u64, registry: &Registry) -> Result<Arc<FileLog>> {
    let options = FileLogOptions {
        group_commit_wait: Duration::from_millis(config.event_log.group_commit_wait_ms),
        max_age: Duration::from_secs(config.event_log.max_age_hours * 3_600),
        max_bytes: config.event_log.max_mib * MIB as u64,
        min_end: stored,
        ..FileLogOptions::default()
    };
    let log = Arc::new(FileLog::open(folder, options)?);
    log_metrics::register(&log, registry)?;
    Ok(log)
}

/// A log that has stopped taking events makes the process not ready; questions are still answered.
fn readiness(troubles: Troubles, log: Option<Arc<FileLog>>) -> Arc<dyn Fn() -> Vec<String> + Send + Sync> {
    Arc::new(move || {
        let latched = log.as_ref().and_then(|log| log.figures().latched);
        let latched = latched.map(|reason| format!("the event log takes no more events until a restart: {reason}"));
        troubles.get().into_iter().chain(latched).collect()
    })
}

/// Opens the event store. A retention that cannot be read, or an app that is not known, keeps everything.
pub(crate) fn open_store(config: &Config, folder: &DataFolder, metadata: &Arc<SqliteMetadataStore>) -> Result<Arc<ParquetStore>> {
    /// The store refuses rows only well beyond the point where the stream flushes.
    const HEADROOM: usize = 3;
    let folder = config.backends()?.event_store.path_or(&folder.store());
    let options = ParquetStoreOptions {
        max_unflushed_rows: config.stream.max_unflushed_rows * HEADROOM,
        max_unflushed_bytes: config.stream.max_unflushed_mib * MIB * HEADROOM,
        ..ParquetStoreOptions::default()
    };
    let metadata = Arc::clone(metadata);
    let retention = move |app: &AppId| -> Option<i64> {
        let known = metadata.app(app).inspect_err(|error| tracing::warn!(%error, %app, "the raw retention of an app cannot be read"));
        known.ok().flatten().and_then(|app| app.raw_retention_ms())
    };
    let store = ParquetStore::open(&folder, options, Arc::new(retention));
    store.with_context(|| format!("the event store {} cannot be opened", folder.display()))
}

fn open_geo(file: &str) -> Result<GeoIp> {
    GeoIp::open(Path::new(file)).with_context(|| format!("gateway.geo_ip_file: {file}"))
}

fn gateway_options(config: &Config) -> Result<GatewayOptions> {
    let gateway = &config.gateway;
    let parse = |range: &String| range.parse().with_context(|| "gateway.trusted_proxies".to_owned());
    Ok(GatewayOptions {
        max_in_flight_bytes: gateway.max_in_flight_mib * MIB,
        body_timeout: Duration::from_millis(gateway.body_timeout_ms),
        trusted_proxies: gateway.trusted_proxies.iter().map(parse).collect::<Result<_>>()?,
        quota_events_per_second: gateway.quota_events_per_second,
        ..GatewayOptions::default()
    })
}

fn stream_options(config: &Config, folder: &DataFolder) -> StreamOptions {
    let stream = &config.stream;
    StreamOptions {
        publish_interval_ms: stream.publish_interval_ms,
        flush_interval_ms: stream.flush_interval_ms,
        max_unflushed_rows: stream.max_unflushed_rows,
        max_unflushed_bytes: stream.max_unflushed_mib * MIB,
        dedupe_enabled: stream.dedupe_enabled,
        drain_timeout_ms: stream.drain_timeout_ms,
        ..StreamOptions::new(folder.stream())
    }
}

fn query_options(config: &Config) -> QueryOptions {
    QueryOptions {
        cache_ttl: Duration::from_millis(config.query.cache_ttl_ms),
        time_limit: Duration::from_millis(config.query.time_limit_ms),
        memory_bytes_per_query: config.query.max_memory_mib * MIB,
        max_concurrent: config.query.max_concurrent,
        ..QueryOptions::default()
    }
}

fn api_options(config: &Config) -> ApiOptions {
    ApiOptions { max_live_streams: config.api.max_live_streams, live_interval: Duration::from_millis(config.api.live_interval_ms) }
}

fn serve_options(config: &Config) -> ServeOptions {
    ServeOptions {
        header_timeout: Duration::from_millis(config.server.header_timeout_ms),
        max_connections: config.server.max_connections,
        drain_timeout: Duration::from_millis(config.server.drain_timeout_ms),
        ..ServeOptions::default()
    }
}
