//! Takes the records of the event log, from the position the event store has.
//! Gives rows to the event store, each event once, and live windows to the realtime store, with everything of one log position durable together.
//! Knows nothing of HTTP, of queries, or of which implementations stand behind log and stores.
//!
//! # What becomes durable, in which order
//!
//! A checkpoint at log position P makes four things durable, in this order:
//!
//! 1. the dedupe run `dedupe/<from>-<P>.run`: the insert ids that were new in the records `from..P`;
//! 2. the realtime snapshot `realtime/<P>.snapshot`: the live windows of exactly the records before P;
//! 3. the rows, rollups, ledger and the position P itself, in the event store's one transaction ([`event_store::EventSink::flush`]);
//! 4. the release of the log before P ([`event_log::EventLog::release`]).
//!
//! Step 3 decides. The next start asks the store for its position. Crashed before step 3, that is the position of the checkpoint before:
//! the run and the snapshot of P are beyond it, so the run is deleted and the snapshot ignored, and the records are read again, to the
//! same result. Crashed after step 3, both are there. Crashed before step 4, the log is merely trimmed later. So every event is in
//! the store once, and remembered as seen exactly when it is there.
//!
//! Rows and windows are visible before they are durable: at most a quarter of a second after their record is. Reading, counting and appending
//! go on while a checkpoint is written; [`event_store::EventSink::seal`] and the frozen key set and snapshot keep the two apart.

mod checkpoint;
mod clock;
mod dedupe;
mod error;
mod maintain;
mod metrics;
mod options;
mod pending;
mod quarantine;
mod reader;
mod runner;
mod stream;
mod windows;

pub use dedupe::{DedupeCheck, check_dedupe, dedupe_gaps};
pub use error::StreamError;
pub use maintain::maintain_loop;
pub use options::StreamOptions;
pub use stream::{Stream, StreamParts};
