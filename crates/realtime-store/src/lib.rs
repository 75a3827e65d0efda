//! Takes cells: the absolute content of one app's window, with the log position it reflects.
//! Gives windows by time, and a signal when an app's windows changed; in memory with a snapshot on disk.
//! Knows nothing of the log, of SQL, or of how a cell was counted.

mod cell;
mod memory;
mod store;

pub use cell::{Cell, CellKey, EventCell, MAX_EVENT_NAMES, MAX_PAGES, OTHER, Resolution, WindowEvent};
pub use memory::{MemoryRealtimeStore, SnapshotError};
pub use store::{RealtimeError, RealtimeStore};
