//! Takes the name of a chore. Gives its result and an exit code. Knows nothing of how the product works inside.
//!
//! `cargo xtask tidy` checks the house rules; `cargo xtask bench NAME` measures.

mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: cargo xtask tidy | cargo xtask bench ingest | latency | store [--events N] | all";

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
        ["bench", rest @ ..] if !rest.is_empty() => bench(rest),
        _ => bail!("{USAGE}"),
    }
}

/// Builds the program and the load generator, then lets the generator measure.
fn bench(arguments: &[&str]) -> Result<()> {
    let build = Command::new(env!("CARGO"))
        .current_dir(root()?)
        .args(["build", "--release", "--package", "throng", "--package", "e2e"])
        .status()?;
    if !build.success() {
        bail!("the build failed");
    }
    let here = std::env::current_exe()?;
    let status = Command::new(here.with_file_name("bench")).args(arguments).status().context("the bench program")?;
    if !status.success() {
        bail!("bench {} failed", arguments.join(" "));
    }
    Ok(())
}

/// The checkout this program was built from.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask lies in the workspace")?.to_path_buf())
}
