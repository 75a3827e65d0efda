//! Which ids are one person: links between ids, taken from events as they come in, and applied to persons when they are read.
//!
//! A link says that one id, its *source*, counts as another, its *target*. Rows keep the keys of the ids they came with; whoever reads
//! persons asks the [`Identity`] of the snapshot for the key that stands for all ids of the person.
//!
//! - An event with `user_id` and `anonymous_id` links the anonymous id to the user id; `$alias` with a text property `alias` links that
//!   text to the `user_id`. An id is not linked to itself.
//! - Of several links with one source the **first** counts: the smallest by event time, then time of receipt, then key of the target. So
//!   what is linked is a function of the set of events, and reading the log again from any earlier position changes nothing.
//! - Every id has at most one link, so following links from an id ends at an id without one: that one stands for the person. Where
//!   links go round, the last of the ring, in the same order, is not followed.
//!
//! [`Links`] has the links of all apps and changes as events are appended; the manifest keeps them, with the position they are known for.

mod extract;
mod links;
mod resolved;
#[cfg(test)]
mod tests;

pub(crate) use extract::{ALIAS, ALIAS_PROPERTY, SaidLink, is_alias, links_of};
pub use links::LinkFigures;
pub(crate) use links::{LinkDelta, LinkOrder, Links, MAX_PERSON_IDS, StoredLink};
pub(crate) use resolved::{Changes, Identities, Identity};
