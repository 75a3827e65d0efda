use std::path::PathBuf;

/// How a stream works. [`StreamOptions::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// The stream's folder: `dedupe/`, `realtime/` and `quarantine/` lie in it.
    pub data_dir: PathBuf,
    /// Rows become visible and live windows are published at most this often; sooner only when more than
    /// [`StreamOptions::max_pending_events`] wait. After a pause the first event is published at once.
    pub publish_interval_ms: u64,
    /// Everything appended is made durable in the event store at least this often.
    pub flush_interval_ms: u64,
    /// ... or when so many rows are not durable yet.
    pub max_unflushed_rows: usize,
    /// ... or when they take so much memory.
    pub max_unflushed_bytes: usize,
    /// Bytes of records asked of the log at a time; three times as much may be held.
    pub read_bytes: usize,
    /// Events that wait for the next publication at most.
    pub max_pending_events: usize,
    /// Bytes of batches that wait for the next publication at most, beyond the batch that passes it.
    pub max_pending_bytes: usize,
    /// Windows that may wait for a realtime store that is not available; reading stops beyond it, and the log holds the rest.
    pub max_waiting_windows: usize,
    /// Events of one insert id received within this time are one event.
    pub dedupe_window_ms: i64,
    /// False stores duplicates: the control arm of crash tests, which must then fail.
    pub dedupe_enabled: bool,
    /// At shutdown, how long to go on reading what the log already has; the rest is read at the next start.
    pub drain_timeout_ms: u64,
    /// Tries of a failing flush, or of a failing read of the log, before the stream stops. A full disk is waited for without limit.
    pub max_attempts: u32,
    /// Pause between two looks for upkeep of the event store when there was none.
    pub maintain_interval_ms: u64,
    /// Undecodable records kept for inspection at most; further ones are counted and logged only.
    pub max_quarantined_records: usize,
}

impl StreamOptions {
    /// The defaults, for a stream that keeps its files in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            publish_interval_ms: 250,
            flush_interval_ms: 30_000,
            max_unflushed_rows: 1_000_000,
            max_unflushed_bytes: 256 << 20,
            read_bytes: 4 << 20,
            max_pending_events: 100_000,
            max_pending_bytes: 32 << 20,
            max_waiting_windows: 1_000_000,
            dedupe_window_ms: 7 * 86_400_000,
            dedupe_enabled: true,
            drain_timeout_ms: 10_000,
            max_attempts: 6,
            maintain_interval_ms: 5_000,
            max_quarantined_records: 1_000,
        }
    }
}
