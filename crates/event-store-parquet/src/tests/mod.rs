//! The write side as its owner and its readers see it: what goes in comes out once, whatever happens between.

mod crash;
mod damage;
mod decoded;
mod deletion;
mod equivalence;
mod identity;
mod layout;
mod ledger;
mod properties;
mod retention;
mod rolled;
mod rollups;
mod visible;
mod world;
