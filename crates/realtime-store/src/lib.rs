//! Takes cells: the absolute content of one app's window.
//! Gives windows by time, and a signal when an app's windows changed; in memory, with a snapshot on disk named by log position.
//! Knows nothing of the log, of SQL, or of how a cell was counted.

mod bounded;
mod cell;
pub mod contract;
mod memory;
mod packed;
mod series;
mod snapshot;
mod store;

pub use bounded::BoundedMap;
pub use cell::{Cell, CellKey, EventCell, MAX_EVENT_NAMES, MAX_PAGES, OTHER, Resolution, WindowEvent};
pub use memory::{MemoryOptions, MemoryRealtimeStore};
pub use snapshot::{Snapshot, SnapshotError};
pub use store::{CellRange, RealtimeError, RealtimeStore};
