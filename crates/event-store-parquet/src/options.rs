//! What an operator may set, and what the store asks about an app.

use event::AppId;

use crate::tier::TierOptions;

/// Bounds and targets of a store.
#[derive(Clone, Debug)]
pub struct ParquetStoreOptions {
    /// Unflushed rows at most; an append beyond is refused.
    pub max_unflushed_rows: usize,
    /// Bytes of memory of unflushed rows at most.
    pub max_unflushed_bytes: usize,
    /// Compaction does not make a segment larger than this.
    pub target_segment_bytes: u64,
    /// Rows of an app in one compaction from which on it gets segments of its own; smaller apps share.
    pub large_app_rows: u64,
    /// zstd level of flushed segments, 1 to 22; they live until the next compaction.
    pub zstd_level: i32,
    /// zstd level of compacted segments, 1 to 22. Reading takes the same time at every level.
    pub compacted_zstd_level: i32,
    /// Bytes of footers kept in memory.
    pub max_footer_bytes: usize,
    /// Segment files kept open.
    pub max_open_files: usize,
    /// Milliseconds the event log keeps a record at most; `None` where that is not known.
    pub log_kept_ms: Option<i64>,
    /// Where old segments go; `None` keeps them in the store's folder.
    pub tier: Option<TierOptions>,
    /// Threads of one query.
    pub query_threads: usize,
    /// Bytes of decoded columns kept for the next question, with the numbers of persons and the codes of texts; 0 keeps nothing.
    pub max_decoded_bytes: usize,
    /// Links between ids of one app; ids that would need one more stay persons of their own.
    pub max_links: usize,
    /// Persons of one app that have numbers; the questions of an app with more of them sort 64-bit keys instead.
    pub max_ordinal_persons: usize,
}

impl Default for ParquetStoreOptions {
    fn default() -> Self {
        Self {
            max_unflushed_rows: 2_000_000,
            max_unflushed_bytes: 768 << 20,
            target_segment_bytes: 192 << 20,
            large_app_rows: 1_000_000,
            zstd_level: 1,
            compacted_zstd_level: 3,
            max_footer_bytes: 32 << 20,
            max_open_files: 256,
            log_kept_ms: None,
            tier: None,
            query_threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(8),
            max_decoded_bytes: 1 << 30,
            max_links: 1_000_000,
            max_ordinal_persons: 8 << 20,
        }
    }
}

/// How long an app keeps its raw events. Asked during upkeep, so a changed setting applies to what is stored already.
pub trait AppRetention: Send + Sync {
    /// Milliseconds of event time, `None` for ever.
    fn raw_retention_ms(&self, app: &AppId) -> Option<i64>;
}

impl<F: Fn(&AppId) -> Option<i64> + Send + Sync> AppRetention for F {
    fn raw_retention_ms(&self, app: &AppId) -> Option<i64> {
        self(app)
    }
}
