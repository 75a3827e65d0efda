use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat};

/// Starts writing log lines to standard error.
pub(super) fn start(config: &LogConfig) -> Result<()> {
    let filter = EnvFilter::builder().parse(&config.level).with_context(|| format!("log.level: {:?} is not a filter", config.level))?;
    let registry = tracing_subscriber::registry().with(filter);
    match config.format {
        LogFormat::Text => registry.with(layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal())).try_init(),
        LogFormat::Json => registry.with(layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init(),
    }
    .context("log lines cannot be written")
}
