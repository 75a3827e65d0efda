//! What is linked is a function of the events: in whatever order and company they come, whatever is taken out again.

use std::collections::BTreeSet;
use std::sync::Arc;

use event::{AppId, EventBatchBuilder, EventFields, person_hash};
use event_store::AppendedBatch;
use proptest::prelude::*;

use super::links::MAX_PERSON_IDS;
use super::{LinkDelta, LinkFigures, Links, StoredLink, links_of};
use crate::deletion::Tombstones;

/// Source, target, event time; received a second later.
type Said = (String, String, i64);

fn key(id: &str) -> u64 {
    person_hash(Some(id), None).unwrap().0
}

fn app() -> Arc<str> {
    Arc::from("A")
}

fn batch(said: &[Said]) -> AppendedBatch {
    let mut builder = EventBatchBuilder::default();
    builder.start(1_000_000);
    for (source, target, time_ms) in said {
        builder.finish_event(&EventFields {
            name: "a",
            time_ms: *time_ms,
            client_time_ms: *time_ms,
            user_id: Some(target),
            anonymous_id: Some(source),
            insert_id: None,
            session_id: None,
        });
    }
    AppendedBatch { batch: builder.build(&AppId::new("A").unwrap()), duplicates: Vec::new() }
}

fn add(links: &mut Links, delta: &mut LinkDelta, said: &[Said]) {
    links.add(&links_of(&[batch(said)], &Tombstones::default()), delta);
}

fn any_said() -> impl Strategy<Value = Vec<Said>> {
    let id = || (0u8..9).prop_map(|id| format!("id{id}"));
    prop::collection::vec((id(), id(), 0i64..6), 0..24)
}

/// The id that stands for each, link by link.
fn naive(said: &[Said]) -> Vec<u64> {
    let first = |id: &str| {
        let own = said.iter().filter(|(source, target, _)| source == id && source != target);
        own.map(|(_, target, time_ms)| (*time_ms, key(target), target.clone())).min()
    };
    let stands_for = |id: String| {
        let mut way = vec![id];
        while let Some((_, _, target)) = first(way.last().unwrap()) {
            if let Some(begins) = way.iter().position(|id| *id == target) {
                return way[begins..].iter().max_by_key(|id| first(id)).unwrap().clone();
            }
            way.push(target);
        }
        way.pop().unwrap()
    };
    (0..9).map(|id| key(&stands_for(format!("id{id}")))).collect()
}

fn resolved(links: &Links) -> Vec<u64> {
    let identity = links.identities().of("A");
    let ids: Vec<u64> = (0..9).map(|id| identity.canonical(key(&format!("id{id}")))).collect();
    // Who stands for others has a name; nobody else has.
    for id in 0..9 {
        let id = format!("id{id}");
        let stands = ids.iter().enumerate().any(|(of, canonical)| *canonical == key(&id) && format!("id{of}") != id);
        assert_eq!(identity.id(key(&id)), stands.then_some(id.as_str()));
    }
    assert_eq!(identity.linked().count() == 0, identity.is_empty());
    ids
}

