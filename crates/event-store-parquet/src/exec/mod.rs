//! Takes a snapshot, a typed plan and the limits of a query.
//! Gives the plan's answer: filters, groups and measures, sessions, funnels, raw events, and what an app sends.
//! Knows nothing of files, of flushes, or of who asks.
//!
//! Counts, funnels and sessions read decoded columns (`crate::decoded`): text is compared and grouped by codes that mean the same in
//! every part, a filter is evaluated once per text, persons are ordinals and sets of them bitmaps. Where an app has more persons than
//! ordinals, persons are 64-bit keys, and distinct counts and sequences merges of sorted runs. Every structure that grows with the
//! data takes its bytes from the query's budget.

mod activity;
mod aggregate;
mod attempt;
mod batch;
mod bucket;
mod by_ordinal;
mod cells;
mod column;
mod column_scan;
mod comparison;
mod distinct;
mod events;
mod export;
mod filter;
mod funnel;
mod gather;
mod group;
mod layout;
mod mask;
mod names;
mod narrow;
mod numbers;
mod overflow;
mod pairs;
mod paths;
mod periods;
mod person_property;
mod properties;
mod reach;
mod read_rows;
mod records;
mod retention;
mod row_reader;
mod rows;
mod said_links;
mod scan;
mod schema;
mod segment;
mod session_keys;
mod sessions;
mod sets;
mod tally;
#[cfg(test)]
mod tests;
mod text;
mod timeline;
mod tuples;
mod value;
mod value_table;

pub use activity::activity;
pub use aggregate::aggregate;
pub use events::events;
pub use export::export;
pub use funnel::{funnel, funnel_person, funnel_persons};
pub(crate) use names::NamePredicate;
pub use paths::paths;
pub(crate) use reach::{Reach, check_filled};
pub use read_rows::read_rows;
pub use retention::retention;
pub(crate) use said_links::{said_links, said_links_of};
pub use scan::Query;
pub(crate) use scan::Reserved;
pub use schema::schema;
pub use segment::segment_persons;
pub use sessions::sessions;
