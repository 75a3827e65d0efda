//! Retention, lifecycle and stickiness in time zones whose clocks change, against civil dates person by person.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event::AppId;
use event_store::{AppendedBatch, Commit, EventSink, EventSource};
use event_store_parquet::{ParquetStore, ParquetStoreOptions};
use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use query::{Answered, AppSettings, QueryOptions, QueryService};
use serde_json::{Value, json};

use crate::dataset;

const WORLDS: u64 = 400;
const HOUR_MS: i64 = 3_600_000;
/// Zone, a day near a change of its clocks.
const ZONES: [(&str, &str); 6] = [
    ("Europe/Berlin", "2026-03-29"),
    ("America/New_York", "2025-11-02"),
    ("America/Sao_Paulo", "2016-10-16"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Pacific/Auckland", "2025-09-28"),
];

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }
}

/// One small app.
struct World {
    zone: TimeZone,
    zone_name: &'static str,
    middle: Date,
    /// Name, person, milliseconds.
    events: Vec<(&'static str, String, i64)>,
}

impl World {
    fn new(random: &mut Random) -> Self {
        let (zone_name, middle) = ZONES[random.below(6) as usize];
        let zone = TimeZoneDatabase::bundled().get(zone_name).unwrap();
        let middle: Date = middle.parse().unwrap();
        let middle_ms = zone.to_timestamp(middle.at(0, 0, 0, 0)).unwrap().as_millisecond();
        let mut event = || {
            let name = ["a", "b"][random.below(2) as usize];
            // Half of them near an edge of a day.
            let ms = (random.below(50) as i64 - 25) * 24 * HOUR_MS + (random.below(5) as i64 - 2) * HOUR_MS / 2 + random.below(2) as i64;
            (name, format!("u{}", random.below(4)), middle_ms + ms)
        };
        let events = (0..30).map(|_| event()).collect();
        Self { zone, zone_name, middle, events }
    }

    fn date(&self, ms: i64) -> Date {
        self.zone.to_datetime(Timestamp::from_millisecond(ms).unwrap()).date()
    }

    /// The period of a day, as its first day.
    fn period(&self, period: &str, date: Date) -> Date {
        match period {
            "day" => date,
            "week" => date.checked_sub(i64::from(date.weekday().since(Weekday::Monday)).days()).unwrap(),
            _ => date.first_of_month(),
        }
    }

    fn next(&self, period: &str, first: Date) -> Date {
        let span = match period {
            "day" => 1.day(),
            "week" => 1.week(),
            _ => 1.month(),
        };
        first.checked_add(span).unwrap()
    }

