//! Takes records: opaque bytes.
//! Gives them back in order, durable, by offset; a segmented file log and an in-memory one behind the same trait.
//! Knows nothing of what an event is.

pub mod contract;
mod file;
mod log;
mod memory;

pub use file::{DEFAULT_GROUP_COMMIT_WAIT, FileLog, FileLogFigures, FileLogOptions, LogCheck, LogGap, check_log};
pub use log::{EventLog, LogError, LogReader, Offset, Record};
pub use memory::{MemoryLog, MemoryLogOptions};
