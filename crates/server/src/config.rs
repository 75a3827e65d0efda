mod backend;
mod reference;
mod section;
mod sections;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cli::Place;
use crate::output;
use backend::Embedded;
use sections::{ApiConfig, EventLogConfig, EventStoreConfig, GatewayConfig, MetadataStoreConfig};
pub(crate) use sections::{LogConfig, LogFormat, Role};
use sections::{QueryConfig, RealtimeStoreConfig, ServerConfig, StreamConfig};

/// A hundred years.
const MAX_LOG_AGE_HOURS: u64 = 876_600;

/// Everything that can be set. Missing keys have their defaults, unknown ones are errors.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) log: LogConfig,
    pub(crate) gateway: GatewayConfig,
    pub(crate) event_log: EventLogConfig,
    pub(crate) stream: StreamConfig,
    pub(crate) event_store: EventStoreConfig,
    pub(crate) realtime_store: RealtimeStoreConfig,
    pub(crate) metadata_store: MetadataStoreConfig,
    pub(crate) query: QueryConfig,
    pub(crate) api: ApiConfig,
}

/// Where the embedded backends lie; live windows are in memory.
pub(crate) struct Backends {
    pub(crate) event_log: Embedded,
    pub(crate) event_store: Embedded,
    pub(crate) metadata_store: Embedded,
}

#[derive(Args)]
#[command(after_help = "Examples:
  throng config --config throng.toml    the configuration in effect, defaults included, as TOML
  throng config --reference             all keys with their meaning and default, as Markdown")]
pub(crate) struct ConfigArgs {
    /// Describe all keys instead
    #[arg(long)]
    reference: bool,
    #[command(flatten)]
    place: Place,
}

/// Runs `throng config`.
pub(crate) fn run(args: &ConfigArgs) -> Result<()> {
    let text = if args.reference { reference::markdown()? } else { toml::to_string(&Config::load(&args.place)?)? };
    output::line(text.trim_end())
}

impl Config {
    /// Reads the file, where one is named, and puts what was typed over it.
    pub(crate) fn load(place: &Place) -> Result<Self> {
        let mut config = match &place.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        if let Some(data) = &place.data {
            config.server.data = data.display().to_string();
        }
        config.check()?;
        Ok(config)
    }

    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("the configuration {} cannot be read", path.display()))?;
        toml::from_str(&text).with_context(|| format!("the configuration {} is not valid", path.display()))
    }

    /// What a type cannot say.
    pub(crate) fn check(&self) -> Result<()> {
        if self.server.roles.is_empty() {
            bail!("server.roles: name at least one of gateway, stream, query");
        }
        self.listen()?;
        self.backends()?;
        if let Some(url) = &self.event_store.tier.url
            && !url.starts_with("file:///")
            && !url.starts_with("s3://")
        {
            bail!("event_store.tier.url: {url:?} is neither file:///PATH nor s3://BUCKET/PREFIX");
        }
        if self.event_log.max_age_hours > MAX_LOG_AGE_HOURS {
            bail!("event_log.max_age_hours: at most {MAX_LOG_AGE_HOURS}");
        }
        for (key, value) in [
            ("server.max_connections", self.server.max_connections),
            ("gateway.max_in_flight_mib", self.gateway.max_in_flight_mib),
            ("stream.max_unflushed_rows", self.stream.max_unflushed_rows),
            ("stream.max_unflushed_mib", self.stream.max_unflushed_mib),
            ("query.time_limit_ms", self.query.time_limit_ms as usize),
            ("query.max_memory_mib", self.query.max_memory_mib),
            ("query.max_total_memory_mib", self.query.max_total_memory_mib),
            ("query.max_concurrent", self.query.max_concurrent),
            ("query.max_concurrent_exports", self.query.max_concurrent_exports),
            ("api.max_live_streams", self.api.max_live_streams),
            ("api.dashboard_interval_ms", self.api.dashboard_interval_ms as usize),
            ("api.max_dashboard_questions", self.api.max_dashboard_questions),
            ("api.max_dashboard_computations", self.api.max_dashboard_computations),
            ("event_store.tier.after_days", self.event_store.tier.after_days as usize),
            ("event_store.tier.cache_mib", self.event_store.tier.cache_mib as usize),
        ] {
            if value == 0 {
                bail!("{key}: must be more than 0");
            }
        }
        if !(0..=19).contains(&self.query.niceness) {
            bail!("query.niceness: from 0 to 19, as of nice(1)");
        }
        Ok(())
    }

    /// The data folder.
    pub(crate) fn data_folder(&self) -> PathBuf {
        PathBuf::from(&self.server.data)
    }

    /// Where to listen.
    pub(crate) fn listen(&self) -> Result<SocketAddr> {
        let address = &self.server.listen;
        address.parse().with_context(|| format!("server.listen: {address:?} is not an address such as 127.0.0.1:7070 or [::]:7070"))
    }

    /// The backends named by the URLs.
    pub(crate) fn backends(&self) -> Result<Backends> {
        Embedded::parse("realtime_store.url", &self.realtime_store.url, "memory", &["redis"])?;
        Ok(Backends {
            event_log: Embedded::parse("event_log.url", &self.event_log.url, "file", &["kafka"])?,
            event_store: Embedded::parse("event_store.url", &self.event_store.url, "parquet", &["clickhouse"])?,
            metadata_store: Embedded::parse("metadata_store.url", &self.metadata_store.url, "sqlite", &["postgres", "postgresql"])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        let config: Config = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    #[test]
    fn defaults_are_valid_and_survive_being_written() {
        let written = toml::to_string(&Config::default()).unwrap();
        let read = parse(&written).unwrap();
        assert_eq!(toml::to_string(&read).unwrap(), written);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("[stream]\ndedup = true", "dedup"),
            ("[strem]\n", "strem"),
            ("[server]\nlisten = \"7070\"", "server.listen"),
            ("[server]\nroles = []", "server.roles"),
            ("[server]\nroles = [\"cook\"]", "cook"),
            ("[event_log]\nurl = \"kafka://broker:9092\"", "event_log.url"),
            ("[event_store]\nurl = \"s3://bucket\"", "event_store.url"),
            ("[query]\nmax_memory_mib = 0", "query.max_memory_mib"),
            ("[event_store.tier]\nurl = \"/srv/old\"", "event_store.tier.url"),
            ("[event_store.tier]\nafter_days = 0", "event_store.tier.after_days"),
            ("[query]\nniceness = 20", "query.niceness"),
            ("[event_log]\nmax_age_hours = 9000000", "event_log.max_age_hours"),
        ] {
            let error = format!("{:#}", parse(text).err().unwrap_or_else(|| panic!("{text}")));
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_typed_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("throng.toml");
        std::fs::write(&file, "[server]\ndata = \"from-file\"\n[stream]\ndedupe_enabled = false\n").unwrap();
        let place = |data: Option<&str>| Place { data: data.map(PathBuf::from), config: Some(file.clone()) };
        assert_eq!(Config::load(&place(None)).unwrap().server.data, "from-file");
        let typed = Config::load(&place(Some("typed"))).unwrap();
        assert_eq!((typed.server.data.as_str(), typed.stream.dedupe_enabled), ("typed", false));
    }
}
