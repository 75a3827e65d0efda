use event::RejectCode;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// What the gateway counts. Every event that reaches the parser is in exactly one `outcome`.
pub(crate) struct Metrics {
    /// Durable and answered, or durable while the client had gone.
    pub(crate) accepted: IntCounter,
    /// Refused one by one, with their reasons in `rejected`.
    pub(crate) rejected_total: IntCounter,
    /// Refused together with their whole request after they were read: over quota, or the log could not take them.
    pub(crate) refused: IntCounter,
    /// The client went away before the log had answered: durable or not, the ledger downstream knows.
    pub(crate) unanswered: IntCounter,
    /// Checked for `/validate` and dropped.
    pub(crate) validated: IntCounter,
    rejected: Vec<(RejectCode, IntCounter)>,
    pub(crate) ok_requests: IntCounter,
    requests: IntCounterVec,
    pub(crate) received_bytes: IntCounter,
    pub(crate) parsed_bytes: IntCounter,
    pub(crate) request_seconds: Histogram,
    pub(crate) in_flight_bytes: IntGauge,
    pub(crate) future_events: IntCounter,
    pub(crate) ignored_sent_at: IntCounter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let by = |name: &str, help: &str, label: &str| -> Result<IntCounterVec, prometheus::Error> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let plain = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let events = by("throng_gateway_events_total", "Events that were read, by what became of them", "outcome")?;
        let rejected = by("throng_gateway_rejected_events_total", "Events refused one by one, by reason", "code")?;
        let requests = by("throng_gateway_requests_total", "Requests, by the code of their refusal or ok", "code")?;
        let request_seconds = Histogram::with_opts(
            HistogramOpts::new("throng_gateway_request_duration_seconds", "From the head of a request to its answer")
                .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
        )?;
        registry.register(Box::new(request_seconds.clone()))?;
        let in_flight_bytes = IntGauge::new("throng_gateway_in_flight_bytes", "Bytes of bodies that are not answered yet")?;
        registry.register(Box::new(in_flight_bytes.clone()))?;
        Ok(Self {
            accepted: events.with_label_values(&["accepted"]),
            rejected_total: events.with_label_values(&["rejected"]),
            refused: events.with_label_values(&["refused"]),
            unanswered: events.with_label_values(&["unanswered"]),
            validated: events.with_label_values(&["validated"]),
            rejected: RejectCode::ALL.into_iter().map(|code| (code, rejected.with_label_values(&[code.as_str()]))).collect(),
            ok_requests: requests.with_label_values(&["ok"]),
            requests,
            received_bytes: plain("throng_gateway_received_bytes_total", "Bytes of bodies as they were sent")?,
            parsed_bytes: plain("throng_gateway_parsed_bytes_total", "Bytes of bodies after inflating")?,
            request_seconds,
            in_flight_bytes,
            future_events: plain("throng_gateway_future_events_total", "Events over 24 h ahead of their receipt, set to it")?,
            ignored_sent_at: plain(
                "throng_gateway_ignored_sent_at_total",
                "Requests whose sent_at is not a time; their clock was not corrected",
            )?,
        })
    }

    pub(crate) fn count_refusal(&self, code: &str) {
        self.requests.with_label_values(&[code]).inc();
    }

    pub(crate) fn count_rejected(&self, codes: &[RejectCode]) {
        self.rejected_total.inc_by(codes.len() as u64);
        for code in codes {
            if let Some((_, counter)) = self.rejected.iter().find(|(known, _)| known == code) {
                counter.inc();
            }
        }
    }
}
