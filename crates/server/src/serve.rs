mod demo;
mod listener;
mod log_metrics;
mod logging;
mod options;
mod platform;
mod query_metrics;
mod shutdown;
mod store_metrics;
mod stores;
mod tier_metrics;

use anyhow::{Context, Result};
use clap::Args;
use tokio::runtime::{Builder, Runtime};

use crate::app::open_metadata;
use crate::cli::Place;
use crate::config::{Config, Role};
use crate::data_folder::DataFolder;
use demo::Demo;
use platform::Platform;

#[derive(Args)]
#[command(after_help = "Examples:
  throng serve --demo                                 try it: demo data and live traffic
  throng serve --data /var/lib/throng --listen 0.0.0.0:7070
  throng serve --config throng.toml --roles gateway   take events only")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    place: Place,
    /// Address to listen on [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR", env = "THRONG_LISTEN")]
    listen: Option<String>,
    /// Parts to run, separated by commas [default: gateway,stream,query]
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Option<Vec<Role>>,
    /// Make a demo app with a month of history, send live traffic to it, and print the page's address
    #[arg(long, conflicts_with = "roles")]
    demo: bool,
}

impl ServeArgs {
    fn config(&self) -> Result<Config> {
        let mut config = Config::load(&self.place)?;
        if let Some(listen) = &self.listen {
            config.server.listen.clone_from(listen);
        }
        if let Some(roles) = &self.roles {
            config.server.roles.clone_from(roles);
        }
        config.check()?;
        Ok(config)
    }
}

/// Runs `throng serve` until it is told to stop.
pub(crate) fn run(args: &ServeArgs) -> Result<()> {
    let mut config = args.config()?;
    logging::start(&config.log)?;
    if let Some(point) = kill_point::armed() {
        tracing::warn!(point, "this process will abort at a point that {} names", kill_point::VARIABLE);
    }
    let folder = DataFolder::create(&config.data_folder())?;
    // Held until everything below has ended.
    let _lock = folder.lock()?;
    folder.remove_stale_pins()?;
    config.server.max_connections = listener::connections_within_limit(config.server.max_connections);
    let demo = args.demo.then(|| Demo::prepare(open_metadata(&config, &folder)?.as_ref(), &folder)).transpose()?;
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let listener = listener::bind(config.listen()?, config.server.peer_timeout_ms)?;
        Platform::open(&config, &folder)?.serve(listener, demo).await
    });
    // What still blocks (a query whose client left) has no more to say.
    runtime.shutdown_background();
    result
}

fn runtime() -> Result<Runtime> {
    /// Threads for what blocks: queries, large bodies, flushes. They end after 10 s without work.
    const MAX_BLOCKING_THREADS: usize = 128;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Builder::new_multi_thread()
        .worker_threads(cores)
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_name("throng")
        .enable_all()
        .build()
        .context("the runtime cannot be started")
}
