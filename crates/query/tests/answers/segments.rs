//! Segments against a naive reading of their rules: ten thousand small worlds, each an app of its own with a zone, a moment of asking,
//! perhaps a deleted person, and rules in one another. Days are counted on the calendar of the zone, not by their ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event::{AppId, EventBatchBuilder, EventFields, PropertyValue};
use event_store::{AppendedBatch, Commit, DeletionRequest, EventSink, EventSource, LaterEvents, PersonDeletions};
use event_store_parquet::{ParquetStore, ParquetStoreOptions};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use query::{AppSettings, Cohorts, QueryOptions, QueryService, SavedCohort};
use serde_json::{Value, json};

const ZONES: [&str; 6] = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Auckland"];
const NAMES: [&str; 3] = ["view", "buy", "refund"];
const PLANS: [&str; 2] = ["free", "pro"];
/// 2026-03-27T00:00:00Z: two days later the clocks of Berlin change.
const BASE_MS: i64 = 1_774_569_600_000;
const HOUR_MS: i64 = 3_600_000;
const HOURS: i64 = 100;
const STORES: u64 = 50;
const WORLDS_PER_STORE: u64 = 200;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides as u64) as i64
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.roll(of.len() as i64) as usize]
    }
}

#[derive(Clone, Debug)]
struct Event {
    name: &'static str,
    person: Option<String>,
    time_ms: i64,
    price: i64,
    plan: Option<&'static str>,
}

#[derive(Debug)]
struct World {
    app: AppId,
    zone: &'static str,
    now_ms: i64,
    events: Vec<Event>,
    deleted: Option<String>,
    rule: Value,
    cohort: Value,
}

impl World {
    fn random(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0xd134_2543_de82_ef95));
        let person = |dice: &mut Dice| (dice.roll(12) > 0).then(|| format!("U{}", dice.roll(5)));
        let mut events: Vec<Event> = (0..dice.roll(24))
            .map(|_| {
                let time_ms = BASE_MS + dice.roll(HOURS * 4) * HOUR_MS / 4;
                Event { name: dice.one(&NAMES), person: person(&mut dice), time_ms, price: dice.roll(3), plan: None }
            })
            .collect();
        for _ in 0..dice.roll(4) {
            let time_ms = BASE_MS + dice.roll(HOURS) * HOUR_MS + events.len() as i64;
            events.push(Event { name: "$set", person: person(&mut dice), time_ms, price: 0, plan: Some(dice.one(&PLANS)) });
        }
        let deleted = (dice.roll(5) == 0).then(|| format!("U{}", dice.roll(5)));
        Self {
            app: AppId::new(&format!("W{seed}")).unwrap(),
            zone: dice.one(&ZONES),
            // No event is more than a day ahead of its receipt.
            now_ms: BASE_MS + (HOURS - 24) * HOUR_MS + dice.roll(HOURS) * HOUR_MS / 2,
            deleted,
            rule: any_rule(&mut dice, 3, true),
            cohort: any_rule(&mut dice, 2, false),
            events,
        }
    }

    fn visible(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| self.deleted.is_none() || event.person != self.deleted)
    }

    /// Whether a person is in, as the rule reads.
    fn is_in(&self, rule: &Value, person: &str, asked: Asked) -> bool {
        let asked = rule["as_of"].as_i64().map_or(asked, |as_of| Asked { now_ms: as_of, before_ms: as_of.min(asked.before_ms) });
        let each = |rules: &Value| rules.as_array().unwrap().iter().map(|rule| self.is_in(rule, person, asked)).collect::<Vec<_>>();
        if let Some(rules) = rule.get("and") {
            return each(rules).into_iter().all(|is_in| is_in);
        }
        if let Some(rules) = rule.get("or") {
            return each(rules).into_iter().any(|is_in| is_in);
        }
        if let Some(rule) = rule.get("not") {
            return !self.is_in(rule, person, asked);
        }
        if rule.get("cohort").is_some() {
            return self.is_in(&self.cohort, person, asked);
        }
        if let Some(persons) = rule.get("persons") {
            return persons.as_array().unwrap().iter().any(|listed| listed == person);
        }
        if rule.get("property").is_some() {
            let set = self.visible().filter(|event| event.name == "$set" && event.person.as_deref() == Some(person));
            let latest = set.filter(|event| event.time_ms < asked.before_ms).max_by_key(|event| event.time_ms).and_then(|event| event.plan);
            return (latest == rule["value"].as_str()) == (rule["op"] == "eq");
        }
        let name = rule.get("did").or(rule.get("did_not")).unwrap();
        let matching: Vec<&Event> = self
            .visible()
            .filter(|event| {
                event.person.as_deref() == Some(person)
                    && (name.is_null() || name == event.name)
                    && event.time_ms < asked.before_ms
                    && rule
                        .get("filters")
                        .is_none_or(|filters| event.price >= filters[0]["value"].as_i64().unwrap() && event.plan.is_none())
            })
            .collect();
        let in_window: Vec<&&Event> = matching.iter().filter(|event| self.in_window(rule, event.time_ms, asked)).collect();
        if rule.get("did_not").is_some() {
            return in_window.is_empty();
        }
        match rule["occurrence"].as_str() {
            Some("first") => {
                return matching.iter().min_by_key(|event| event.time_ms).is_some_and(|first| self.in_window(rule, first.time_ms, asked));
            }
            Some("last") => {
                return matching.iter().max_by_key(|event| event.time_ms).is_some_and(|last| self.in_window(rule, last.time_ms, asked));
            }
            _ => {}
        }
        let count = in_window.len() as i64;
        let bound = |key: &str| rule[key].as_i64();
        match (bound("exactly"), bound("at_least"), bound("at_most")) {
            (Some(exactly), _, _) => count == exactly,
            (None, None, None) => count >= 1,
            (None, least, most) => least.is_none_or(|least| count >= least) && most.is_none_or(|most| count <= most),
        }
    }

    fn in_window(&self, rule: &Value, time_ms: i64, asked: Asked) -> bool {
        if let (Some(from), Some(to)) = (rule["from"].as_i64(), rule["to"].as_i64()) {
            return (from..to).contains(&time_ms);
        }
        let Some(range) = rule["range"].as_str() else { return true };
        let (count, unit) = range.split_at(range.len() - 1);
        let count: i64 = count.parse().unwrap();
        if unit == "h" {
            return (asked.now_ms - count * HOUR_MS..asked.now_ms).contains(&time_ms);
        }
        let zone = TimeZone::get(self.zone).unwrap();
        let date = |ms: i64| -> Date { zone.to_datetime(Timestamp::from_millisecond(ms).unwrap()).date() };
        let days_ago = (date(asked.now_ms) - date(time_ms)).get_days();
        (0..count as i32).contains(&days_ago)
    }
}

