//! Raw events and the schema against the plain world.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use event_store::{EXPORT_ROWS, EventNameInfo, EventRow, EventsPlan, QueryError};
use proptest::prelude::*;

use super::aggregate::any_scan;
use super::filter_oracle::selected;
use super::limits::{distinct_events, everything};
use super::world::{Keeping, PartForm, PlainEvent, any_event, any_forms, any_world, app, cache, context, snapshot};
use crate::exec::value::OwnedScalar;
use crate::exec::{Query, events, export, schema};

fn json(value: &OwnedScalar) -> serde_json::Value {
    match value {
        OwnedScalar::Null => serde_json::Value::Null,
        OwnedScalar::Bool(b) => (*b).into(),
        OwnedScalar::Int(i) => (*i).into(),
        OwnedScalar::BigUint(u) => (*u).into(),
        OwnedScalar::Float(f) if *f == f.trunc() => (*f as i64).into(),
        OwnedScalar::Float(f) => (*f).into(),
        OwnedScalar::Str(s) => (&**s).into(),
        OwnedScalar::Json(s) => serde_json::from_str(s).unwrap(),
    }
}

fn properties(event: &PlainEvent) -> BTreeMap<String, serde_json::Value> {
    let set = event.properties.iter().filter(|(_, value)| *value != OwnedScalar::Null);
    set.map(|(name, value)| (name.clone(), json(value))).collect()
}

