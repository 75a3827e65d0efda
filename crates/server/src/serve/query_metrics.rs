use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use query::QueryService;

/// The figures of the query service as metrics, read when they are asked for.
struct QueryMetrics {
    queries: Arc<QueryService>,
    running: IntGauge,
    waiting: IntGauge,
    memory_bytes: IntGauge,
    memory_limit_bytes: IntGauge,
    runs: IntCounterVec,
    cached: IntCounter,
    shared: IntCounter,
    run_seconds: Counter,
}

/// Registers the figures of `queries`.
pub(super) fn register(queries: &Arc<QueryService>, registry: &Registry) -> Result<(), prometheus::Error> {
    let runs = Opts::new("throng_query_runs_total", "Questions that were worked on, or found no turn, by how that ended");
    registry.register(Box::new(QueryMetrics {
        queries: Arc::clone(queries),
        running: IntGauge::new("throng_query_running", "Questions a thread works on now")?,
        waiting: IntGauge::new("throng_query_waiting", "Questions that wait for their turn")?,
        memory_bytes: IntGauge::new("throng_query_memory_bytes", "Working memory of all running questions")?,
        memory_limit_bytes: IntGauge::new("throng_query_memory_limit_bytes", "Bound of throng_query_memory_bytes")?,
        runs: IntCounterVec::new(runs, &["outcome"])?,
        cached: IntCounter::new("throng_query_cached_total", "Questions answered from the cache of answers")?,
        shared: IntCounter::new("throng_query_shared_total", "Questions answered by a run that another one had begun")?,
        run_seconds: Counter::new("throng_query_run_seconds_total", "Time of all runs together")?,
    }))
}

impl QueryMetrics {
    fn all(&self) -> [&dyn Collector; 8] {
        [
            &self.running,
            &self.waiting,
            &self.memory_bytes,
            &self.memory_limit_bytes,
            &self.runs,
            &self.cached,
            &self.shared,
            &self.run_seconds,
        ]
    }
}

impl Collector for QueryMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let figures = self.queries.figures();
        self.running.set(figures.running as i64);
        self.waiting.set(figures.waiting as i64);
        self.memory_bytes.set(figures.memory_bytes as i64);
        self.memory_limit_bytes.set(figures.memory_limit_bytes as i64);
        let outcomes = [
            ("answered", figures.answered_total),
            ("limit", figures.limited_total),
            ("busy", figures.busy_total),
            ("cancelled", figures.cancelled_total),
            ("failed", figures.failed_total),
        ];
        for (outcome, total) in outcomes {
            let counter = self.runs.with_label_values(&[outcome]);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        self.cached.inc_by(figures.cached_total.saturating_sub(self.cached.get()));
        self.shared.inc_by(figures.shared_total.saturating_sub(self.shared.get()));
        self.run_seconds.inc_by((figures.run_micros_total as f64 / 1e6 - self.run_seconds.get()).max(0.0));
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
