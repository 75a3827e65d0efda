use std::sync::Arc;

use event_store_parquet::ParquetStore;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, Registry};

/// What the event store says of its decoded columns and of its soundness as metrics, read when they are asked for.
struct StoreMetrics {
    store: Arc<ParquetStore>,
    hits: IntCounter,
    misses: IntCounter,
    column_bytes: IntGauge,
    space_bytes: IntGauge,
    max_bytes: IntGauge,
    lost_records: IntGauge,
    links: IntGauge,
    links_refused: IntCounter,
}

/// Registers the figures of `store`.
pub(super) fn register(store: &Arc<ParquetStore>, registry: &Registry) -> Result<(), prometheus::Error> {
    registry.register(Box::new(StoreMetrics {
        store: Arc::clone(store),
        hits: IntCounter::new("throng_store_decoded_hits_total", "Decoded columns of blocks that were kept when a question wanted them")?,
        misses: IntCounter::new("throng_store_decoded_misses_total", "Columns of blocks that a question had to decode")?,
        column_bytes: IntGauge::new("throng_store_decoded_column_bytes", "Bytes of decoded columns that are kept")?,
        space_bytes: IntGauge::new(
            "throng_store_decoded_space_bytes",
            "Bytes of the numbers of persons and codes of texts in decoded columns",
        )?,
        max_bytes: IntGauge::new("throng_store_decoded_max_bytes", "Most bytes of decoded columns with their numbers and codes")?,
        lost_records: IntGauge::new(
            "throng_store_lost_log_records",
            "Log records, one a request, that were damaged or gone before their events were stored, of all time",
        )?,
        links: IntGauge::new("throng_store_id_links", "Ids that count as another: links between ids, of all apps")?,
        links_refused: IntCounter::new(
            "throng_store_id_links_refused_total",
            "Times that an event wanted to link an id, and its app had max_id_links links or the person 1,000 ids",
        )?,
    }))
}

impl StoreMetrics {
    fn all(&self) -> [&dyn Collector; 8] {
        [
            &self.hits,
            &self.misses,
            &self.column_bytes,
            &self.space_bytes,
            &self.max_bytes,
            &self.lost_records,
            &self.links,
            &self.links_refused,
        ]
    }
}

impl Collector for StoreMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let figures = self.store.decoded_figures();
        for (counter, total) in [(&self.hits, figures.hits_total), (&self.misses, figures.misses_total)] {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        self.column_bytes.set(figures.column_bytes as i64);
        self.space_bytes.set(figures.space_bytes as i64);
        self.lost_records.set(self.store.lost_records() as i64);
        let links = self.store.link_figures();
        self.links.set(links.links as i64);
        self.links_refused.inc_by(links.refused.saturating_sub(self.links_refused.get()));
        self.max_bytes.set(figures.max_bytes as i64);
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