/// Everything of an event that must come back.
type Told = (i64, String, Option<String>, Option<String>, Option<String>, Option<String>, String);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pages_tell_every_event_once_newest_first(
        world in any_world(any_event(), 0..40),
        scan in any_scan(),
        limit in 1usize..7,
        forms in any_forms(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(&world, &forms, folder.path());
        let context = context();
        let query = Query { snapshot: &snapshot, context: &context, threads: 2, decoded: &cache(Keeping::Everything) };
        let in_scan = |event: &&PlainEvent| {
            event.time_ms >= scan.from_ms && event.time_ms < scan.to_ms && selected(&world, event, scan.events.as_deref(), &scan.filter)
        };
        let text = |properties: &BTreeMap<String, serde_json::Value>| serde_json::to_string(properties).unwrap();
        let mut expected: Vec<Told> = world.iter().filter(in_scan).map(|e| {
            (e.time_ms, e.name.clone(), e.user_id.clone(), e.anonymous_id.clone(), e.insert_id.clone(), e.session_id.clone(), text(&properties(e)))
        }).collect();

        let mut told: Vec<Told> = Vec::new();
        let mut plan = EventsPlan { scan: scan.clone(), limit, skip: 0 };
        loop {
            let page = events(&query, &plan).unwrap();
            prop_assert!(page.rows.len() <= limit);
            prop_assert!(page.more || page.rows.len() + told.len() == expected.len());
            told.extend(page.rows.iter().map(|row| {
                let properties: BTreeMap<String, serde_json::Value> = serde_json::from_str(&row.properties_json).unwrap();
                let row = row.clone();
                (row.time_ms, row.name, row.user_id, row.anonymous_id, row.insert_id, row.session_id, text(&properties))
            }));
            let Some(last) = page.rows.last().filter(|_| page.more) else { break };
            // The cursor of the API: the last row's time, and how many rows of that time were told.
            plan.skip = told.iter().filter(|row| row.0 == last.time_ms).count();
            plan.scan.to_ms = last.time_ms + 1;
        }
        prop_assert!(told.windows(2).all(|pair| pair[0].0 > pair[1].0 || (pair[0].0 == pair[1].0 && pair[0].1 <= pair[1].1)));
        told.sort();
        expected.sort();
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn an_export_tells_every_event_once_and_as_a_page_does(
        world in any_world(any_event(), 0..40),
        scan in any_scan(),
        forms in any_forms(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(&world, &forms, folder.path());
        let context = context();
        let query = Query { snapshot: &snapshot, context: &context, threads: 2, decoded: &cache(Keeping::Everything) };
        let mut calls: Vec<Vec<EventRow>> = Vec::new();
        let stats = export(&query, &scan, &mut |rows, _| {
            calls.push(rows);
            Ok(())
        }).unwrap();
        prop_assert!(calls[0].is_empty() && calls[1..].iter().all(|rows| (1..=EXPORT_ROWS).contains(&rows.len())));
        prop_assert_eq!(&stats.missing, &Vec::<String>::new());
        let page = events(&query, &EventsPlan { scan, limit: 100, skip: 0 }).unwrap();
        let sorted = |mut rows: Vec<EventRow>| {
            rows.sort_by_key(|row| format!("{row:?}"));
            rows
        };
        prop_assert_eq!(sorted(calls.concat()), sorted(page.rows));
    }

    #[test]
    fn order_does_not_depend_on_where_rows_are(world in any_world(any_event(), 0..30), a in any_forms(), b in any_forms()) {
        let plan = EventsPlan { scan: everything(), limit: 100, skip: 0 };
        let rows = |forms| {
            let folder = tempfile::tempdir().unwrap();
            let snapshot = snapshot(&world, forms, folder.path());
            events(&Query { snapshot: &snapshot, context: &context(), threads: 2, decoded: &cache(Keeping::Everything) }, &plan).unwrap().rows
        };
        prop_assert_eq!(rows(&a), rows(&b));
    }

    #[test]
    fn the_schema_counts_what_is_there(world in any_world(any_event(), 1..40), forms in any_forms()) {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(&world, &forms, folder.path());
        let mut names: Vec<&str> = world.iter().map(|event| event.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let names = names.into_iter().map(|name| EventNameInfo { name: name.into(), events: 1, first_hour_ms: 0, last_hour_ms: 0 }).collect();
        let context = context();
        let told = schema(&Query { snapshot: &snapshot, context: &context, threads: 2, decoded: &cache(Keeping::Everything) }, &app(), names).unwrap();
        let mut expected: BTreeMap<String, (u64, Vec<&str>)> = BTreeMap::new();
        for (name, value) in world.iter().flat_map(properties) {
            let seen = expected.entry(name).or_default();
            seen.0 += 1;
            let kind = match value {
                serde_json::Value::String(_) => "string",
                serde_json::Value::Bool(_) => "boolean",
                serde_json::Value::Array(_) => "list",
                serde_json::Value::Object(_) => "object",
                _ => "number",
            };
            if !seen.1.contains(&kind) {
                seen.1.push(kind);
                seen.1.sort_unstable();
            }
        }
        let told: BTreeMap<String, (u64, Vec<&str>)> = told.properties.into_iter().map(|p| (p.name, (p.events, p.types))).collect();
        prop_assert_eq!(told, expected);
    }
}

const IN_SEGMENTS: [PartForm; 2] = [PartForm { segment: true, crowded: false, haunted: false }; 2];

#[test]
fn an_export_ends_where_its_visitor_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(&distinct_events(2_000), &IN_SEGMENTS, folder.path());
    let context = context();
    let mut told = 0;
    let ended = export(
        &Query { snapshot: &snapshot, context: &context, threads: 1, decoded: &cache(Keeping::Everything) },
        &everything(),
        &mut |rows, _| {
            told += rows.len();
            if told > EXPORT_ROWS { Err(QueryError::Cancelled) } else { Ok(()) }
        },
    );
    assert_eq!((ended, told), (Err(QueryError::Cancelled), 2 * EXPORT_ROWS));
}

#[test]
fn an_export_says_first_what_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = snapshot(&distinct_events(2_000), &IN_SEGMENTS, folder.path());
    let file = File::options().write(true).open(&walk(folder.path())[0]).unwrap();
    file.set_len(100).unwrap();
    let context = context();
    let (mut first, mut told) = (None, 0);
    let stats = export(
        &Query { snapshot: &snapshot, context: &context, threads: 1, decoded: &cache(Keeping::Everything) },
        &everything(),
        &mut |rows, stats| {
            first.get_or_insert((rows.len(), stats.missing.len()));
            told += rows.len();
            Ok(())
        },
    );
    assert_eq!((first, stats.unwrap().missing.len(), told), (Some((0, 1)), 1, 1_000));
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}
