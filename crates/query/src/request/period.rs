use event::TimestampMs;
use event::limits::{EARLIEST_TIME_MS, MAX_FUTURE_MS};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::calendar::{self, EARLIEST_ASKED_MS, Interval, LATEST_ASKED_MS};
use crate::failure::QueryFailure;
use crate::node::{Node, Object, shown};
use crate::options::AppSettings;

/// Longest relative range: a hundred years.
const MAX_RANGE_DAYS: i64 = 36_500;
const DAY_MS: i64 = 86_400_000;

/// The half-open range of a question, resolved, with the zone its days are cut in.
#[derive(Clone, Debug)]
pub(crate) struct Period {
    /// The zone.
    pub zone: TimeZone,
    /// First millisecond in.
    pub from_ms: TimestampMs,
    /// First millisecond out.
    pub to_ms: TimestampMs,
    /// True for `"all"`: the ends are where no event can be.
    pub is_all: bool,
    /// What makes two resolutions of the same text different questions: the ends for calendar days, nothing for a range that rolls with
    /// every millisecond, since an answer is kept for seconds only.
    pub cache_mark: Option<(TimestampMs, TimestampMs)>,
    /// The same of the windows of the question's segments.
    pub rule_marks: Vec<(TimestampMs, TimestampMs)>,
}

/// The zone of a request: its own, else the app's.
pub(crate) fn timezone(object: &Object<'_>, app: &AppSettings) -> Result<TimeZone, QueryFailure> {
    let Some(node) = object.get("timezone") else {
        let unknown =
            || format!("the app's time zone \"{}\" is not in the IANA database: change it in the app's settings", shown(&app.timezone));
        return calendar::zone(&app.timezone).ok_or_else(|| QueryFailure::invalid("invalid_timezone", "timezone", unknown()));
    };
    let node = node.coded("invalid_timezone");
    let name = node.text("an IANA time zone")?;
    let unknown = || node.error(format!("\"{}\" is not an IANA time zone such as Europe/Berlin", shown(name)));
    calendar::zone(name).ok_or_else(unknown)
}

/// Reads `range`, or `from` and `to`; without any, `default_range`.
pub(crate) fn period(object: &Object<'_>, zone: &TimeZone, now_ms: TimestampMs, default_range: &str) -> Result<Period, QueryFailure> {
    let (range, from, to) = (object.get("range"), object.get("from"), object.get("to"));
    match (range, from, to) {
        (Some(range), None, None) => {
            let range = range.coded("invalid_range");
            relative(range.text("a range such as 7d")?, zone, now_ms).ok_or_else(|| range.error(RANGE_FORMS))
        }
        (None, None, None) => {
            relative(default_range, zone, now_ms).ok_or_else(|| QueryFailure::internal("the default range is not a range"))
        }
        (None, Some(from), to) => {
            let from = from.coded("invalid_range");
            let to = to.map(|to| to.coded("invalid_range"));
            let from_ms = time_of(&from, zone)?;
            let to_ms = match &to {
                Some(to) => time_of(to, zone)?,
                None => end_of_today(zone, now_ms),
            };
            if from_ms >= to_ms {
                let place = to.as_ref().unwrap_or(&from);
                let message = format!(
                    "the range is empty: it runs from {} up to, not including, {}",
                    calendar::iso(zone, from_ms),
                    calendar::iso(zone, to_ms)
                );
                return Err(place.error(message));
            }
            Ok(Period { zone: zone.clone(), from_ms, to_ms, is_all: false, cache_mark: Some((from_ms, to_ms)), rule_marks: Vec::new() })
        }
        (None, None, Some(to)) => Err(to.coded("invalid_range").error("\"to\" needs \"from\"")),
        (Some(range), _, _) => Err(range.coded("invalid_range").error("give either \"range\", or \"from\" and \"to\"")),
    }
}

/// Reads the range of a question that is cut into buckets: 30 days unless told. All time begins with the day of the app's first event, where that is
/// known, since there is a bound on buckets.
pub(crate) fn of_question(object: &Object<'_>, zone: &TimeZone, app: &AppSettings, now_ms: TimestampMs) -> Result<Period, QueryFailure> {
    let mut period = period(object, zone, now_ms, "30d")?;
    if let Some(first_ms) = app.first_event_ms.filter(|_| period.is_all) {
        let day = calendar::date_of(zone, first_ms.clamp(period.from_ms, period.to_ms - 1));
        period.from_ms = period.from_ms.max(calendar::start_of_day(zone, day));
    }
    Ok(period)
}

