//! What commands say: results on standard output, so that they can be piped; all else on standard error.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde::Serialize;

/// Writes a result and a line end.
pub(crate) fn line(text: &str) -> Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        // The reader of a pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output cannot be written"),
    }
}

/// Writes a result as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Says what is being done.
pub(crate) fn note(text: &str) {
    // Nothing can be said about a standard error that cannot be written.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says why the command failed, causes after colons.
pub(crate) fn error(error: &anyhow::Error) {
    note(&format!("throng: {error:#}"));
}
