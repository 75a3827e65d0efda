//! Cases from other products' own tests through the public API. An analysis in which our rule differs by choice has a file beside its
//! harness that says why, case by case, and names the option that gives the other answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what it saw and ends where it finds something wrong"
)]

mod asked;
mod funnels;
mod paths;
mod retention;
mod sessions;
