//! Takes commits of event batches with their log position, and typed plans.
//! Gives sorted Parquet segments under a transactional manifest, rollups and ledger in the same transaction, and the plans' answers.
//! Knows nothing of HTTP, of what a funnel chart is for, or of where the log is.

#![allow(dead_code)]

pub mod columns;
mod memory;
mod part;
mod runs;
mod segment;
mod snapshot;

pub use memory::MemoryPart;
pub use part::{Part, PartColumns, PartScan, SCAN_BATCH_ROWS, ScanRequest};
pub use runs::{Run, RunIndex};
pub use segment::Segment;
pub use snapshot::{Snapshot, account};
