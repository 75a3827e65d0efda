//! The whole gateway over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at what it did not expect")]

mod cookieless;
mod faults;
mod mmdb;
mod routes;
mod sdk_spec;
mod support;
