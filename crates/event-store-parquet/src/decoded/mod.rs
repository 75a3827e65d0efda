//! Decoded columns of immutable parts, kept within a limit of bytes, so that a question asked again decodes nothing.
//!
//! What is kept is not Arrow but the form that operators work on: persons are dense numbers (`PersonIndex`), text is codes of a
//! dictionary that all parts of an app share ([`TextCodes`]), times are 32-bit distances. A kept column belongs to a block
//! (`Block`): rows of one app in one row group of one part, cut where the event name changes, so that a question about few
//! events decodes few rows. Whatever does not fit these forms is kept as the Arrow array that was read.

mod block;
mod cache;
mod column;
mod decode;
mod dictionary;
mod load;
mod persons;
mod space;

pub(crate) use block::{GROUP_ROWS, Piece, ScanTask, Shape, plan_tasks};
pub use cache::DecodedFigures;
pub(crate) use cache::{DecodedCache, Residence};
pub(crate) use column::{Codes, Decoded, Ordinals, SessionCodes, SharedText, Times};
pub(crate) use dictionary::TextCodes;
pub(crate) use load::{LoadFailure, Loaded, Loader, PersonForm};
pub(crate) use persons::NO_PERSON;
pub(crate) use space::AppSpace;
