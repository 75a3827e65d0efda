use crate::limits::{CLOCK_TOLERANCE_MS, EARLIEST_TIME_MS, MAX_FUTURE_MS, MAX_ID_BYTES, MAX_INSERT_ID_BYTES, MAX_NAME_CHARS};
use crate::reject::{Reject, RejectCode};
use crate::time::TimestampMs;

/// Ids that clients send when they meant to send none; compared without case.
const PLACEHOLDER_IDS: [&str; 20] = [
    "null",
    "undefined",
    "none",
    "nil",
    "nan",
    "anonymous",
    "guest",
    "unknown",
    "n/a",
    "na",
    "0",
    "-1",
    "true",
    "false",
    "[object object]",
    "user_id",
    "anonymous_id",
    "distinct_id",
    "00000000-0000-0000-0000-000000000000",
    "not_authenticated",
];

/// Checks an event name: 1 to 255 characters.
///
/// # Errors
/// [`RejectCode::MissingName`] or [`RejectCode::NameTooLong`].
pub fn check_name(name: &str) -> Result<(), Reject> {
    if name.is_empty() {
        return Err(Reject::new(RejectCode::MissingName, "name is empty: give the event a name of 1 to 255 characters"));
    }
    if name.len() > MAX_NAME_CHARS && name.chars().count() > MAX_NAME_CHARS {
        let message = format!("name has {} characters, at most {MAX_NAME_CHARS} are allowed", name.chars().count());
        return Err(Reject::new(RejectCode::NameTooLong, message));
    }
    Ok(())
}

/// Checks a `user_id`, `anonymous_id` or `session_id` (`field` names it in the message): 1 to 255 bytes and not a placeholder.
///
/// # Errors
/// [`RejectCode::InvalidId`] or [`RejectCode::PlaceholderId`].
pub fn check_id(field: &str, id: &str) -> Result<(), Reject> {
    check_length(field, id, MAX_ID_BYTES)?;
    // The longest placeholder bounds the comparison, so ordinary ids pay for one length test.
    if id.len() <= 36 && PLACEHOLDER_IDS.iter().any(|placeholder| placeholder.eq_ignore_ascii_case(id)) {
        let message = format!("{field} is the placeholder \"{id}\": send the real id, or null for an event without a person");
        return Err(Reject::new(RejectCode::PlaceholderId, message));
    }
    Ok(())
}

/// Checks an `insert_id`: 1 to 64 bytes.
///
/// # Errors
/// [`RejectCode::InvalidId`].
pub fn check_insert_id(id: &str) -> Result<(), Reject> {
    check_length("insert_id", id, MAX_INSERT_ID_BYTES)
}

fn check_length(field: &str, id: &str, max_bytes: usize) -> Result<(), Reject> {
    if id.is_empty() || id.len() > max_bytes {
        let message = format!("{field} has {} bytes, 1 to {max_bytes} are allowed", id.len());
        return Err(Reject::new(RejectCode::InvalidId, message));
    }
    Ok(())
}

/// Where an event stands in time after the clock correction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckedTime {
    /// The time the event counts at.
    pub time_ms: TimestampMs,
    /// The client's own timestamp; equals `time_ms` where nothing was corrected.
    pub client_time_ms: TimestampMs,
    /// True when the event lay over 24 h ahead of its receipt and was set to it.
    pub was_in_future: bool,
    /// True when the clock correction would have made a possible time impossible, and was left out.
    pub was_left_uncorrected: bool,
}

/// What is added to the timestamps of a client that says it sent them at `sent_at_ms`: 0 within a minute of the receipt.
pub fn clock_correction_ms(sent_at_ms: Option<TimestampMs>, received_at_ms: TimestampMs) -> i64 {
    let drift_ms = sent_at_ms.map_or(0, |sent| received_at_ms.saturating_sub(sent));
    if drift_ms.saturating_abs() > CLOCK_TOLERANCE_MS { drift_ms } else { 0 }
}

