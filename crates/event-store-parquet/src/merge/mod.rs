//! Merging sorted rows with different columns into one sorted set: of small parts in memory, of a flush, of a compaction.

mod choice;
mod gather;
mod ids;
mod layout;
mod resident;
mod split;
mod stream;

pub(crate) use choice::{SizeLimits, worth_merging};
pub(crate) use gather::RowRef;
pub(crate) use ids::{ID_COLUMNS, IdColumns, IdGatherer};
pub(crate) use layout::{InputColumns, Layout};
pub(crate) use resident::Resident;
pub(crate) use split::{SplitWriter, large_apps};
pub(crate) use stream::{MergeFailure, StreamMerge};
