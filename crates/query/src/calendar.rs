use event::TimestampMs;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Times a question may name: 1900 to 2200, so that no sum of days leaves the calendar.
pub(crate) const EARLIEST_ASKED_MS: TimestampMs = -2_208_988_800_000;
/// See [`EARLIEST_ASKED_MS`].
pub(crate) const LATEST_ASKED_MS: TimestampMs = 7_258_118_400_000;

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interval {
    /// A minute of the wall clock.
    Minute,
    /// An hour of the wall clock; a change of offset inside an hour ends a bucket.
    Hour,
    /// A calendar day, 23 to 25 hours where clocks change.
    Day,
    /// Seven calendar days.
    Week,
    /// A calendar month.
    Month,
}

/// One bucket of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Where the minute, day, ... begins: the first one may begin before the range does.
    pub label_ms: TimestampMs,
    /// First millisecond of the bucket that lies in the range.
    pub start_ms: TimestampMs,
}

/// The zone of an IANA name. The database is the program's own, so that an answer does not depend on the machine, and no name is a path.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// ISO 8601 with the zone's offset, such as `2026-03-08T03:00:00-04:00`; beyond the calendar, whose last day is 30 December 9999, in UTC.
pub(crate) fn iso(zone: &TimeZone, ms: TimestampMs) -> String {
    let Ok(time) = Timestamp::from_millisecond(ms) else { return event::iso_utc(ms) };
    time.display_with_offset(zone.to_offset(time)).to_string()
}

/// The calendar day of an instant.
pub(crate) fn date_of(zone: &TimeZone, ms: TimestampMs) -> Date {
    zone.to_datetime(instant(ms)).date()
}

/// First millisecond of a day; a day that the zone left out begins where the next one does.
pub(crate) fn start_of_day(zone: &TimeZone, date: Date) -> TimestampMs {
    at_wall_clock(zone, date.at(0, 0, 0, 0))
}

/// The instant of a wall clock reading: the first of two where it comes twice, as much later as the gap is wide where it does not come.
pub(crate) fn at_wall_clock(zone: &TimeZone, reading: DateTime) -> TimestampMs {
    zone.to_timestamp(reading).unwrap_or(Timestamp::MAX).as_millisecond()
}

/// `date` moved by whole days.
pub(crate) fn add_days(date: Date, days: i64) -> Date {
    date.saturating_add(jiff::Span::new().days(days.clamp(-1_000_000, 1_000_000)))
}

/// Start of the range of the same length just before `[from_ms, to_ms)`: as many calendar days where both ends are starts of days.
pub(crate) fn previous_start(zone: &TimeZone, from_ms: TimestampMs, to_ms: TimestampMs) -> TimestampMs {
    let (first, end) = (date_of(zone, from_ms), date_of(zone, to_ms));
    if start_of_day(zone, first) == from_ms && start_of_day(zone, end) == to_ms {
        let days = i64::from(first.until(end).map_or(0, |span| span.get_days()));
        return start_of_day(zone, add_days(first, -days)).min(from_ms - 1);
    }
    from_ms - (to_ms - from_ms)
}

/// The buckets that partition `[from_ms, to_ms)`, or `None` when there are more than `max_count`.
pub(crate) fn buckets(
    zone: &TimeZone,
    interval: Interval,
    week_start: Weekday,
    (from_ms, to_ms): (TimestampMs, TimestampMs),
    max_count: usize,
) -> Option<Vec<Bucket>> {
    let mut label_ms = first_label(zone, interval, week_start, from_ms);
    let mut found = Vec::new();
    while label_ms < to_ms {
        if found.len() == max_count {
            return None;
        }
        found.push(Bucket { label_ms, start_ms: label_ms.max(from_ms) });
        label_ms = next_label(zone, interval, label_ms);
    }
    Some(found)
}

