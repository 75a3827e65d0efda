use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

use crate::error::StreamError;

/// Upper bounds of the flush histogram, seconds.
const FLUSH_BUCKETS: [f64; 9] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What the stream says of itself, all under `throng_stream_`.
pub(crate) struct Metrics {
    pub(crate) records: IntCounter,
    pub(crate) events: IntCounter,
    pub(crate) duplicates: IntCounter,
    pub(crate) rejected: IntCounter,
    pub(crate) late_events: IntCounter,
    pub(crate) damaged_records: IntCounter,
    pub(crate) quarantined_records: IntCounter,
    pub(crate) flush_failures: IntCounter,
    pub(crate) publish_failures: IntCounter,
    pub(crate) cells_published: IntCounter,
    pub(crate) flush_seconds: Histogram,
    pub(crate) position: IntGauge,
    pub(crate) durable_position: IntGauge,
    pub(crate) lag_records: IntGauge,
    pub(crate) lag_seconds: Gauge,
    pub(crate) unflushed_rows: IntGauge,
    pub(crate) dedupe_keys: IntGauge,
    pub(crate) dedupe_runs: IntGauge,
    pub(crate) dedupe_memory_bytes: IntGauge,
    pub(crate) hot_windows: IntGauge,
    pub(crate) realtime_memory_bytes: IntGauge,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, StreamError> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, StreamError> {
            let counter = IntCounter::new(format!("throng_stream_{name}"), help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, StreamError> {
            let gauge = IntGauge::new(format!("throng_stream_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let buckets = HistogramOpts::new("throng_stream_flush_seconds", "Time of a whole checkpoint").buckets(FLUSH_BUCKETS.to_vec());
        let flush_seconds = Histogram::with_opts(buckets)?;
        registry.register(Box::new(flush_seconds.clone()))?;
        let lag_seconds = Gauge::new("throng_stream_lag_seconds", "Age of the newest record read while others wait, else 0")?;
        registry.register(Box::new(lag_seconds.clone()))?;
        Ok(Self {
            records: counter("records_total", "Log records read")?,
            events: counter("events_total", "Events stored")?,
            duplicates: counter("duplicates_total", "Events seen before, not stored")?,
            rejected: counter("rejected_total", "Rejected events passed on to the store")?,
            late_events: counter("late_events_total", "Events more than 10 s after the end of their 5-second window")?,
            damaged_records: counter("damaged_records_total", "Log records that were damaged and skipped")?,
            quarantined_records: counter("quarantined_records_total", "Log records that are no batch, set aside")?,
            flush_failures: counter("flush_failures_total", "Checkpoints that failed and were tried again")?,
            publish_failures: counter("publish_failures_total", "Publications the realtime store did not take")?,
            cells_published: counter("cells_published_total", "Live cells put into the realtime store")?,
            flush_seconds,
            position: gauge("position", "Log offset up to which rows are visible")?,
            durable_position: gauge("durable_position", "Log offset up to which rows are durable")?,
            lag_records: gauge("lag_records", "Log records not yet visible")?,
            lag_seconds,
            unflushed_rows: gauge("unflushed_rows", "Rows that are visible and not durable yet")?,
            dedupe_keys: gauge("dedupe_keys", "Insert ids remembered")?,
            dedupe_runs: gauge("dedupe_runs", "Files of insert ids")?,
            dedupe_memory_bytes: gauge("dedupe_memory_bytes", "Memory of the sets and filters of insert ids")?,
            hot_windows: gauge("hot_windows", "Live windows being changed")?,
            realtime_memory_bytes: gauge("realtime_memory_bytes", "Memory of live windows in this process")?,
        })
    }
}