/// As after a restart that finds what was flushed.
fn loaded(delta: &LinkDelta) -> Links {
    let mut links = Links::new(1_000);
    for (app, of_app) in &delta.apps {
        links.load(app, of_app.values().cloned().collect());
    }
    links
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn order_company_restarts_and_repeats_change_nothing(said in any_said(), sizes in prop::collection::vec(1usize..6, 24), again in 0usize..24) {
        let (mut links, mut delta) = (Links::new(1_000), LinkDelta::default());
        let mut rest = &said[..];
        for size in sizes {
            let (commit, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            if !commit.is_empty() {
                add(&mut links, &mut delta, commit);
            }
        }
        let expected = naive(&said);
        prop_assert_eq!(&resolved(&links), &expected);
        let mut restarted = loaded(&delta);
        prop_assert_eq!(&resolved(&restarted), &expected);
        // The log again, from an earlier position.
        for one in &said[again.min(said.len())..] {
            add(&mut restarted, &mut delta, std::slice::from_ref(one));
        }
        prop_assert_eq!(&resolved(&restarted), &expected);
        let mut backwards = Links::new(1_000);
        for one in said.iter().rev() {
            add(&mut backwards, &mut LinkDelta::default(), std::slice::from_ref(one));
        }
        prop_assert_eq!(&resolved(&backwards), &expected);
    }

    #[test]
    fn a_person_that_is_forgotten_leaves_no_link(said in any_said(), whom in 0u8..9) {
        let (mut links, mut delta) = (Links::new(1_000), LinkDelta::default());
        said.iter().for_each(|one| add(&mut links, &mut delta, std::slice::from_ref(one)));
        let all = naive(&said);
        let person = format!("id{whom}");
        let (ids, sources) = links.person("A", key(&person));
        let expected: BTreeSet<u64> = (0..9).map(|id| key(&format!("id{id}"))).filter(|id| {
            let place = (0..9).position(|of| key(&format!("id{of}")) == *id).unwrap();
            all[place] == all[whom as usize]
        }).collect();
        prop_assert_eq!(ids.iter().copied().collect::<BTreeSet<u64>>(), expected);
        links.forget(&app(), &sources);
        delta.forget("A", &sources);
        // Only links between kept ids are left, since a link has both of its ids in one person.
        let kept: Vec<Said> = said.into_iter().filter(|(source, _, _)| !ids.contains(&key(source))).collect();
        prop_assert_eq!(resolved(&links), naive(&kept));
        prop_assert_eq!(resolved(&loaded(&delta)), naive(&kept));
    }
}

#[test]
fn bounds_hold_and_are_counted() {
    let mut links = Links::new(3);
    let mut delta = LinkDelta::default();
    let said: Vec<Said> = (0..5).map(|i| (format!("d{i}"), format!("u{i}"), i)).collect();
    add(&mut links, &mut delta, &said);
    assert_eq!(links.figures(), LinkFigures { links: 3, refused: 2 });
    // What is linked may still be linked earlier, and again; what is not stays apart.
    add(&mut links, &mut delta, &[("d1".into(), "u7".into(), -1), ("d2".into(), "u2".into(), 9), ("d4".into(), "u4".into(), 0)]);
    assert_eq!(links.figures(), LinkFigures { links: 3, refused: 3 });
    let identity = links.identities().of("A");
    assert_eq!(identity.canonical(key("d1")), key("u7"));
    assert_eq!(identity.canonical(key("d4")), key("d4"));

    let mut crowd = Links::new(100_000);
    let said: Vec<Said> = (0..MAX_PERSON_IDS + 5).map(|i| (format!("d{i}"), "u".to_owned(), 0)).collect();
    add(&mut crowd, &mut delta, &said);
    assert_eq!(crowd.figures(), LinkFigures { links: MAX_PERSON_IDS as u64 - 1, refused: 6 });
    // Two crowds do not become one, and everybody stays whom they were.
    let others: Vec<Said> = (0..10).map(|i| (format!("e{i}"), "v".to_owned(), 0)).collect();
    add(&mut crowd, &mut delta, &others);
    add(&mut crowd, &mut delta, &[("v".into(), "u".into(), 0)]);
    assert_eq!(crowd.figures().refused, 7);
    let identity = crowd.identities().of("A");
    assert_eq!((identity.canonical(key("v")), identity.canonical(key("e3"))), (key("v"), key("v")));
    assert_eq!(identity.canonical(key("d77")), key("u"));
}

#[test]
fn a_reader_learns_what_has_changed() {
    let mut links = Links::new(1_000);
    let mut delta = LinkDelta::default();
    add(&mut links, &mut delta, &[("d1".into(), "u1".into(), 1)]);
    let before = links.identities().of("A");
    add(&mut links, &mut delta, &[("d2".into(), "u2".into(), 1), ("u1".into(), "u2".into(), 1)]);
    let now = links.identities().of("A");
    let changed: BTreeSet<u64> = now.changed_since(before.generation()).unwrap().into_iter().collect();
    assert_eq!(changed, BTreeSet::from(["d1", "d2", "u1"].map(key)));
    assert_eq!(before.canonical(key("d1")), key("u1"), "what a question holds does not change");
    assert_eq!(now.canonical(key("d1")), key("u2"));
    assert!(Arc::ptr_eq(before.changes(), now.changes()));
    assert_eq!(before.changed_since(now.generation()), None);
    let stored: Vec<&StoredLink> = delta.apps["A"].values().collect();
    assert_eq!(stored.len(), 3);
}
