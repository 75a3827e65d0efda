use event::TimestampMs;
use jiff::Timestamp;

/// A time in UTC, such as `2026-01-31T12:00:00.5Z`; times beyond the years -9999 to 9999 are shown at that bound.
pub(crate) fn iso_utc(time_ms: TimestampMs) -> String {
    let bounded = Timestamp::from_millisecond(time_ms).unwrap_or(if time_ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    bounded.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_crate_reads_what_is_written() {
        for ms in [0, 1_780_000_000_000, 1_780_000_000_123, -1, 631_152_000_000] {
            assert_eq!(event::parse_timestamp(&iso_utc(ms)), Ok(ms));
        }
        assert!(iso_utc(i64::MAX).starts_with("9999-12-30") && iso_utc(i64::MIN).starts_with("-009999-01-02"));
    }
}
