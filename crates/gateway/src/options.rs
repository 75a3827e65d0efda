use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use event::limits::{MAX_BATCH_EVENTS, MAX_BODY_BYTES};

/// Bounds and choices of the gateway.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Largest body, as sent and after inflating; a larger one is answered 413.
    pub max_body_bytes: usize,
    /// Most events of one request; more are answered 413.
    pub max_batch_events: usize,
    /// Most bytes of bodies held at once, over all requests that are not answered yet; beyond it requests are answered 503.
    pub max_in_flight_bytes: usize,
    /// Time for a whole body to arrive; a slower one is answered 408.
    pub body_timeout: Duration,
    /// Proxies whose `X-Forwarded-For` is believed; from anybody else the header is ignored.
    pub trusted_proxies: Vec<AddressRange>,
    /// Events per second that each app may send, with as much again in reserve; beyond it requests are answered 429. `None` = no quota.
    pub quota_events_per_second: Option<u32>,
    /// Most user agents whose analysis is remembered.
    pub max_cached_user_agents: usize,
    /// Where the salt of cookieless ids outlives a restart, until its UTC day is over. `None` = in memory only.
    pub daily_salt_file: Option<PathBuf>,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            max_body_bytes: MAX_BODY_BYTES,
            max_batch_events: MAX_BATCH_EVENTS,
            max_in_flight_bytes: 256 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            trusted_proxies: Vec::new(),
            quota_events_per_second: None,
            max_cached_user_agents: 4096,
            daily_salt_file: None,
        }
    }
}

/// A range of addresses, written `10.0.0.0/8`, `fd00::/8` or, for one address, `192.0.2.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    network: u128,
    mask: u128,
}

/// Text that is not an [`AddressRange`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an address range such as 10.0.0.0/8 or fd00::/8")]
pub struct InvalidRange(String);

impl AddressRange {
    /// True when the address is in the range; an IPv4 address and its IPv6-mapped form are one.
    pub fn contains(&self, address: IpAddr) -> bool {
        as_ipv6_bits(address) & self.mask == self.network
    }
}

impl FromStr for AddressRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let invalid = || InvalidRange(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let address_bits = if address.is_ipv4() { 32u8 } else { 128 };
        let prefix: u8 = prefix.map_or(Ok(address_bits), |prefix| prefix.parse().map_err(|_| invalid()))?;
        if prefix > address_bits {
            return Err(invalid());
        }
        let host_bits = u32::from(address_bits - prefix);
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        Ok(Self { network: as_ipv6_bits(address) & mask, mask })
    }
}

fn as_ipv6_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let contains = |range: &str, address: &str| range.parse::<AddressRange>().unwrap().contains(address.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("192.0.2.1", "192.0.2.1"));
        assert!(!contains("192.0.2.1", "192.0.2.2"));
        assert!(contains("fd00::/8", "fd12::1"));
        assert!(contains("::/0", "1.2.3.4"));
        assert!(!contains("0.0.0.0/0", "fd12::1"));
        for text in ["", "10.0.0.0/33", "10.0.0/8", "x/8", "::/129", "10.0.0.0/"] {
            assert!(text.parse::<AddressRange>().is_err(), "{text}");
        }
    }
}
