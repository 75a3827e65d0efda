use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::app::AppArgs;
use crate::ask::{ActiveUsersArgs, AskArgs, SessionsArgs};
use crate::backup::BackupArgs;
use crate::check::CheckArgs;
use crate::cohort::CohortArgs;
use crate::config::ConfigArgs;
use crate::export::ExportArgs;
use crate::import::ImportArgs;
use crate::metric::MetricArgs;
use crate::people::PeopleArgs;
use crate::person::PersonArgs;
use crate::restore::RestoreArgs;
use crate::saved_question::{DashboardArgs, FunnelArgs};
use crate::serve::ServeArgs;
use crate::simulate::SimulateArgs;
use crate::sql::SqlArgs;

/// Product analytics in one program: events in over HTTP, durable, counted live, kept in columns, asked in seconds.
#[derive(Parser)]
#[command(name = "throng", version, max_term_width = 120, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the platform: ingestion, storage, queries, live push and the web app
    Serve(ServeArgs),
    /// Make and list apps and their keys; works beside a running server
    App(AppArgs),
    /// Ask a running server and print the answer
    Query(AskArgs),
    /// Ask a running server for its sessions: how many, how long, which bounce, entry and exit pages
    Sessions(SessionsArgs),
    /// Ask a running server for its daily, weekly and monthly active users
    ActiveUsers(ActiveUsersArgs),
    /// Ask a running server with one SELECT over its events, sessions and persons
    Sql(SqlArgs),
    /// Write events of a running server to a file
    Export(ExportArgs),
    /// Send a file of events to a running server
    Import(ImportArgs),
    /// Send the history and live traffic of a believable shop to a running server
    Simulate(SimulateArgs),
    /// Save cohorts in an app of a running server: rules about persons, or lists of them; see who is in one
    Cohort(CohortArgs),
    /// Save metrics in an app of a running server: formulas with a name and a unit
    Metric(MetricArgs),
    /// Save funnels in an app of a running server, to ask for them by their ids
    Funnel(FunnelArgs),
    /// Save dashboards in an app of a running server: questions and texts, side by side
    Dashboard(DashboardArgs),
    /// Make and remove accounts of those who log in, and set passwords that were lost; works beside a running server
    People(PeopleArgs),
    /// Delete a person from an app of a running server, and see how far that is
    Person(PersonArgs),
    /// Check every file of a data folder, beside a running server or without one
    Check(CheckArgs),
    /// Copy a data folder, beside a running server or without one, and prove the copy
    Backup(BackupArgs),
    /// Make a data folder of a backup, and check it
    Restore(RestoreArgs),
    /// Show the configuration in effect, or the reference of all keys
    Config(ConfigArgs),
}

/// Where the data and the configuration are; the same for every command that works on a data folder.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// Data folder; made where it is missing [default: throng-data]
    #[arg(long, value_name = "DIR", env = "THRONG_DATA")]
    pub(crate) data: Option<PathBuf>,

    /// Configuration file (TOML); `throng config --reference` describes every key
    #[arg(long, value_name = "FILE", env = "THRONG_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}