#[derive(Clone, Copy)]
struct Asked {
    now_ms: i64,
    before_ms: i64,
}

fn any_rule(dice: &mut Dice, depth: i64, names_cohort: bool) -> Value {
    if depth > 0 && dice.roll(3) > 0 {
        let rules: Vec<Value> = (0..1 + dice.roll(3)).map(|_| any_rule(dice, depth - 1, names_cohort)).collect();
        let mut rule = match dice.roll(3) {
            0 => json!({"not": rules[0]}),
            1 => json!({ "and": rules }),
            _ => json!({ "or": rules }),
        };
        if dice.roll(6) == 0 {
            rule["as_of"] = json!(BASE_MS + dice.roll(HOURS) * HOUR_MS);
        }
        return rule;
    }
    let mut rule = match dice.roll(9 + i64::from(names_cohort)) {
        9 => return json!({"cohort": "c"}),
        0 => return json!({"property": "user.plan", "op": dice.one(&["eq", "neq"]), "value": dice.one(&PLANS)}),
        1 => return json!({"persons": (0..dice.roll(3)).map(|_| format!("U{}", dice.roll(7))).collect::<Vec<_>>()}),
        2 => json!({"did_not": dice.one(&NAMES)}),
        3 => json!({"did": null}),
        _ => json!({"did": dice.one(&NAMES)}),
    };
    match dice.roll(4) {
        0 => rule["range"] = json!(format!("{}d", 1 + dice.roll(4))),
        1 => rule["range"] = json!(format!("{}h", 1 + dice.roll(60))),
        2 => {
            let from = BASE_MS + dice.roll(HOURS) * HOUR_MS;
            (rule["from"], rule["to"]) = (json!(from), json!(from + (1 + dice.roll(50)) * HOUR_MS));
        }
        _ => {}
    }
    if dice.roll(3) == 0 {
        rule["filters"] = json!([{"property": "price", "op": "gte", "value": dice.roll(3)}]);
    }
    if rule.get("did").is_some() {
        match dice.roll(7) {
            0 => rule["at_least"] = json!(1 + dice.roll(3)),
            1 => rule["at_most"] = json!(dice.roll(3)),
            2 => rule["exactly"] = json!(dice.roll(3)),
            3 => rule["occurrence"] = json!(dice.one(&["first", "last"])),
            _ => {}
        }
    }
    rule
}

