//! The whole gateway over real sockets.

mod faults;
mod routes;
mod support;