/// Corrects and bounds a client's timestamp; `oldest_ms` is the start of the app's raw retention.
///
/// A correction that would make a possible time impossible (too old, or over 24 h ahead) comes from a wrong `sent_at`, not from a
/// wrong clock: the event then keeps its own time.
///
/// # Errors
/// [`RejectCode::TooOld`] before 1990 or before `oldest_ms`.
pub fn place_in_time(
    client_time_ms: Option<TimestampMs>,
    sent_at_ms: Option<TimestampMs>,
    received_at_ms: TimestampMs,
    oldest_ms: TimestampMs,
) -> Result<CheckedTime, Reject> {
    let at_receipt =
        CheckedTime { time_ms: received_at_ms, client_time_ms: received_at_ms, was_in_future: false, was_left_uncorrected: false };
    let Some(client_time_ms) = client_time_ms else { return Ok(at_receipt) };
    let (earliest_ms, latest_ms) = (EARLIEST_TIME_MS.max(oldest_ms), received_at_ms.saturating_add(MAX_FUTURE_MS));
    let is_possible = |ms: TimestampMs| (earliest_ms..=latest_ms).contains(&ms);
    let corrected = client_time_ms.saturating_add(clock_correction_ms(sent_at_ms, received_at_ms));
    let was_left_uncorrected = !is_possible(corrected) && is_possible(client_time_ms);
    let placed = if was_left_uncorrected { client_time_ms } else { corrected };
    if placed < earliest_ms {
        return Err(too_old(placed));
    }
    let was_in_future = placed > latest_ms;
    let time_ms = if was_in_future { received_at_ms } else { placed };
    Ok(CheckedTime { time_ms, client_time_ms, was_in_future, was_left_uncorrected })
}

#[cold]
fn too_old(ms: TimestampMs) -> Reject {
    let limit = if ms < EARLIEST_TIME_MS { "before 1990" } else { "older than this app keeps raw events" };
    let message = format!(
        "timestamp is {limit} ({ms} ms since 1970): send it in seconds, milliseconds or ISO 8601, or lengthen the app's raw retention"
    );
    Reject::new(RejectCode::TooOld, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_780_000_000_000;

    #[test]
    fn ids() {
        assert!(check_id("user_id", "U1").is_ok());
        for id in ["", "NULL", "Undefined", "anonymous", "00000000-0000-0000-0000-000000000000", &"x".repeat(256)] {
            assert!(check_id("user_id", id).is_err(), "{id}");
        }
        assert!(check_id("user_id", &"é".repeat(127)).is_ok());
        assert!(check_name(&"é".repeat(255)).is_ok());
        assert!(check_name(&"é".repeat(256)).is_err());
    }

    #[test]
    fn clock_correction_only_beyond_a_minute() {
        let placed = |client, sent| place_in_time(Some(client), Some(sent), NOW, 0).unwrap().time_ms;
        assert_eq!(placed(NOW - 5_000, NOW - 60_000), NOW - 5_000);
        assert_eq!(placed(NOW - 3_605_000, NOW - 3_600_000), NOW - 5_000);
        assert_eq!(placed(NOW + 3_595_000, NOW + 3_600_000), NOW - 5_000);
    }

    #[test]
    fn a_correction_makes_no_good_time_impossible() {
        const YEAR_MS: i64 = 365 * 86_400_000;
        let placed = |client, sent| {
            place_in_time(Some(client), Some(sent), NOW, NOW - 2 * YEAR_MS).map(|time| (time.time_ms, time.was_left_uncorrected))
        };
        // A clock that starts in 1970 and counts right: what the correction is for.
        assert_eq!(placed(5_000, 10_000), Ok((NOW - 5_000, false)));
        // A wrong sent_at beside a right clock, in 1970, in 2100, and just beyond the raw retention.
        assert_eq!(placed(NOW - 5_000, 0), Ok((NOW - 5_000, true)));
        assert_eq!(placed(NOW - 5_000, 4_102_444_800_000), Ok((NOW - 5_000, true)));
        assert_eq!(placed(NOW - 5_000, NOW + 2 * YEAR_MS), Ok((NOW - 5_000, true)));
        // Neither is possible.
        assert_eq!(placed(0, NOW).unwrap_err().code, RejectCode::TooOld);
        assert_eq!(placed(NOW + 3 * YEAR_MS, NOW).unwrap(), (NOW, false));
    }

    #[test]
    fn future_is_set_to_receipt_and_past_is_refused() {
        let far = place_in_time(Some(NOW + MAX_FUTURE_MS + 1), None, NOW, 0).unwrap();
        assert_eq!((far.time_ms, far.was_in_future), (NOW, true));
        assert!(!place_in_time(Some(NOW + MAX_FUTURE_MS), None, NOW, 0).unwrap().was_in_future);
        assert_eq!(place_in_time(Some(EARLIEST_TIME_MS - 1), None, NOW, 0).unwrap_err().code, RejectCode::TooOld);
        assert_eq!(place_in_time(Some(NOW - 10), None, NOW, NOW - 9).unwrap_err().code, RejectCode::TooOld);
        assert!(place_in_time(Some(i64::MAX), Some(i64::MIN), NOW, 0).unwrap().was_in_future);
    }
}