/// Where so many periods begin one after the other, the first of them that in which `from_ms` lies.
pub(crate) fn labels_from(
    zone: &TimeZone,
    interval: Interval,
    week_start: Weekday,
    from_ms: TimestampMs,
    count: usize,
) -> Vec<TimestampMs> {
    let first_ms = first_label(zone, interval, week_start, from_ms);
    std::iter::successors(Some(first_ms), |label_ms| Some(next_label(zone, interval, *label_ms))).take(count).collect()
}

/// Where the period begins in which `from_ms` lies, and before it so many others, ascending.
pub(crate) fn labels_to(zone: &TimeZone, interval: Interval, week_start: Weekday, from_ms: TimestampMs, before: usize) -> Vec<TimestampMs> {
    /// Zones may leave out a day.
    const SPARE: i64 = 3;
    let label_ms = first_label(zone, interval, week_start, from_ms);
    let longest_ms = match interval {
        Interval::Minute => MINUTE_MS,
        Interval::Hour => HOUR_MS,
        Interval::Day => 25 * HOUR_MS,
        Interval::Week => 7 * 25 * HOUR_MS,
        Interval::Month => 31 * 25 * HOUR_MS,
    };
    let earliest_ms = label_ms.saturating_sub((before as i64 + SPARE).saturating_mul(longest_ms));
    let mut labels: Vec<TimestampMs> = buckets(zone, interval, week_start, (earliest_ms, label_ms), usize::MAX)
        .unwrap_or_default()
        .iter()
        .map(|bucket| bucket.label_ms)
        .collect();
    labels.drain(..labels.len().saturating_sub(before));
    labels.push(label_ms);
    labels
}

fn first_label(zone: &TimeZone, interval: Interval, week_start: Weekday, from_ms: TimestampMs) -> TimestampMs {
    let day = date_of(zone, from_ms);
    match interval {
        Interval::Minute => wall_floor(zone, from_ms, MINUTE_MS),
        Interval::Hour => {
            // Hours are walked from midnight, so that their edges on a day with a change of offset do not depend on the range.
            let mut label_ms = start_of_day(zone, day);
            loop {
                let next = next_label(zone, Interval::Hour, label_ms);
                if next > from_ms {
                    return label_ms;
                }
                label_ms = next;
            }
        }
        Interval::Day => start_of_day(zone, day),
        Interval::Week => start_of_day(zone, add_days(day, -i64::from(day.weekday().since(week_start)))),
        Interval::Month => start_of_day(zone, day.first_of_month()),
    }
}

fn next_label(zone: &TimeZone, interval: Interval, label_ms: TimestampMs) -> TimestampMs {
    let day = date_of(zone, label_ms);
    match interval {
        Interval::Minute => wall_floor(zone, label_ms, MINUTE_MS) + MINUTE_MS,
        Interval::Hour => wall_floor(zone, label_ms, HOUR_MS) + HOUR_MS,
        Interval::Day => day_after(zone, day, 1, label_ms),
        Interval::Week => day_after(zone, day, 7, label_ms),
        Interval::Month => start_of_day(zone, add_days(day.last_of_month(), 1)),
    }
}

/// Start of the day `days` later; where the zone left that day out, the day after is the same instant and the bucket would be empty.
fn day_after(zone: &TimeZone, day: Date, days: i64, label_ms: TimestampMs) -> TimestampMs {
    let next = start_of_day(zone, add_days(day, days));
    if next > label_ms { next } else { start_of_day(zone, add_days(day, days + 1)) }
}

/// The last multiple of `unit_ms` on the wall clock, counted with the offset in force at `ms`.
fn wall_floor(zone: &TimeZone, ms: TimestampMs, unit_ms: i64) -> TimestampMs {
    let offset_ms = i64::from(zone.to_offset(instant(ms)).seconds()) * 1000;
    ms - (ms + offset_ms).rem_euclid(unit_ms)
}

