//! Logging in and out, the account of who is logged in, and the first account of all.

pub(crate) mod account;
mod attempts;
pub(crate) mod begin;
mod cookie;
pub(crate) mod mine;

pub(crate) use attempts::Attempts;
pub(crate) use cookie::COOKIE;
