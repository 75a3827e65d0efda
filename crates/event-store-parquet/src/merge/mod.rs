//! Merging sorted rows with different columns into one sorted set: of small parts in memory, of a flush, of a compaction.

mod gather;
mod layout;
mod resident;
mod stream;

pub(crate) use gather::RowRef;
pub(crate) use layout::{InputColumns, Layout};
pub(crate) use resident::Resident;
pub(crate) use stream::{MergeFailure, StreamMerge};