const RANGE_FORMS: &str =
    "expected \"Nd\" (the last N calendar days with today), \"Nh\" or \"Nm\" (rolling hours or minutes), at most 36500 days, or \"all\"";

fn end_of_today(zone: &TimeZone, now_ms: TimestampMs) -> TimestampMs {
    calendar::start_of_day(zone, calendar::add_days(calendar::date_of(zone, now_ms), 1))
}

fn relative(text: &str, zone: &TimeZone, now_ms: TimestampMs) -> Option<Period> {
    if text == "all" {
        // Events are accepted from 1990 to a day ahead of their receipt.
        let to_ms = end_of_today(zone, now_ms + MAX_FUTURE_MS);
        let (zone, from_ms) = (zone.clone(), EARLIEST_TIME_MS);
        return Some(Period { zone, from_ms, to_ms, is_all: true, cache_mark: Some((from_ms, to_ms)), rule_marks: Vec::new() });
    }
    let (count, unit_ms) = counted_unit(text)?;
    if !(1..=MAX_RANGE_DAYS * DAY_MS / unit_ms).contains(&count) {
        return None;
    }
    let (from_ms, to_ms) = match text.as_bytes().last()? {
        b'd' => {
            let today = calendar::date_of(zone, now_ms);
            (calendar::start_of_day(zone, calendar::add_days(today, 1 - count)), end_of_today(zone, now_ms))
        }
        b'h' | b'm' => (now_ms - count * unit_ms, now_ms),
        _ => return None,
    };
    let cache_mark = text.ends_with('d').then_some((from_ms, to_ms));
    Some(Period { zone: zone.clone(), from_ms, to_ms, is_all: false, cache_mark, rule_marks: Vec::new() })
}

/// Splits `"90m"` into its count and the length of its unit, in milliseconds.
pub(crate) fn counted_unit(text: &str) -> Option<(i64, i64)> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(unit_at);
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MS,
        _ => return None,
    };
    Some((digits.parse().ok()?, unit_ms))
}

/// Reads a time: ISO 8601 with a zone; without one, or a bare date, on the wall clock of `zone`; or Unix time as a number.
pub(crate) fn time_of(node: &Node<'_>, zone: &TimeZone) -> Result<TimestampMs, QueryFailure> {
    let found = match node.value {
        serde_json::Value::Number(number) => number.as_f64().and_then(event::client_timestamp_from_number),
        serde_json::Value::String(text) => time_from_text(text, zone),
        _ => None,
    };
    let Some(ms) = found else {
        return Err(node.error("expected a time in ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00Z"));
    };
    if !(EARLIEST_ASKED_MS..=LATEST_ASKED_MS).contains(&ms) {
        return Err(node.error("times are asked for from the year 1900 to 2200"));
    }
    Ok(ms)
}

fn time_from_text(text: &str, zone: &TimeZone) -> Option<TimestampMs> {
    if let Ok(ms) = event::parse_timestamp(text) {
        return Some(ms);
    }
    let starts_like_a_date = text.len() >= 10 && text.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    if !starts_like_a_date {
        return None;
    }
    if text.len() == 10 {
        return text.parse::<Date>().ok().map(|date| calendar::start_of_day(zone, date));
    }
    // A text with an offset was read above or is wrong; jiff would take the wall clock and drop the rest.
    let time_of_day = text.get(10..)?;
    if time_of_day.contains(['Z', 'z', '+', '-', '[']) {
        return None;
    }
    text.parse::<DateTime>().ok().map(|reading| calendar::at_wall_clock(zone, reading))
}

