//! The operators against naive ones over plain events: nested loops, no columns, no hashes of persons.

mod aggregate;
mod events;
mod filter_oracle;
mod funnel;
mod limits;
mod paths;
mod retention;
mod segment;
mod sessions;
mod speed;
pub(super) mod world;
