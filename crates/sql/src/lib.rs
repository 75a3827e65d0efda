//! Takes the text of one SELECT, the rows of one app, and the limits of a query.
//! Gives columns and rows, or an error that says what was wrong and the way out.
//! Knows nothing of HTTP, of credentials, or of which event store the rows come from; it is the only crate that sees DataFusion.
//!
//! A statement is read in [`statement`]: bounded by its text and tokens, parsed, checked against a list of what is allowed, weighed,
//! and rewritten where it reads properties. Only then DataFusion plans it, over the three views of [`tables`] and nothing else, and
//! runs it on threads of its own. See `docs/decisions/0012-sql.md`.

mod answer;
mod engine;
mod error;
mod functions;
mod limits;
mod memory;
mod statement;
mod tables;
mod watched;

pub use answer::{SqlAnswer, SqlColumn};
pub use engine::{SqlApp, SqlEngine};
pub use error::SqlError;
pub use limits::MAX_STATEMENT_BYTES;
