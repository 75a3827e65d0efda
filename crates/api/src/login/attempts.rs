use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use event::TimestampMs;
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// Failed attempts are counted for so long.
const WINDOW_MS: i64 = 15 * 60_000;
/// Failed attempts on one account in that time, from wherever they come.
const MAX_PER_ACCOUNT: u32 = 10;
/// Failed attempts from one address in that time, on whatever account.
const MAX_PER_ADDRESS: u32 = 50;
/// Accounts and addresses that are counted at once; beyond it the oldest count is forgotten.
const MAX_COUNTED: usize = 50_000;
/// Passwords that are hashed at once: each takes 19 MiB and a core for tens of milliseconds.
const MAX_HASHING: usize = 2;
/// Requests that wait for their turn at that.
const MAX_WAITING: usize = 64;
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What is counted. An address of IPv6 stands for its network of 64 bits, which one household has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Account(String),
    Address(IpAddr),
}

#[derive(Clone, Copy)]
struct Count {
    since_ms: TimestampMs,
    failures: u32,
}

/// Bounds guessing: how many wrong passwords an account and an address may have, and how many are hashed at once.
pub(crate) struct Attempts {
    counts: Mutex<HashMap<Counted, Count>>,
    hashing: Semaphore,
    waiting: Arc<Semaphore>,
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self { counts: Mutex::default(), hashing: Semaphore::new(MAX_HASHING), waiting: Arc::new(Semaphore::new(MAX_WAITING)) }
    }

    /// Counts an attempt as failed before its outcome is known, so that many at once are no way around the limit.
    pub(crate) fn count(&self, account: &str, address: Option<IpAddr>, now_ms: TimestampMs) -> Result<(), ApiError> {
        let of_account = (Counted::Account(account.to_owned()), MAX_PER_ACCOUNT);
        let of_address = address.map(|address| (Counted::Address(network(address)), MAX_PER_ADDRESS));
        let limits = [Some(of_account), of_address];
        let mut counts = self.counts();
        for (counted, limit) in limits.iter().flatten() {
            let count = counts.get(counted).filter(|count| is_open(count, now_ms));
            if let Some(count) = count.filter(|count| count.failures >= *limit) {
                return Err(too_many(counted, count.since_ms + WINDOW_MS - now_ms));
            }
        }
        for (counted, _) in limits.into_iter().flatten() {
            make_room(&mut counts, &counted, now_ms);
            let count = counts.entry(counted).or_insert(Count { since_ms: now_ms, failures: 0 });
            if !is_open(count, now_ms) {
                *count = Count { since_ms: now_ms, failures: 0 };
            }
            count.failures += 1;
        }
        Ok(())
    }

    /// The attempt was right: the account's count begins anew, the address is given this one back.
    pub(crate) fn succeeded(&self, account: &str, address: Option<IpAddr>) {
        let mut counts = self.counts();
        counts.remove(&Counted::Account(account.to_owned()));
        if let Some(count) = address.and_then(|address| counts.get_mut(&Counted::Address(network(address)))) {
            count.failures = count.failures.saturating_sub(1);
        }
    }

    /// Runs what hashes a password on a thread of its own, few at a time.
    pub(crate) async fn hashing<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let busy = || ApiError::unavailable("logins_busy", "too many people log in at this moment: try again");
        let _place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| busy())?;
        let turn = tokio::time::timeout(LONGEST_WAIT, self.hashing.acquire()).await;
        let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "hashing a password panicked");
            ApiError::internal()
        })
    }

    /// Numbers are all that changes under the lock; a panic cannot leave it half done.
    fn counts(&self) -> MutexGuard<'_, HashMap<Counted, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_open(count: &Count, now_ms: TimestampMs) -> bool {
    now_ms - count.since_ms < WINDOW_MS
}

fn make_room(counts: &mut HashMap<Counted, Count>, counted: &Counted, now_ms: TimestampMs) {
    if counts.len() < MAX_COUNTED || counts.contains_key(counted) {
        return;
    }
    counts.retain(|_, count| is_open(count, now_ms));
    if counts.len() >= MAX_COUNTED
        && let Some(oldest) = counts.iter().min_by_key(|(_, count)| count.since_ms).map(|(counted, _)| counted.clone())
    {
        counts.remove(&oldest);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(), IpAddr::V4),
    }
}

fn too_many(counted: &Counted, wait_ms: i64) -> ApiError {
    let seconds = u32::try_from((wait_ms + 999) / 1_000).unwrap_or(1).max(1);
    let of = match counted {
        Counted::Account(_) => format!("{MAX_PER_ACCOUNT} wrong passwords for this e-mail address"),
        Counted::Address(_) => format!("{MAX_PER_ADDRESS} wrong passwords from your address"),
    };
    let minutes = seconds.div_ceil(60);
    let message = format!("{of} in {} minutes are the most there may be: try again in {minutes} min", WINDOW_MS / 60_000);
    ApiError { retry_after_seconds: Some(seconds), ..ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn guessing_at_one_account_ends_wherever_it_comes_from() {
        let attempts = Attempts::new();
        for n in 0..MAX_PER_ACCOUNT {
            attempts.count("ann", address(&format!("192.0.2.{n}")), 1_000).unwrap();
        }
        let refusal = attempts.count("ann", address("198.51.100.1"), 61_000).unwrap_err();
        assert_eq!((refusal.status.as_u16(), refusal.retry_after_seconds), (429, Some(840)));
        attempts.count("bob", address("198.51.100.1"), 61_000).unwrap();
        attempts.count("ann", address("198.51.100.1"), 1_000 + WINDOW_MS).unwrap();
    }

    #[test]
    fn guessing_from_one_address_ends_whatever_the_account() {
        let attempts = Attempts::new();
        for n in 0..MAX_PER_ADDRESS {
            attempts.count(&n.to_string(), address(&format!("2001:db8::{n:x}")), 0).unwrap();
        }
        assert!(attempts.count("x", address("2001:db8::ffff:ffff"), 0).is_err(), "the same network of 64 bits");
        assert!(attempts.count("x", address("2001:db8:0:1::1"), 0).is_ok());
        assert!(attempts.count("x", None, 0).is_ok());
    }

    #[test]
    fn who_knows_the_password_is_not_held_up() {
        let attempts = Attempts::new();
        for _ in 0..200 {
            attempts.count("ann", address("192.0.2.1"), 0).unwrap();
            attempts.succeeded("ann", address("192.0.2.1"));
        }
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let attempts = Attempts::new();
        for n in 0..MAX_COUNTED + 10 {
            attempts.count(&n.to_string(), None, n as i64 / 1_000).unwrap();
        }
        assert_eq!(attempts.counts().len(), MAX_COUNTED);
    }
}