fn instant(ms: TimestampMs) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_beyond_the_calendar_are_told_as_they_are() {
        let berlin = zone("Europe/Berlin").unwrap();
        assert_eq!(iso(&berlin, 1_773_156_600_000), "2026-03-10T16:30:00+01:00");
        assert_eq!(iso(&berlin, 253_402_300_799_999), "9999-12-31T23:59:59.999Z");
    }

    fn at(text: &str) -> TimestampMs {
        event::parse_timestamp(text).unwrap()
    }

    fn labels(zone_name: &str, interval: Interval, from: &str, to: &str) -> Vec<String> {
        let zone = zone(zone_name).unwrap();
        let found = buckets(&zone, interval, Weekday::Monday, (at(from), at(to)), 10_000).unwrap();
        found.iter().map(|bucket| iso(&zone, bucket.label_ms)).collect()
    }

    #[test]
    fn a_day_is_23_hours_in_spring_and_25_in_autumn() {
        let spring = labels("America/New_York", Interval::Hour, "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z");
        assert_eq!(spring.len(), 23);
        assert_eq!(spring[1..3], ["2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00"]);
        let autumn = labels("America/New_York", Interval::Hour, "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z");
        assert_eq!(autumn.len(), 25);
        assert_eq!(autumn[1..3], ["2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00"]);
        let days = labels("America/New_York", Interval::Day, "2026-03-07T05:00:00Z", "2026-03-10T04:00:00Z");
        assert_eq!(days, ["2026-03-07T00:00:00-05:00", "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00"]);
    }

    #[test]
    fn a_day_may_begin_at_one_in_the_morning() {
        let days = labels("America/Sao_Paulo", Interval::Day, "2016-10-15T03:00:00Z", "2016-10-18T02:00:00Z");
        assert_eq!(days, ["2016-10-15T00:00:00-03:00", "2016-10-16T01:00:00-02:00", "2016-10-17T00:00:00-02:00"]);
        let hours = labels("America/Sao_Paulo", Interval::Hour, "2016-10-16T03:00:00Z", "2016-10-17T02:00:00Z");
        assert_eq!(hours.len(), 23);
        // The last day of summer time: 23:00 comes twice.
        let hours = labels("America/Sao_Paulo", Interval::Hour, "2017-02-18T02:00:00Z", "2017-02-19T03:00:00Z");
        assert_eq!(hours.len(), 25);
        assert_eq!(hours[23..], ["2017-02-18T23:00:00-02:00", "2017-02-18T23:00:00-03:00"]);
    }

    #[test]
    fn a_change_of_half_an_hour_cuts_an_hour() {
        let spring = labels("Australia/Lord_Howe", Interval::Hour, "2026-10-03T14:30:00Z", "2026-10-03T17:00:00Z");
        let expected = ["2026-10-04T01:00:00+10:30", "2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"].map(str::to_owned);
        assert_eq!(spring, expected);
        let autumn = labels("Australia/Lord_Howe", Interval::Hour, "2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z");
        let expected = ["2026-04-05T01:00:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T02:00:00+10:30"].map(str::to_owned);
        assert_eq!(autumn, expected);
    }

    #[test]
    fn a_day_that_did_not_exist_has_no_bucket() {
        let days = labels("Pacific/Apia", Interval::Day, "2011-12-29T10:00:00Z", "2012-01-01T10:00:00.001Z");
        let expected = ["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00", "2012-01-02T00:00:00+14:00"];
        assert_eq!(days, expected);
    }

    #[test]
    fn weeks_begin_where_the_app_says_and_months_where_they_do() {
        let zone = zone("UTC").unwrap();
        let range = (at("2026-01-01T00:00:00Z"), at("2026-01-12T00:00:00Z"));
        let mondays = buckets(&zone, Interval::Week, Weekday::Monday, range, 10).unwrap();
        assert_eq!(mondays[0], Bucket { label_ms: at("2025-12-29T00:00:00Z"), start_ms: range.0 });
        assert_eq!(mondays[1].label_ms, at("2026-01-05T00:00:00Z"));
        let sundays = buckets(&zone, Interval::Week, Weekday::Sunday, range, 10).unwrap();
        assert_eq!(sundays[0].label_ms, at("2025-12-28T00:00:00Z"));
        let months = labels("UTC", Interval::Month, "2026-01-31T00:00:00Z", "2026-03-01T00:00:01Z");
        assert_eq!(months, ["2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00", "2026-03-01T00:00:00+00:00"]);
    }

    #[test]
    fn periods_before_one() {
        let labels = |zone_name: &str, interval, from: &str, before| {
            let zone = zone(zone_name).unwrap();
            labels_to(&zone, interval, Weekday::Monday, at(from), before).iter().map(|label_ms| iso(&zone, *label_ms)).collect::<Vec<_>>()
        };
        assert_eq!(labels("UTC", Interval::Day, "2026-03-02T07:00:00Z", 0), ["2026-03-02T00:00:00+00:00"]);
        let months = labels("UTC", Interval::Month, "2026-03-02T07:00:00Z", 2);
        assert_eq!(months, ["2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00", "2026-03-01T00:00:00+00:00"]);
        let apia = labels("Pacific/Apia", Interval::Day, "2011-12-31T10:00:00Z", 2);
        assert_eq!(apia, ["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"]);
        assert_eq!(
            labels("America/New_York", Interval::Hour, "2026-03-08T07:30:00Z", 1),
            ["2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00"]
        );
    }

    #[test]
    fn the_previous_period_has_as_many_days() {
        let zone = zone("America/New_York").unwrap();
        // Seven days that hold the 23-hour one; the seven before have 168 hours.
        let (from_ms, to_ms) = (at("2026-03-05T05:00:00Z"), at("2026-03-12T04:00:00Z"));
        assert_eq!(previous_start(&zone, from_ms, to_ms), at("2026-02-26T05:00:00Z"));
        assert_eq!(previous_start(&zone, from_ms + 1, to_ms), from_ms + 1 - (to_ms - from_ms - 1));
    }

    #[test]
    fn names_are_not_paths() {
        for name in ["", "../../etc/passwd", "/etc/localtime", "Europe/Berlin\0", "EST5EDT4,M3.2.0,M11.1.0", "Nowhere/Land"] {
            assert!(zone(name).is_none(), "{name:?}");
        }
        assert!(zone("Europe/Berlin").is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Buckets meet end to end, are not empty, hold the range exactly, and do not depend on where the range begins.
        #[test]
        fn buckets_partition_the_range(
            zone_name in prop::sample::select(vec![
                "America/Sao_Paulo", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "America/Havana",
                "Africa/Casablanca", "UTC",
            ]),
            interval in prop::sample::select(vec![Interval::Minute, Interval::Hour, Interval::Day, Interval::Week, Interval::Month]),
            from_ms in at("1971-01-01T00:00:00Z")..at("2037-12-01T00:00:00Z"),
            length_ms in 1i64..40 * 86_400_000,
            later in 0.0f64..1.0,
        ) {
            let zone = zone(zone_name).unwrap();
            let length_ms = if interval == Interval::Minute { length_ms / 400 + 1 } else { length_ms };
            let range = (from_ms, from_ms + length_ms);
            let found = buckets(&zone, interval, Weekday::Monday, range, 100_000).unwrap();
            prop_assert_eq!(found[0].start_ms, range.0);
            prop_assert!(found.windows(2).all(|pair| pair[0].start_ms < pair[1].start_ms && pair[1].start_ms == pair[1].label_ms));
            prop_assert!(found.last().unwrap().start_ms < range.1);
            let from_later = range.0 + (later * length_ms as f64) as i64;
            let again = buckets(&zone, interval, Weekday::Monday, (from_later, range.1), 100_000).unwrap();
            let expected = &found[found.len() - again.len()..];
            prop_assert!(again.iter().zip(expected).all(|(a, b)| a.label_ms == b.label_ms));
            let next = next_label(&zone, interval, found.last().unwrap().label_ms);
            prop_assert!(next >= range.1);
        }
    }
}