fn batch(world: &World, half: usize) -> AppendedBatch {
    let mut builder = EventBatchBuilder::default();
    builder.start(BASE_MS + 200 * HOUR_MS);
    for event in world.events.iter().skip(half).step_by(2) {
        match event.plan {
            Some(plan) => builder.property("plan", PropertyValue::Str(plan)),
            None => builder.property("price", PropertyValue::Int(event.price)),
        };
        builder.finish_event(&EventFields {
            name: event.name,
            time_ms: event.time_ms,
            client_time_ms: event.time_ms,
            user_id: event.person.as_deref(),
            anonymous_id: None,
            insert_id: None,
            session_id: None,
        });
    }
    AppendedBatch { batch: builder.build(&world.app), duplicates: vec![] }
}

/// True when some persons of the world are in and some are not.
async fn check(service: &QueryService, world: &World) -> bool {
    let cohorts = Cohorts::new([("c".to_owned(), SavedCohort { version: 1, rule: world.cohort.clone() })]);
    let settings = AppSettings { timezone: world.zone.to_owned(), cohorts, ..AppSettings::new(world.app.clone()) };
    let asked = Asked { now_ms: world.now_ms, before_ms: i64::MAX };
    let known: BTreeSet<&str> = world.visible().filter_map(|event| event.person.as_deref()).collect();
    let members: BTreeSet<&str> = known.iter().copied().filter(|person| world.is_in(&world.rule, person, asked)).collect();

    let page = service.segment_persons(&settings, json!({"segment": world.rule, "limit": 1000}), world.now_ms).await;
    let page = page.unwrap_or_else(|error| panic!("{error} {:?}: {world:#?}", error.field));
    let found: BTreeSet<&str> = page["persons"].as_array().unwrap().iter().map(|person| person["person"].as_str().unwrap()).collect();
    assert_eq!(found, members, "{world:#?}");
    assert_eq!(page["count"], json!(members.len()), "{world:#?}");

    // Events of members, by whether they are in the other.
    let request =
        json!({"metrics": ["events", "unique_users"], "segment": world.rule, "group_by": "cohort:c", "range": "all", "cache": false});
    let answer = service.query(&settings, request, world.now_ms).await.unwrap_or_else(|error| panic!("{error}: {world:#?}"));
    let mut expected: BTreeMap<bool, (u64, BTreeSet<&str>)> = BTreeMap::new();
    for event in world.visible() {
        let Some(person) = event.person.as_deref().filter(|person| members.contains(person)) else { continue };
        let group = expected.entry(world.is_in(&world.cohort, person, asked)).or_default();
        group.0 += 1;
        group.1.insert(person);
    }
    let row = |row: &Value| (row["cohort:c"].as_bool().unwrap(), (row["events"].as_u64().unwrap(), row["unique_users"].as_u64().unwrap()));
    let found: BTreeMap<bool, (u64, u64)> = answer["results"].as_array().unwrap().iter().map(row).collect();
    let expected: BTreeMap<bool, (u64, u64)> =
        expected.into_iter().map(|(is_in, (events, persons))| (is_in, (events, persons.len() as u64))).collect();
    assert_eq!(found, expected, "{world:#?}");
    !members.is_empty() && members.len() < known.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_worlds_agree_with_a_naive_reading() {
    let (mut asked, mut divided) = (0, 0);
    for number in 0..STORES {
        let worlds: Vec<World> = (0..WORLDS_PER_STORE).map(|world| World::random(number * WORLDS_PER_STORE + world)).collect();
        let folder = tempfile::tempdir().unwrap();
        // Every third store has fewer ordinals than an app has persons.
        let max_ordinal_persons = if number % 3 == 0 { 3 } else { 1_000 };
        let options = ParquetStoreOptions { max_ordinal_persons, ..ParquetStoreOptions::default() };
        let store = ParquetStore::open(folder.path(), options, Arc::new(|_: &AppId| None)).unwrap();
        for half in 0..2 {
            let batches = worlds.iter().map(|world| batch(world, half)).collect();
            store.append(Commit { batches, end: half as u64 + 1 }).unwrap();
            if half == 0 && number % 5 == 0 {
                store.flush().unwrap();
            }
        }
        for world in &worlds {
            if let Some(person) = &world.deleted {
                let request = DeletionRequest { app: &world.app, person, later_events: LaterEvents::Refuse, now_ms: world.now_ms };
                store.delete_person(&request).unwrap();
            }
        }
        let service = QueryService::new(store as Arc<dyn EventSource>, QueryOptions::default());
        for world in &worlds {
            divided += u32::from(check(&service, world).await);
            asked += 1;
        }
    }
    assert_eq!(asked, 10_000);
    assert!(divided > 3_000, "only {divided} worlds have persons in and out");
}
