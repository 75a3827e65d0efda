//! Takes a command line, a configuration file and a data folder.
//! Gives the running platform, and the commands around it: apps and keys, questions, imports and exports, checks.
//! Knows nothing that a room could know: it puts the rooms together, and is the only crate that names their implementations.

mod app;
mod ask;
mod backup;
mod byte_progress;
mod check;
mod cli;
mod cohort;
mod config;
mod data_folder;
mod export;
mod http_client;
mod import;
mod key_cache;
mod lost_metadata;
mod metric;
mod output;
mod people;
mod person;
mod progress;
mod restore;
mod saved;
mod saved_question;
mod sender;
mod serve;
mod simulate;
mod sql;
mod tier;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

/// Gives freed memory back to the system and does not contend between threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Err(message) = kill_point::arm() {
        output::note(&message);
        return ExitCode::FAILURE;
    }
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::App(args) => app::run(&args),
        Command::Query(args) => ask::run(&args),
        Command::Sessions(args) => ask::run_sessions(&args),
        Command::ActiveUsers(args) => ask::run_active_users(&args),
        Command::Sql(args) => sql::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Cohort(args) => cohort::run(&args),
        Command::Metric(args) => metric::run(&args),
        Command::Funnel(args) => saved_question::run_funnel(&args),
        Command::Dashboard(args) => saved_question::run_dashboard(&args),
        Command::People(args) => people::run(&args),
        Command::Person(args) => person::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Config(args) => config::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
