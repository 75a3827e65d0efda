//! The object storage that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use event_store_parquet::TierOptions;
use event_store_tier::ObjectTier;

use crate::config::Config;

const DAY_MS: i64 = 86_400_000;
/// A question over storage that never answers waits for it once, then goes on without and has most of its time left.
const WAITS_IN_TIME_LIMIT: u64 = 5;
/// What a slow line needs for one read, also where questions have little time or nobody asks any.
const MIN_READ_WAIT_MS: u64 = 500;
const MAX_READ_WAIT_MS: u64 = 20_000;

/// Opens it for questions; `None` where none is configured. Nothing is sent yet.
pub(crate) fn open_for_questions(config: &Config) -> Result<Option<TierOptions>> {
    let wait_ms = config.query.time_limit_ms / WAITS_IN_TIME_LIMIT;
    open(config, wait_ms.clamp(MIN_READ_WAIT_MS, MAX_READ_WAIT_MS))
}

/// Opens it for a command that has time.
pub(crate) fn open_patiently(config: &Config) -> Result<Option<TierOptions>> {
    open(config, MAX_READ_WAIT_MS)
}

fn open(config: &Config, max_read_wait_ms: u64) -> Result<Option<TierOptions>> {
    let tier = &config.event_store.tier;
    let Some(url) = &tier.url else { return Ok(None) };
    let opened = ObjectTier::open(url, Duration::from_millis(max_read_wait_ms));
    let opened = opened.map_err(|error| anyhow::anyhow!("event_store.tier.url: {error}"))?;
    Ok(Some(TierOptions {
        tier: Arc::new(opened),
        after_ms: i64::from(tier.after_days).saturating_mul(DAY_MS),
        max_cache_bytes: tier.cache_mib.saturating_mul(1 << 20),
    }))
}