    /// By person: the days with an event of a name.
    fn days(&self, name: &str) -> BTreeMap<&str, BTreeSet<Date>> {
        let mut days: BTreeMap<&str, BTreeSet<Date>> = BTreeMap::new();
        for (_, person, ms) in self.events.iter().filter(|(of, ..)| *of == name) {
            days.entry(person).or_default().insert(self.date(*ms));
        }
        days
    }
}

/// Periods from one day on, up to another that is not among them.
fn periods(world: &World, period: &str, from: Date, to: Date) -> Vec<Date> {
    let first = world.period(period, from);
    std::iter::successors(Some(first), |first| Some(world.next(period, *first))).take_while(|first| *first < to).collect()
}

fn retention_of(world: &World, period: &str, entry: &str, or_after: bool, (from, to): (Date, Date)) -> Vec<Value> {
    let periods = periods(world, period, from, to);
    let place = |date: Date| periods.iter().position(|first| *first == world.period(period, date)).unwrap();
    let in_range = |days: &BTreeSet<Date>| days.iter().copied().filter(|day| (from..to).contains(day)).collect::<Vec<_>>();
    let (starts, returns) = (world.days("a"), world.days("b"));
    let row = |(cohort, first): (usize, &Date)| {
        let is_member = |days: &&BTreeSet<Date>| {
            let starts = in_range(days);
            match entry {
                "recurring" => starts.iter().any(|day| place(*day) == cohort),
                "first_in_range" => starts.first().is_some_and(|day| place(*day) == cohort),
                _ => days.first() == starts.first() && starts.first().is_some_and(|day| place(*day) == cohort),
            }
        };
        let members: Vec<&str> = starts.iter().filter(|(_, days)| is_member(days)).map(|(person, _)| *person).collect();
        let has_returned = |person: &&&str, number: usize| {
            let days = returns.get(**person).map(in_range).unwrap_or_default();
            days.iter().any(|day| if or_after { place(*day) >= cohort + number } else { place(*day) == cohort + number })
        };
        let returned = |number: usize| members.iter().filter(|person| has_returned(person, number)).count();
        json!({
            "day": first.to_string(),
            "size": members.len(),
            "returned": (0..periods.len() - cohort).map(returned).collect::<Vec<_>>(),
        })
    };
    periods.iter().enumerate().map(row).collect()
}

fn lifecycle_of(world: &World, period: &str, (from, to): (Date, Date)) -> Vec<Value> {
    let days = world.days("a");
    let active: Vec<BTreeSet<Date>> = days.values().map(|days| days.iter().map(|day| world.period(period, *day)).collect()).collect();
    let row = |first: Date| {
        let before = world.period(period, first.yesterday().unwrap());
        let count = |holds: &dyn Fn(&BTreeSet<Date>) -> bool| active.iter().filter(|periods| holds(periods)).count() as i64;
        json!({
            "day": first.to_string(),
            "new": count(&|periods| periods.first() == Some(&first)),
            "returning": count(&|periods| periods.contains(&first) && periods.contains(&before)),
            "resurrected": count(&|periods| periods.contains(&first) && !periods.contains(&before) && periods.first() < Some(&first)),
            "dormant": -count(&|periods| !periods.contains(&first) && periods.contains(&before)),
        })
    };
    periods(world, period, from, to).into_iter().map(row).collect()
}

fn stickiness_of(world: &World, period: &str, (from, to): (Date, Date)) -> Vec<Value> {
    let days = world.days("a");
    let active = |days: &BTreeSet<Date>| {
        let days = days.iter().filter(|day| (from..to).contains(*day));
        days.map(|day| world.period(period, *day)).collect::<BTreeSet<_>>().len()
    };
    let row = |number: usize| json!({"periods": number, "users": days.values().filter(|days| active(days) == number).count()});
    (1..=periods(world, period, from, to).len()).map(row).collect()
}

/// Of each row what the naive one has, the time as its day.
fn shown(answer: &Value, name: &str, expected: &[Value]) -> Vec<Value> {
    let row = |(row, expected): (&Value, &Value)| -> Value {
        let fields = expected.as_object().unwrap().keys().map(|key| match key.as_str() {
            "day" => ("day".to_owned(), json!(row["time"].as_str().unwrap()[..10])),
            key => (key.to_owned(), row[key].clone()),
        });
        Value::Object(fields.collect())
    };
    let rows = answer[name].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(rows.len(), expected.len(), "{answer}");
    rows.iter().zip(expected).map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn periods_are_of_the_calendar_of_the_zone() {
    let mut random = Random(7);
    let worlds: Vec<World> = (0..WORLDS).map(|_| World::new(&mut random)).collect();
    let folder = tempfile::tempdir().unwrap();
    let keep_for_ever = |_: &AppId| -> Option<i64> { None };
    let store = ParquetStore::open(folder.path(), ParquetStoreOptions::default(), Arc::new(keep_for_ever)).unwrap();
    let app_of = |number: usize| AppId::new(&format!("world-{number}")).unwrap();
    let batches = worlds.iter().enumerate().map(|(number, world)| {
        let line = |(name, person, ms): &(&str, String, i64)| json!({"name": name, "user_id": person, "timestamp": event::iso_utc(*ms)});
        let lines: Vec<Value> = world.events.iter().map(line).collect();
        AppendedBatch { batch: dataset::batch(&app_of(number), &lines.iter().collect::<Vec<_>>()), duplicates: vec![] }
    });
    store.append(Commit { batches: batches.collect(), end: 1 }).unwrap();
    store.flush().unwrap();
    let source: Arc<dyn EventSource> = store.clone();
    let service = QueryService::new(source, QueryOptions::default());
    let now_ms = event::parse_timestamp("2027-01-01T00:00:00Z").unwrap();
    for (number, world) in worlds.iter().enumerate() {
        let app = AppSettings { timezone: world.zone_name.to_owned(), ..AppSettings::new(app_of(number)) };
        let period = ["day", "week", "month"][random.below(3) as usize];
        let from = world.middle.checked_sub((random.below(20) as i64).days()).unwrap();
        let to = from.checked_add((1 + random.below(30) as i64).days()).unwrap();
        let range = json!({"period": period, "from": from.to_string(), "to": to.to_string()});
        let request = |more: Value| -> Value {
            let fields = [&range, &more].into_iter().flat_map(|fields| fields.as_object().unwrap().clone());
            Value::Object(fields.collect())
        };
        let entry = ["first_time", "first_in_range", "recurring"][random.below(3) as usize];
        let mode = ["on", "on_or_after"][random.below(2) as usize];
        let asked = request(json!({"start_event": "a", "return_event": "b", "entry": entry, "mode": mode}));
        let answer = service.retention(&app, asked.clone(), now_ms).await.map(Answered::into_value).unwrap();
        let expected = retention_of(world, period, entry, mode == "on_or_after", (from, to));
        assert_eq!(shown(&answer, "retention", &expected), expected, "{} {asked}: {answer}", world.zone_name);
        let asked = request(json!({"event": "a"}));
        let answer = service.lifecycle(&app, asked.clone(), now_ms).await.map(Answered::into_value).unwrap();
        let expected = lifecycle_of(world, period, (from, to));
        assert_eq!(shown(&answer, "lifecycle", &expected), expected, "{} {asked}: {answer}", world.zone_name);
        let answer = service.stickiness(&app, asked.clone(), now_ms).await.map(Answered::into_value).unwrap();
        let expected = stickiness_of(world, period, (from, to));
        assert_eq!(shown(&answer, "stickiness", &expected), expected, "{} {asked}: {answer}", world.zone_name);
    }
}
