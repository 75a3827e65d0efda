use event::TimestampMs;
use jiff::Timestamp;

/// A time in UTC, such as `2026-01-31T12:00:00.5Z`.
pub(crate) fn iso_utc(time_ms: TimestampMs) -> String {
    // The calendar ends a day before the year 9999 does, and an event's own time may be anything.
    Timestamp::from_millisecond(time_ms).map_or_else(|_| event::iso_utc(time_ms), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_crate_reads_what_is_written() {
        for ms in [0, 1_780_000_000_000, 1_780_000_000_123, -1, 631_152_000_000, 253_402_300_799_999] {
            assert_eq!(event::parse_timestamp(&iso_utc(ms)), Ok(ms));
        }
        assert!(iso_utc(i64::MAX).starts_with("+292278994-08-17"));
    }
}
