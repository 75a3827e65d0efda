//! Takes commits of event batches with their log position, and typed plans.
//! Gives sorted Parquet segments under a transactional manifest, rollups and ledger in the same transaction, and the plans' answers.
//! Knows nothing of HTTP, of what a funnel chart is for, or of where the log is.

mod backup;
mod check;
mod columnize;
pub mod columns;
mod compaction;
mod decoded;
mod deletion;
pub mod exec;
mod flush;
mod hidden;
mod identity;
mod insert_ids;
mod ledger;
mod lost;
mod manifest;
mod memory;
mod merge;
mod options;
mod overflow;
mod part;
mod pending;
mod property;
mod recount;
mod retention;
mod rolled;
mod rolled_raw;
mod rollup;
mod runs;
mod segment;
mod snapshot;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod tier;
mod windows;

pub use backup::{MANIFEST_FILE, ManifestCopy, SegmentFile, copy_manifest};
pub use check::{CheckOptions, CheckStep, CheckSummary, Finding, check_store, stored_apps};
pub use columns::ColumnRequest;
pub use decoded::DecodedFigures;
pub use identity::LinkFigures;
pub use memory::MemoryPart;
pub use options::{AppRetention, ParquetStoreOptions};
pub use part::{Part, PartColumns, PartScan, SCAN_BATCH_ROWS, ScanRequest};
pub use runs::{Run, RunIndex};
pub use segment::Segment;
pub use snapshot::{Snapshot, account};
pub use store::ParquetStore;
pub use tier::{MAX_READ_BYTES, ObjectReader, SegmentTier, TierError, TierFigures, TierOptions};
