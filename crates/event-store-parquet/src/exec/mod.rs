//! Takes a snapshot, a typed plan and the limits of a query.
//! Gives the plan's answer: filters, groups and measures, sessions, ordered funnels, raw events, and what an app sends.
//! Knows nothing of files, of flushes, or of who asks.
//!
//! Text is compared and grouped by dictionary code, a filter is evaluated once per dictionary value, persons are 64-bit keys,
//! and distinct counts and sequences are merges of sorted runs. Every structure that grows with the data takes its bytes from the
//! query's budget.

mod aggregate;
mod attempt;
mod bucket;
mod cells;
mod column;
mod comparison;
mod events;
mod filter;
mod funnel;
mod group;
mod layout;
mod names;
mod numbers;
mod overflow;
mod pairs;
mod person_property;
mod properties;
mod scan;
mod schema;
mod sessions;
mod tally;
#[cfg(test)]
mod tests;
mod timeline;
mod value;
mod value_table;

pub use aggregate::aggregate;
pub use events::events;
pub use funnel::funnel;
pub(crate) use names::NamePredicate;
pub use scan::Query;
pub(crate) use scan::Reserved;
pub use schema::schema;
