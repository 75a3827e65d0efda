//! Segments: who is in one is found once for a question, rule by rule; its rows are then asked by a bit of each person.

mod count;
mod find;
mod members;
mod persons;
mod set;

pub(super) use members::Members;
pub use persons::segment_persons;
