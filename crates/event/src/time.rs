use thiserror::Error;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type TimestampMs = i64;

/// A text or number that is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TimeError {
    /// The text is not ISO 8601.
    #[error("expected ISO 8601 such as 2026-01-31T12:00:00Z")]
    Syntax,
    /// ISO 8601 without `Z` or an offset.
    #[error("a time zone is missing: end the text with Z or an offset such as +02:00")]
    MissingZone,
    /// A month, day, hour, minute or second that does not exist.
    #[error("no such day or time of day")]
    OutOfRange,
}

const DAY_MS: i64 = 86_400_000;

/// Parses ISO 8601 with a zone: `2026-01-31T12:00:00[.fraction](Z|+hh[:]mm)`, a space allowed for `T`.
///
/// Fractions beyond milliseconds are cut. A leap second counts as the second before it.
///
/// # Errors
/// [`TimeError`] says which part is wrong.
pub fn parse_timestamp(text: &str) -> Result<TimestampMs, TimeError> {
    let b = text.as_bytes();
    if b.len() < 19 || b[4] != b'-' || b[7] != b'-' || !matches!(b[10], b'T' | b't' | b' ') {
        return Err(TimeError::Syntax);
    }
    if b[13] != b':' || b[16] != b':' {
        return Err(TimeError::Syntax);
    }
    let year = digits(&b[0..4])?;
    let (month, day) = (digits(&b[5..7])?, digits(&b[8..10])?);
    let (hour, minute, second) = (digits(&b[11..13])?, digits(&b[14..16])?, digits(&b[17..19])?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 60 {
        return Err(TimeError::OutOfRange);
    }
    let (fraction_ms, zone) = fraction(&b[19..])?;
    let offset_minutes = zone_offset_minutes(zone)?;
    let seconds = hour * 3600 + minute * 60 + second.min(59);
    Ok(days_from_civil(year, month, day) * DAY_MS + seconds * 1000 + fraction_ms - offset_minutes * 60_000)
}

/// Reads a Unix time in seconds, milliseconds or microseconds, told apart by magnitude
/// (below 10^11 seconds, below 10^14 milliseconds, else microseconds).
///
/// Returns `None` when the number is not finite or out of the range of a time.
pub fn client_timestamp_from_number(number: f64) -> Option<TimestampMs> {
    let magnitude = number.abs();
    let ms = match magnitude {
        m if m < 1e11 => number * 1e3,
        m if m < 1e14 => number,
        m if m < 1e17 => number / 1e3,
        _ => return None,
    };
    // Rounded, since 1780000000.123 has no exact binary form and would otherwise lose its last millisecond.
    Some(ms.round() as i64)
}

/// ISO 8601 in UTC with milliseconds, such as `2026-01-31T12:00:00.500Z`; years beyond 0000 to 9999 have a sign and six or more digits.
pub fn iso_utc(ms: TimestampMs) -> String {
    let (days, ms_of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60);
    let (second, fraction) = (ms_of_day / 1_000 % 60, ms_of_day % 1_000);
    let rest = format!("-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z");
    if (0..=9_999).contains(&year) { format!("{year:04}{rest}") } else { format!("{year:+07}{rest}") }
}

fn digits(bytes: &[u8]) -> Result<i64, TimeError> {
    bytes.iter().try_fold(0i64, |n, b| if b.is_ascii_digit() { Ok(n * 10 + i64::from(b - b'0')) } else { Err(TimeError::Syntax) })
}

fn fraction(rest: &[u8]) -> Result<(i64, &[u8]), TimeError> {
    let Some((b'.' | b',', tail)) = rest.split_first() else {
        return Ok((0, rest));
    };
    let count = tail.iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 {
        return Err(TimeError::Syntax);
    }
    let mut ms = 0;
    for place in 0..3 {
        ms = ms * 10 + tail.get(place).filter(|_| place < count).map_or(0, |b| i64::from(b - b'0'));
    }
    Ok((ms, &tail[count..]))
}

fn zone_offset_minutes(zone: &[u8]) -> Result<i64, TimeError> {
    let (sign, hours, minutes) = match zone {
        [] => return Err(TimeError::MissingZone),
        b"Z" | b"z" => return Ok(0),
        [sign @ (b'+' | b'-'), h1, h2] => (sign, digits(&[*h1, *h2])?, 0),
        [sign @ (b'+' | b'-'), h1, h2, m1, m2] | [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            (sign, digits(&[*h1, *h2])?, digits(&[*m1, *m2])?)
        }
        _ => return Err(TimeError::Syntax),
    };
    if hours > 18 || minutes > 59 {
        return Err(TimeError::OutOfRange);
    }
    let total = hours * 60 + minutes;
    Ok(if *sign == b'-' { -total } else { total })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date; Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a number of days since 1970-01-01: the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn iso_forms() {
        let noon = 1_769_860_800_000;
        for text in ["2026-01-31T12:00:00Z", "2026-01-31 12:00:00.000z", "2026-01-31T14:00:00+02:00", "2026-01-31T07:00:00-0500"] {
            assert_eq!(parse_timestamp(text), Ok(noon), "{text}");
        }
        assert_eq!(parse_timestamp("2026-01-31T12:00:00.1239Z"), Ok(noon + 123));
        assert_eq!(parse_timestamp("2026-01-31T12:00:00.5Z"), Ok(noon + 500));
        assert_eq!(parse_timestamp("2016-12-31T23:59:60Z"), parse_timestamp("2016-12-31T23:59:59Z"));
        assert_eq!(parse_timestamp("0001-01-01T00:00:00Z"), Ok(-62_135_596_800_000));
        assert_eq!(parse_timestamp("9999-12-31T23:59:59.999Z"), Ok(253_402_300_799_999));
    }

    #[test]
    fn written_times() {
        assert_eq!(iso_utc(1_769_860_800_500), "2026-01-31T12:00:00.500Z");
        assert_eq!(iso_utc(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
        assert_eq!(iso_utc(253_402_300_800_000), "+010000-01-01T00:00:00.000Z");
        assert_eq!(iso_utc(-62_167_219_200_001), "-000001-12-31T23:59:59.999Z");
        assert!(iso_utc(i64::MAX).starts_with("+292278994-08-17") && iso_utc(i64::MIN).starts_with("-292275055-05-16"));
    }

    proptest! {
        #[test]
        fn a_written_time_reads_as_itself(ms in -62_167_219_200_000i64..253_402_300_800_000) {
            prop_assert_eq!(parse_timestamp(&iso_utc(ms)), Ok(ms));
        }
    }

    #[test]
    fn iso_refusals() {
        assert_eq!(parse_timestamp("2026-01-31T12:00:00"), Err(TimeError::MissingZone));
        assert_eq!(parse_timestamp("2026-02-29T12:00:00Z"), Err(TimeError::OutOfRange));
        assert_eq!(parse_timestamp("2024-02-29T12:00:00Z"), Ok(1_709_208_000_000));
        for text in [
            "",
            "yesterday",
            "2026-01-31",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00+2",
            "2026/01/31T12:00:00Z",
            "+026-01-31T12:00:00Z",
        ] {
            assert_eq!(parse_timestamp(text), Err(TimeError::Syntax), "{text}");
        }
    }

    #[test]
    fn numbers_by_magnitude() {
        let ms = 1_780_000_000_123;
        assert_eq!(client_timestamp_from_number(1_780_000_000.123), Some(ms));
        assert_eq!(client_timestamp_from_number(1_780_000_000_123.0), Some(ms));
        assert_eq!(client_timestamp_from_number(1_780_000_000_123_456.0), Some(ms));
        assert_eq!(client_timestamp_from_number(1e18), None);
        assert_eq!(client_timestamp_from_number(f64::NAN), None);
    }
}
