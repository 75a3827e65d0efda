//! Measures the built program and prints tables; `cargo xtask bench` calls it and keeps them in `docs/benchmarks.md`.
//!
//! A time means little on a shared machine: every table has a peer or a limit measured in the same run beside it.

mod apps;
mod boards;
mod disk;
mod growth;
mod ingest;
mod latency;
mod report;
mod share;
mod soak;
mod store;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ingest"] => ingest::run(),
        ["latency"] => latency::run(),
        ["share"] => share::run(),
        ["boards"] => boards::run(),
        ["soak", rest @ ..] => soak::run(rest),
        ["store", rest @ ..] => store::run(rest),
        ["growth"] => growth::run().and_then(|()| apps::run()),
        ["growth", "apps"] => apps::run(),
        ["all", rest @ ..] => {
            ingest::run()?;
            latency::run()?;
            share::run()?;
            store::run(rest)
        }
        _ => bail!("usage: bench ingest | latency | share | boards | soak [--minutes N] | store [--events N] | growth [apps] | all"),
    }
}