/// Reads `interval`.
pub(crate) fn interval(object: &Object<'_>) -> Result<Option<Interval>, QueryFailure> {
    const INTERVALS: [(&str, Interval); 5] = [
        ("minute", Interval::Minute),
        ("hour", Interval::Hour),
        ("day", Interval::Day),
        ("week", Interval::Week),
        ("month", Interval::Month),
    ];
    object.get("interval").map(|node| node.coded("invalid_interval").choice(&INTERVALS)).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(text: &str) -> TimestampMs {
        event::parse_timestamp(text).unwrap()
    }

    const PERIOD_FIELDS: [&str; 4] = ["range", "from", "to", "timezone"];
    const NOW: &str = "2026-03-10T15:30:00Z";

    fn read(request: &Value) -> Result<(TimestampMs, TimestampMs), QueryFailure> {
        let zone = calendar::zone("America/New_York").unwrap();
        let object = Node::root(request).object(&PERIOD_FIELDS).unwrap();
        period(&object, &zone, at(NOW), "30d").map(|period| (period.from_ms, period.to_ms))
    }

    #[test]
    fn ranges() {
        let known = [
            (json!({"range": "1d"}), "2026-03-10T04:00:00Z", "2026-03-11T04:00:00Z"),
            // The change of clocks lies inside: the first day still began at five.
            (json!({"range": "7d"}), "2026-03-04T05:00:00Z", "2026-03-11T04:00:00Z"),
            (json!({"range": "24h"}), "2026-03-09T15:30:00Z", NOW),
            (json!({"range": "30m"}), "2026-03-10T15:00:00Z", NOW),
            (json!({}), "2026-02-09T05:00:00Z", "2026-03-11T04:00:00Z"),
            (json!({"from": "2026-03-08", "to": "2026-03-09"}), "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
            (json!({"from": "2026-03-08T12:00:00", "to": "2026-03-08T13:00:00Z"}), "2026-03-08T16:00:00Z", ""),
            (json!({"from": "2026-03-08T12:00", "to": "2026-03-08T20:00:00.5Z"}), "2026-03-08T16:00:00Z", "2026-03-08T20:00:00.500Z"),
            (json!({"from": 1_772_946_000, "to": 1_772_946_000_001_i64}), "2026-03-08T05:00:00Z", "2026-03-08T05:00:00.001Z"),
            (json!({"from": "2026-03-08"}), "2026-03-08T05:00:00Z", "2026-03-11T04:00:00Z"),
        ];
        for (request, from, to) in known {
            match read(&request) {
                Ok(range) => assert_eq!(range, (at(from), at(to)), "{request}"),
                Err(error) => assert_eq!((to, error.field.as_deref()), ("", Some("to")), "{request}"),
            }
        }
    }

    #[test]
    fn refusals() {
        let wrong = [
            (json!({"range": "7"}), "range"),
            (json!({"range": "d"}), "range"),
            (json!({"range": "0d"}), "range"),
            (json!({"range": "-7d"}), "range"),
            (json!({"range": "7y"}), "range"),
            (json!({"range": "36501d"}), "range"),
            (json!({"range": "99999999999999999999d"}), "range"),
            (json!({"range": "７d"}), "range"),
            (json!({"range": 7}), "range"),
            (json!({"range": "7d", "from": "2026-01-01"}), "range"),
            (json!({"to": "2026-01-01"}), "to"),
            (json!({"from": "2026-02-30"}), "from"),
            (json!({"from": "2026-13-01T00:00:00Z"}), "from"),
            (json!({"from": "2026-01-01T00:00:00+99:00"}), "from"),
            (json!({"from": "0001-01-01"}), "from"),
            (json!({"from": "9999-12-31T23:59:59Z"}), "from"),
            (json!({"from": 1e300}), "from"),
            (json!({"from": "2026-03-09", "to": "2026-03-09"}), "to"),
            (json!({"from": "2027-03-09"}), "from"),
            (json!({"from": "2026-01-01é"}), "from"),
            (json!({"from": "é026-01-01T00:00:00"}), "from"),
            (json!({"from": "2026-01-0é"}), "from"),
        ];
        for (request, field) in wrong {
            let error = read(&request).expect_err(&request.to_string());
            assert_eq!((error.code, error.field.as_deref()), ("invalid_range", Some(field)), "{request}");
        }
    }

    #[test]
    fn a_zone_is_named_or_refused() {
        let app = AppSettings::new(event::AppId::new("a").unwrap());
        let read = |request: &Value| timezone(&Node::root(request).object(&PERIOD_FIELDS).unwrap(), &app);
        assert_eq!(read(&json!({})).unwrap().iana_name(), Some("UTC"));
        assert_eq!(read(&json!({"timezone": "Europe/Berlin"})).unwrap().iana_name(), Some("Europe/Berlin"));
        let error = read(&json!({"timezone": "../../etc/passwd"})).unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), ("invalid_timezone", Some("timezone")));
    }
}
