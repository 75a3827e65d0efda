use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use event::AppId;

/// A token bucket per app: `rate` events per second, with one second's worth in reserve.
///
/// An app whose bucket is not empty may send a whole batch and go below zero with it, so a batch is never split.
pub(crate) struct Quota {
    rate: f64,
    buckets: Mutex<HashMap<AppId, Bucket>>,
}

/// Beyond this many buckets the full ones, which say nothing, are dropped.
const MAX_BUCKETS: usize = 100_000;

struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Quota {
    pub(crate) fn new(events_per_second: u32) -> Self {
        Self { rate: f64::from(events_per_second.max(1)), buckets: Mutex::default() }
    }

    /// Takes `events` from the app's bucket.
    ///
    /// # Errors
    /// The seconds after which the app may send again; nothing was taken.
    pub(crate) fn take(&self, app: &AppId, events: usize, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(app) {
            buckets.retain(|_, bucket| bucket.tokens_at(now, self.rate) < self.rate);
        }
        let bucket = buckets.entry(app.clone()).or_insert(Bucket { tokens: self.rate, filled_at: now });
        bucket.tokens = bucket.tokens_at(now, self.rate);
        bucket.filled_at = now;
        if bucket.tokens <= 0.0 {
            return Err((-bucket.tokens / self.rate).ceil().max(1.0) as u64);
        }
        bucket.tokens -= events as f64;
        Ok(())
    }
}

impl Bucket {
    fn tokens_at(&self, now: Instant, rate: f64) -> f64 {
        (self.tokens + now.saturating_duration_since(self.filled_at).as_secs_f64() * rate).min(rate)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_app_has_its_own_rate_and_reserve() {
        let quota = Quota::new(100);
        let (a, b) = (AppId::new("A").unwrap(), AppId::new("B").unwrap());
        let start = Instant::now();
        assert_eq!(quota.take(&a, 60, start), Ok(()));
        assert_eq!(quota.take(&a, 240, start), Ok(()));
        assert_eq!(quota.take(&a, 1, start), Err(2));
        assert_eq!(quota.take(&b, 1, start), Ok(()));
        assert_eq!(quota.take(&a, 1, start + Duration::from_millis(1900)), Err(1));
        assert_eq!(quota.take(&a, 1, start + Duration::from_millis(2100)), Ok(()));
        let much_later = start + Duration::from_secs(3600);
        assert_eq!(quota.take(&a, 101, much_later), Ok(()));
        assert!(quota.take(&a, 1, much_later).is_err());
    }
}
