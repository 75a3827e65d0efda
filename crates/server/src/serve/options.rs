//! The configuration as each room takes it.

use std::time::Duration;

use anyhow::{Context, Result};
use api::ApiOptions;
use event_log::FileLogOptions;
use event_store_parquet::ParquetStoreOptions;
use gateway::{AddressRange, GatewayOptions, ServeOptions};
use query::QueryOptions;
use realtime_store::MemoryOptions;
use stream::StreamOptions;

use crate::config::Config;
use crate::data_folder::DataFolder;

const MIB: usize = 1 << 20;

/// `stored` is the store's position: offsets it has seen are never given again.
pub(super) fn log_options(config: &Config, stored: u64) -> FileLogOptions {
    FileLogOptions {
        group_commit_wait: Duration::from_millis(config.event_log.group_commit_wait_ms),
        max_age: Duration::from_secs(config.event_log.max_age_hours * 3_600),
        max_bytes: config.event_log.max_mib.saturating_mul(MIB as u64),
        min_end: stored,
        ..FileLogOptions::default()
    }
}

pub(super) fn store_options(config: &Config) -> ParquetStoreOptions {
    /// The store refuses rows only well beyond the point where the stream flushes.
    const HEADROOM: usize = 3;
    let max_decoded_bytes = config.event_store.max_decoded_mib.map_or_else(default_decoded_bytes, |mib| mib.saturating_mul(MIB));
    ParquetStoreOptions {
        max_decoded_bytes,
        max_links: config.event_store.max_id_links,
        max_unflushed_rows: config.stream.max_unflushed_rows.saturating_mul(HEADROOM),
        max_unflushed_bytes: config.stream.max_unflushed_mib.saturating_mul(MIB * HEADROOM),
        log_kept_ms: Some(config.event_log.max_age_hours.saturating_mul(3_600_000).min(i64::MAX as u64) as i64),
        ..ParquetStoreOptions::default()
    }
}

/// An eighth of what the process may use, 1 GiB at most.
fn default_decoded_bytes() -> usize {
    const MOST: usize = 1_024 * MIB;
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let of_machine = memory_bytes(&read("/proc/meminfo"));
    // "max", or no file at all, is no limit.
    let of_container = read("/sys/fs/cgroup/memory.max").trim().parse::<usize>().ok();
    of_machine.into_iter().chain(of_container).min().map_or(MOST / 4, |bytes| (bytes / 8).min(MOST))
}

/// `MemTotal` of `/proc/meminfo`.
fn memory_bytes(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1_024)
}

pub(super) fn realtime_options(config: &Config) -> MemoryOptions {
    MemoryOptions { max_bytes: config.realtime_store.max_memory_mib.saturating_mul(MIB) }
}

pub(super) fn gateway_options(config: &Config, folder: &DataFolder) -> Result<GatewayOptions> {
    let gateway = &config.gateway;
    Ok(GatewayOptions {
        max_in_flight_bytes: gateway.max_in_flight_mib.saturating_mul(MIB),
        body_timeout: Duration::from_millis(gateway.body_timeout_ms),
        trusted_proxies: trusted_proxies(config)?,
        quota_events_per_second: gateway.quota_events_per_second,
        daily_salt_file: Some(folder.daily_salt()),
        ..GatewayOptions::default()
    })
}

/// Proxies whose word is taken for where a request comes from.
pub(super) fn trusted_proxies(config: &Config) -> Result<Vec<AddressRange>> {
    let parse = |range: &String| range.parse().with_context(|| "gateway.trusted_proxies".to_owned());
    config.gateway.trusted_proxies.iter().map(parse).collect()
}

pub(super) fn stream_options(config: &Config, folder: &DataFolder) -> StreamOptions {
    let stream = &config.stream;
    StreamOptions {
        publish_interval_ms: stream.publish_interval_ms,
        flush_interval_ms: stream.flush_interval_ms,
        max_unflushed_rows: stream.max_unflushed_rows,
        max_unflushed_bytes: stream.max_unflushed_mib.saturating_mul(MIB),
        dedupe_enabled: stream.dedupe_enabled,
        drain_timeout_ms: stream.drain_timeout_ms,
        maintain_interval_ms: stream.upkeep_interval_ms,
        ..StreamOptions::new(folder.stream())
    }
}

pub(super) fn query_options(config: &Config) -> QueryOptions {
    QueryOptions {
        cache_ttl: Duration::from_millis(config.query.cache_ttl_ms),
        time_limit: Duration::from_millis(config.query.time_limit_ms),
        memory_bytes_per_query: config.query.max_memory_mib.saturating_mul(MIB),
        memory_bytes_total: config.query.max_total_memory_mib.saturating_mul(MIB),
        max_concurrent: config.query.max_concurrent,
        max_queued: config.query.max_queued,
        niceness: config.query.niceness,
        max_concurrent_exports: config.query.max_concurrent_exports,
        ..QueryOptions::default()
    }
}

pub(super) fn api_options(config: &Config) -> ApiOptions {
    let api = &config.api;
    ApiOptions {
        max_live_streams: api.max_live_streams,
        live_interval: Duration::from_millis(api.live_interval_ms),
        dashboard_interval: Duration::from_millis(api.dashboard_interval_ms),
        max_dashboard_questions: api.max_dashboard_questions,
        max_dashboard_computations: api.max_dashboard_computations,
        dashboard_answer_bytes: api.max_dashboard_answers_mib << 20,
        dashboard_stall_limit: Duration::from_millis(api.dashboard_stall_limit_ms),
    }
}

pub(super) fn serve_options(config: &Config) -> ServeOptions {
    ServeOptions {
        header_timeout: Duration::from_millis(config.server.header_timeout_ms),
        max_connections: config.server.max_connections,
        drain_timeout: Duration::from_millis(config.server.drain_timeout_ms),
        ..ServeOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoded_columns_take_an_eighth_of_the_memory() {
        assert_eq!(memory_bytes("MemTotal:       24683520 kB\nMemFree: 1 kB\n"), Some(24_683_520 << 10));
        assert_eq!(memory_bytes("nothing"), None);
        assert!((1..=1_024 * MIB).contains(&default_decoded_bytes()));
        let config: Config = toml::from_str("[event_store]\nmax_decoded_mib = 0").unwrap();
        assert_eq!(store_options(&config).max_decoded_bytes, 0);
    }
}
