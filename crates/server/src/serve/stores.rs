use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use api::{ApiParts, ApiState, StoredCohorts, StoredMetrics};
use event::AppId;
use event_log::{EventLog, FileLog};
use event_store::{EventSink, EventSource, Ledger, PersonDeletions};
use event_store_parquet::{ParquetStore, ParquetStoreOptions};
use gateway::{Gateway, GeoIp, WriteKeys, client_address};
use metadata_store::{AccountStore, Definitions, MetadataStore, SqliteMetadataStore, TokenHash};
use prometheus::Registry;
use query::QueryService;
use realtime_store::{MemoryRealtimeStore, RealtimeStore};
use stream::{Stream, StreamParts};
use tokio_util::sync::CancellationToken;

use super::options::{
    api_options, gateway_options, log_options, query_options, realtime_options, store_options, stream_options, trusted_proxies,
};
use super::{log_metrics, query_metrics, store_metrics, tier_metrics};
use crate::app::{now_ms, open_metadata};
use crate::config::{Config, Role};
use crate::data_folder::DataFolder;
use crate::key_cache::KeyCache;
use crate::tier;

/// What lies between the rooms: opened once, shared by those who need it.
pub(super) struct Stores {
    pub(super) metadata: Arc<SqliteMetadataStore>,
    pub(super) keys: Arc<KeyCache>,
    pub(super) log: Option<Arc<FileLog>>,
    events: Option<Arc<ParquetStore>>,
    realtime: Arc<MemoryRealtimeStore>,
}

impl Stores {
    /// Opens the stores that the roles need. The event store comes before the log, which must not fall behind it.
    pub(super) fn open(config: &Config, folder: &DataFolder, registry: &Registry) -> Result<Self> {
        let has = |role| config.server.roles.contains(&role);
        let metadata = open_metadata(config, folder)?;
        let events = (has(Role::Stream) || has(Role::Query)).then(|| open_store(config, folder, &metadata)).transpose()?;
        if let Some(events) = &events {
            store_metrics::register(events, registry)?;
            tier_metrics::register(events, registry)?;
        }
        let stored = events.as_ref().map_or(0, |events| events.position());
        let log = (has(Role::Gateway) || has(Role::Stream)).then(|| open_log(config, folder, stored, registry)).transpose()?;
        let keys = Arc::new(KeyCache::new(Arc::clone(&metadata) as Arc<dyn MetadataStore>));
        Ok(Self { metadata, keys, log, events, realtime: Arc::new(MemoryRealtimeStore::new(realtime_options(config))) })
    }

    fn log(&self) -> Result<Arc<dyn EventLog>> {
        Ok(Arc::clone(self.log.as_ref().context("this role needs the event log")?) as Arc<dyn EventLog>)
    }

    fn events(&self) -> Result<&Arc<ParquetStore>> {
        self.events.as_ref().context("this role needs the event store")
    }

    pub(super) fn gateway(&self, config: &Config, folder: &DataFolder, registry: &Registry) -> Result<Gateway> {
        let geo = config.gateway.geo_ip_file.as_deref().map(open_geo).transpose()?;
        let keys = Arc::clone(&self.keys) as Arc<dyn WriteKeys>;
        Ok(Gateway::new(self.log()?, keys, geo, registry, gateway_options(config, folder)?)?)
    }

    pub(super) fn stream(&self, config: &Config, folder: &DataFolder, registry: &Registry) -> Result<Stream> {
        let events = self.events()?;
        let parts = StreamParts {
            log: self.log()?,
            sink: Arc::clone(events) as Arc<dyn EventSink>,
            source: Arc::clone(events) as Arc<dyn EventSource>,
            realtime: Arc::clone(&self.realtime) as Arc<dyn RealtimeStore>,
            snapshots: Some(Arc::clone(&self.realtime)),
        };
        Stream::open(parts, registry, stream_options(config, folder)).context("the stream cannot start")
    }

    pub(super) fn api(
        &self,
        config: &Config,
        registry: &Registry,
        shutdown: CancellationToken,
        set_up: Option<TokenHash>,
    ) -> Result<ApiState> {
        let events = self.events()?;
        let cohorts = StoredCohorts::new(Arc::clone(&self.metadata) as Arc<dyn Definitions>);
        let metrics = StoredMetrics::new(Arc::clone(&self.metadata) as Arc<dyn Definitions>);
        let queries = QueryService::new(Arc::clone(events) as Arc<dyn EventSource>, query_options(config))
            .with_cohorts(Arc::new(cohorts))
            .with_metrics(Arc::new(metrics));
        let queries = Arc::new(queries);
        query_metrics::register(&queries, registry)?;
        let trusted_proxies = trusted_proxies(config)?;
        let parts = ApiParts {
            queries,
            realtime: Arc::clone(&self.realtime) as Arc<dyn RealtimeStore>,
            ledger: Arc::clone(events) as Arc<dyn Ledger>,
            deletions: Arc::clone(events) as Arc<dyn PersonDeletions>,
            metadata: Arc::clone(&self.metadata) as Arc<dyn MetadataStore>,
            definitions: Arc::clone(&self.metadata) as Arc<dyn Definitions>,
            keys: Arc::clone(&self.keys) as Arc<dyn api::ReadKeys>,
            accounts: Arc::clone(&self.metadata) as Arc<dyn AccountStore>,
            set_up,
            client_address: Arc::new(move |head| client_address(head, &trusted_proxies)),
            now_ms,
            process: rand::random(),
            shutdown,
        };
        Ok(ApiState::new(parts, &api_options(config), registry)?)
    }
}

fn open_log(config: &Config, folder: &DataFolder, stored: u64, registry: &Registry) -> Result<Arc<FileLog>> {
    let path = config.backends()?.event_log.path_or(&folder.log());
    let log = Arc::new(FileLog::open(path, log_options(config, stored))?);
    log_metrics::register(&log, registry)?;
    Ok(log)
}

/// Opens the event store. A retention that cannot be read, or an app that is not known, keeps everything.
fn open_store(config: &Config, folder: &DataFolder, metadata: &Arc<SqliteMetadataStore>) -> Result<Arc<ParquetStore>> {
    let folder = config.backends()?.event_store.path_or(&folder.store());
    let metadata = Arc::clone(metadata);
    let retention = move |app: &AppId| -> Option<i64> {
        let known = metadata.app(app).inspect_err(|error| tracing::warn!(%error, %app, "the raw retention of an app cannot be read"));
        known.ok().flatten().and_then(|app| app.raw_retention_ms())
    };
    let options = ParquetStoreOptions { tier: tier::open_for_questions(config)?, ..store_options(config) };
    let store = ParquetStore::open(&folder, options, Arc::new(retention));
    store.with_context(|| format!("the event store {} cannot be opened", folder.display()))
}

fn open_geo(file: &str) -> Result<GeoIp> {
    GeoIp::open(Path::new(file)).with_context(|| format!("gateway.geo_ip_file: {file}"))
}
