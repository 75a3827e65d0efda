//! Takes the name of a chore. Gives its result and an exit code. Knows nothing of how the product works inside.
//!
//! `cargo xtask tidy` checks the house rules; `cargo xtask bench NAME` measures, and `bench peers` compares with other column stores.

mod bench;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: cargo xtask tidy | cargo xtask bench ingest | latency | share | boards | soak [--minutes N] | store [--events N] | all | peers [--events N] [--answers-only]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tidy"] => tidy::run(&root()?),
        ["bench", rest @ ..] if !rest.is_empty() => bench::run(&root()?, rest),
        _ => bail!("{USAGE}"),
    }
}

/// The checkout this program was built from.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask lies in the workspace")?.to_path_buf())
}
