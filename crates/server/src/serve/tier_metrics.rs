use std::sync::Arc;

use event_store_parquet::ParquetStore;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, Registry};

/// What reading from object storage costs, read when it is asked for. The hit rate is hit bytes over hit and fetched bytes.
struct TierMetrics {
    store: Arc<ParquetStore>,
    hit_bytes: IntCounter,
    fetched_bytes: IntCounter,
    failures: IntCounter,
    cached_bytes: IntGauge,
    max_cache_bytes: IntGauge,
    segments: IntGauge,
}

/// Registers the figures of the store's tier, if it has one.
pub(super) fn register(store: &Arc<ParquetStore>, registry: &Registry) -> Result<(), prometheus::Error> {
    if store.tier_figures().is_none() {
        return Ok(());
    }
    registry.register(Box::new(TierMetrics {
        store: Arc::clone(store),
        hit_bytes: IntCounter::new("throng_tier_hit_bytes_total", "Bytes of objects read from the local cache")?,
        fetched_bytes: IntCounter::new("throng_tier_fetched_bytes_total", "Bytes of objects fetched from object storage")?,
        failures: IntCounter::new("throng_tier_failures_total", "Requests to object storage that failed")?,
        cached_bytes: IntGauge::new("throng_tier_cached_bytes", "Bytes of objects in the local cache")?,
        max_cache_bytes: IntGauge::new("throng_tier_cache_max_bytes", "Most bytes of objects in the local cache")?,
        segments: IntGauge::new("throng_tier_segments", "Segments in object storage")?,
    }))
}

impl TierMetrics {
    fn all(&self) -> [&dyn Collector; 6] {
        [&self.hit_bytes, &self.fetched_bytes, &self.failures, &self.cached_bytes, &self.max_cache_bytes, &self.segments]
    }
}

impl Collector for TierMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let figures = self.store.tier_figures().unwrap_or_default();
        let totals =
            [(&self.hit_bytes, figures.hit_bytes), (&self.fetched_bytes, figures.fetched_bytes), (&self.failures, figures.failures)];
        for (counter, total) in totals {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        self.cached_bytes.set(figures.cached_bytes as i64);
        self.max_cache_bytes.set(figures.max_cache_bytes.min(i64::MAX as u64) as i64);
        self.segments.set(figures.segments as i64);
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
