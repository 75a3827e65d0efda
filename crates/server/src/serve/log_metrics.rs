use std::sync::Arc;

use event_log::FileLog;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, Registry};

/// The figures of the event log as metrics, read when they are asked for.
struct LogMetrics {
    log: Arc<FileLog>,
    commits: IntCounter,
    appended: IntCounter,
    written_bytes: IntCounter,
    queued_appends: IntGauge,
    queued_bytes: IntGauge,
    stored_bytes: IntGauge,
    dropped_tail_bytes: IntGauge,
    latched: IntGauge,
    full: IntGauge,
}

/// Registers the figures of `log`.
pub(super) fn register(log: &Arc<FileLog>, registry: &Registry) -> Result<(), prometheus::Error> {
    registry.register(Box::new(LogMetrics {
        log: Arc::clone(log),
        commits: IntCounter::new("throng_log_commits_total", "Groups of records made durable, one fsync each")?,
        appended: IntCounter::new("throng_log_appended_records_total", "Records made durable")?,
        written_bytes: IntCounter::new("throng_log_written_bytes_total", "Bytes made durable")?,
        queued_appends: IntGauge::new("throng_log_queued_appends", "Appends that wait for the writer")?,
        queued_bytes: IntGauge::new("throng_log_queued_bytes", "Bytes that wait for the writer")?,
        stored_bytes: IntGauge::new("throng_log_stored_bytes", "Bytes of all log segments")?,
        dropped_tail_bytes: IntGauge::new("throng_log_dropped_tail_bytes", "Bytes of a torn record cut off at the last start")?,
        latched: IntGauge::new("throng_log_latched", "1 when the log takes no more appends until a restart")?,
        full: IntGauge::new("throng_log_full", "1 while the log takes no appends for want of space")?,
    }))
}

impl LogMetrics {
    fn all(&self) -> [&dyn Collector; 9] {
        [
            &self.commits,
            &self.appended,
            &self.written_bytes,
            &self.queued_appends,
            &self.queued_bytes,
            &self.stored_bytes,
            &self.dropped_tail_bytes,
            &self.latched,
            &self.full,
        ]
    }
}

impl Collector for LogMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let figures = self.log.figures();
        let totals = [
            (&self.commits, figures.commits_total),
            (&self.appended, figures.appended_total),
            (&self.written_bytes, figures.written_bytes_total),
        ];
        for (counter, total) in totals {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        self.queued_appends.set(figures.queued_appends as i64);
        self.queued_bytes.set(figures.queued_bytes as i64);
        self.stored_bytes.set(figures.stored_bytes as i64);
        self.dropped_tail_bytes.set(figures.dropped_tail_bytes as i64);
        self.latched.set(i64::from(figures.latched.is_some()));
        self.full.set(i64::from(self.log.shortage().is_some()));
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
mod tests {
    use event_log::{EventLog, FileLogOptions};

    use super::*;

    #[test]
    fn figures_are_read_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(FileLog::open(folder.path().join("log"), FileLogOptions::default()).unwrap());
        let registry = Registry::new();
        register(&log, &registry).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for appended in 1..=2 {
            runtime.block_on(log.append(vec![7; 100].into())).unwrap();
            let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            assert!(text.contains(&format!("throng_log_appended_records_total {appended}\n")), "{text}");
            assert!(text.contains("throng_log_latched 0\n"), "{text}");
        }
    }
}
