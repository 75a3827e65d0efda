//! Random small worlds: plain events, and the same events in parts of every form.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use event::{AppId, EventBatchBuilder, EventFields, PersonHash, PropertyValue, check_id, person_hash};
use event_store::{AppendedBatch, MemoryBudget, QueryContext};
use proptest::prelude::*;

use crate::columnize::columnize;
use crate::columns;
use crate::decoded::DecodedCache;
use crate::deletion::Tombstones;
use crate::exec::value::OwnedScalar;
use crate::hidden::HiddenRows;
use crate::identity::{Identities, LinkDelta, Links, links_of};
use crate::memory::MemoryPart;
use crate::merge::{IdColumns, IdGatherer};
use crate::part::Part;
use crate::segment::{IdTables, OpenSegments, Segment, SegmentPlace, SegmentWriter};
use crate::snapshot::Snapshot;

/// 2026-01-01T00:00:00Z.
pub(super) const BASE_MS: i64 = 1_767_225_600_000;
pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const NAMES: [&str; 5] = ["a", "b", "c", "$identify", "$set"];
/// The deleted person.
const GHOST: &str = "ghost";
pub(super) const PROPERTIES: [&str; 3] = ["p", "q", "$set"];

/// One event as plain data.
#[derive(Clone, Debug)]
pub(super) struct PlainEvent {
    pub(super) name: String,
    pub(super) time_ms: i64,
    pub(super) received_at_ms: i64,
    pub(super) user_id: Option<String>,
    pub(super) anonymous_id: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) insert_id: Option<String>,
    pub(super) properties: Vec<(String, OwnedScalar)>,
    /// The id that stands for the person, where [`linked`] has found another than the event's own.
    pub(super) counts_as: Option<String>,
}

impl PlainEvent {
    pub(super) fn person(&self) -> Option<&str> {
        self.counts_as.as_deref().or(self.own_id())
    }

    fn own_id(&self) -> Option<&str> {
        self.user_id.as_deref().or(self.anonymous_id.as_deref())
    }

    pub(super) fn property(&self, name: &str) -> OwnedScalar {
        self.properties.iter().find(|(known, _)| known == name).map_or(OwnedScalar::Null, |(_, value)| value.clone())
    }
}

pub(super) fn app() -> AppId {
    AppId::new("APP-1").unwrap()
}

pub(in crate::exec) fn context() -> QueryContext {
    QueryContext {
        deadline: Instant::now() + Duration::from_secs(60),
        limit_ms: 60_000,
        cancel: Default::default(),
        memory: MemoryBudget::new(512 << 20),
        max_groups: 100_000,
    }
}

/// How much is kept of what is decoded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keeping {
    Nothing,
    /// Some columns and texts, not all of a question.
    Little,
    Everything,
    /// Everything, with fewer ordinals than persons.
    FewPersons,
}

pub(super) fn any_keeping() -> impl Strategy<Value = Keeping> {
    prop::sample::select(vec![Keeping::Nothing, Keeping::Little, Keeping::Everything, Keeping::FewPersons])
}

pub(super) fn cache(keeping: Keeping) -> Arc<DecodedCache> {
    Arc::new(match keeping {
        Keeping::Nothing => DecodedCache::new(0, 1_000_000),
        Keeping::Little => DecodedCache::new(4_096, 1_000_000),
        Keeping::Everything => DecodedCache::new(64 << 20, 1_000_000),
        Keeping::FewPersons => DecodedCache::new(64 << 20, 3),
    })
}

/// How a part keeps its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartForm {
    pub(super) segment: bool,
    /// Beside so many rows of another app that a property of few rows gets no column.
    pub(super) crowded: bool,
    /// With rows of a deleted person between the others: in a segment, hidden.
    pub(super) haunted: bool,
}

/// The events as parts: event `i` is in part `i % forms.len()`.
pub(super) fn snapshot(events: &[PlainEvent], forms: &[PartForm], folder: &Path) -> Snapshot {
    let parts = forms.iter().enumerate().filter_map(|(i, form)| {
        let of_part: Vec<&PlainEvent> = events.iter().skip(i).step_by(forms.len()).collect();
        let mut batches: Vec<AppendedBatch> = of_part.iter().map(|event| batch(&app(), std::slice::from_ref(*event))).collect();
        // Another app with the same ids, names and properties: nothing of it may come out.
        let other = AppId::new("APP-0").unwrap();
        batches.extend(of_part.iter().map(|event| batch(&other, std::slice::from_ref(*event))));
        let ghost = |event: &&PlainEvent| PlainEvent { user_id: Some(GHOST.into()), ..(*event).clone() };
        let is_haunted = form.segment && form.haunted;
        batches.extend(of_part.iter().map(ghost).filter(|_| is_haunted).map(|event| batch(&app(), &[event])));
        if form.crowded {
            let plain = PlainEvent { properties: Vec::new(), ..of_part.first().copied()?.clone() };
            batches.push(batch(&AppId::new("APP-2").unwrap(), &vec![plain; 1_100]));
        }
        let part = columnize(&batches).unwrap()?;
        Some(Arc::new(if form.segment {
            Part::Segment(hide_ghost(&part, &segment(&part, !form.crowded, i as u64, folder)))
        } else {
            Part::Memory(part)
        }))
    });
    Snapshot { parts: parts.collect(), identities: identities(events, forms.len()) }
}

/// What the store makes of the events' links, a commit for each part.
fn identities(events: &[PlainEvent], commits: usize) -> Identities {
    let (mut links, mut delta) = (Links::new(1_000), LinkDelta::default());
    for first in 0..commits {
        let of_commit = events.iter().skip(first).step_by(commits);
        let batches: Vec<AppendedBatch> = of_commit.map(|event| batch(&app(), std::slice::from_ref(event))).collect();
        links.add(&links_of(&batches, &Tombstones::default()), &mut delta);
    }
    links.identities()
}

/// A link as it is ordered among those of its source: time, receipt, key of the target, and the target.
type SaidLink<'w> = (i64, i64, u64, &'w str);

/// Every link that the events say, with its source.
fn said(events: &[PlainEvent]) -> Vec<(&str, SaidLink<'_>)> {
    let mut said = Vec::new();
    for event in events {
        let alias = match event.property("alias") {
            OwnedScalar::Str(alias) if event.name == "$alias" => event.properties.iter().find_map(|(_, value)| match value {
                OwnedScalar::Str(text) if *text == alias && check_id("alias", text).is_ok() => Some(text.as_ref()),
                _ => None,
            }),
            _ => None,
        };
        let sources = [event.anonymous_id.as_deref(), alias];
        for (source, target) in sources.into_iter().flatten().filter_map(|source| Some((source, event.user_id.as_deref()?))) {
            if source != target {
                let PersonHash(key) = person_hash(Some(target), None).unwrap();
                said.push((source, (event.time_ms, event.received_at_ms, key, target)));
            }
        }
    }
    said
}

/// The id that stands for the person of this one: links are followed one by one to where there is none, and in a ring to where the last of
/// the ring begins.
pub(super) fn resolve(events: &[PlainEvent], id: &str) -> String {
    let said = said(events);
    let first = |id: &str| said.iter().filter(|(source, _)| *source == id).map(|(_, link)| *link).min();
    let mut way = vec![id.to_owned()];
    while let Some((.., target)) = first(way.last().unwrap()) {
        if let Some(begins) = way.iter().position(|id| id == target) {
            let order = |id: &String| first(id).map(|(time_ms, received_at_ms, key, _)| (time_ms, received_at_ms, key));
            return way[begins..].iter().max_by_key(|id| order(id)).unwrap().clone();
        }
        way.push(target.to_owned());
    }
    way.pop().unwrap()
}

/// The events with whom they count as.
pub(super) fn linked(events: Vec<PlainEvent>) -> Vec<PlainEvent> {
    let counts_as = |event: &PlainEvent| event.own_id().map(|id| resolve(&events, id));
    let ids: Vec<Option<String>> = events.iter().map(counts_as).collect();
    events.into_iter().zip(ids).map(|(event, counts_as)| PlainEvent { counts_as, ..event }).collect()
}

/// Worlds of such events: in some no id is linked, in others most are.
pub(super) fn any_world(event: impl Strategy<Value = PlainEvent>, size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<PlainEvent>> {
    (prop::collection::vec(event, size), prop::sample::select(vec![0, 1, 3])).prop_map(|(mut events, linking)| {
        // Of three events one, all or none keeps both ids.
        for (i, event) in events.iter_mut().enumerate().filter(|(i, _)| linking == 0 || i % linking != 0) {
            let keeps_user = i % 3 > 0 || event.anonymous_id.is_none();
            event.anonymous_id.take_if(|_| keeps_user);
            event.user_id.take_if(|_| !keeps_user);
            if linking == 0 && event.name == "$alias" {
                event.name = "a".into();
            }
        }
        linked(events)
    })
}

/// The segment without the rows of the deleted person.
fn hide_ghost(part: &MemoryPart, segment: &Segment) -> Segment {
    let users = part.batch().column_by_name(columns::USER_ID).unwrap().as_string::<i32>();
    let of_ghost = (0..users.len()).filter(|&row| users.is_valid(row) && users.value(row) == GHOST);
    segment.covered(HiddenRows::new(of_ghost.map(|row| row..row + 1).collect()), false)
}

/// With a table of its persons, as a segment of one app has, or with their keys in the rows.
fn segment(part: &MemoryPart, with_table: bool, id: u64, folder: &Path) -> Segment {
    let place = SegmentPlace { root: folder, id, day: 20_454 };
    let mut writer =
        SegmentWriter::create(&place, &part.batch().schema(), part.overflow().clone(), with_table.then(|| tables_of(part)), 1).unwrap();
    writer.write(part.batch()).unwrap();
    Segment::new(writer.finish().unwrap(), Arc::from(folder), Arc::new(OpenSegments::new(64 << 20, 64)))
}

/// The tables of a part's ids.
pub(super) fn tables_of(part: &MemoryPart) -> IdTables {
    let mut gatherer = IdGatherer::default();
    gatherer.add_all(&IdColumns::of_batch(part.batch()).unwrap());
    gatherer.finish().unwrap()
}

/// All events were received at the time of the first.
pub(super) fn batch(app: &AppId, events: &[PlainEvent]) -> AppendedBatch {
    let mut builder = EventBatchBuilder::default();
    builder.start(events[0].received_at_ms);
    for event in events {
        for (name, value) in &event.properties {
            let digits;
            let value = match value {
                OwnedScalar::Null => PropertyValue::Null,
                OwnedScalar::Bool(b) => PropertyValue::Bool(*b),
                OwnedScalar::Int(i) => PropertyValue::Int(*i),
                OwnedScalar::Float(f) => PropertyValue::Float(*f),
                OwnedScalar::Str(s) => PropertyValue::Str(s),
                OwnedScalar::Json(s) => PropertyValue::Json(s),
                OwnedScalar::BigUint(u) => {
                    digits = u.to_string();
                    PropertyValue::Json(&digits)
                }
            };
            builder.property(name, value);
        }
        builder.finish_event(&EventFields {
            name: &event.name,
            time_ms: event.time_ms,
            client_time_ms: event.time_ms,
            user_id: event.user_id.as_deref(),
            anonymous_id: event.anonymous_id.as_deref(),
            insert_id: event.insert_id.as_deref(),
            session_id: event.session_id.as_deref(),
        });
    }
    AppendedBatch { batch: builder.build(app), duplicates: Vec::new() }
}

pub(super) fn any_value() -> impl Strategy<Value = OwnedScalar> {
    let text = prop::sample::select(vec!["", "x", "xy", "yx", "1", "US", "[\"x\"]"]);
    let two_53 = 1i64 << 53;
    prop_oneof![
        1 => Just(OwnedScalar::Null),
        2 => any::<bool>().prop_map(OwnedScalar::Bool),
        3 => (-2i64..4).prop_map(OwnedScalar::Int),
        1 => prop::sample::select(vec![two_53 - 1, two_53, two_53 + 1, i64::MAX]).prop_map(OwnedScalar::Int),
        3 => (-4i32..8).prop_map(|quarters| OwnedScalar::Float(f64::from(quarters) / 4.0)),
        1 => Just(OwnedScalar::Float(two_53 as f64)),
        1 => Just(OwnedScalar::BigUint(u64::MAX)),
        6 => text.prop_map(|text| OwnedScalar::Str(text.into())),
        2 => prop::sample::select(vec!["[\"x\",1]", "[]", "{\"p\":\"x\"}", "{\"p\":2,\"q\":null}"]).prop_map(|json| OwnedScalar::Json(json.into())),
    ]
}

fn any_id(prefix: &'static str, count: u8) -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(0.7, 0..count).prop_map(move |id| id.map(|id| format!("{prefix}{id}")))
}

pub(super) fn any_event() -> impl Strategy<Value = PlainEvent> {
    let properties = prop::collection::vec((prop::sample::select(PROPERTIES.to_vec()), any_value()), 0..3);
    let names = prop::sample::select(vec!["a", "a", "a", "a", "b", "b", "b", "c", "$identify", "$set", "$alias"]);
    let aliases = prop::option::weighted(0.8, prop::sample::select(vec!["u0", "u1", "u2", "u3", "d0", "d1", "anonymous"]));
    let ids = (any_id("u", 4), any_id("d", 3), prop::option::weighted(0.2, 0u8..2), any_id("i", 3));
    (names, 0i64..300, 0i64..3, ids, properties, aliases).prop_map(
        |(name, step, received, (user_id, anonymous_id, session, insert_id), properties, alias)| {
            let mut own: Vec<(String, OwnedScalar)> = Vec::new();
            for (name, value) in properties {
                // The last of a repeated name counts; plain events have each name once.
                own.retain(|(known, _)| known != name);
                own.push((name.to_string(), value));
            }
            if let Some(alias) = alias.filter(|_| name == "$alias") {
                own.push(("alias".to_string(), OwnedScalar::Str(alias.into())));
            }
            PlainEvent {
                name: name.to_string(),
                time_ms: BASE_MS + step * 10 * MINUTE_MS,
                received_at_ms: BASE_MS + (300 + received) * 10 * MINUTE_MS,
                user_id,
                anonymous_id,
                session_id: session.map(|session| format!("s{session}")),
                insert_id,
                properties: own,
                counts_as: None,
            }
        },
    )
}

pub(super) fn any_forms() -> impl Strategy<Value = Vec<PartForm>> {
    let form = (prop::bool::weighted(0.3), prop::bool::weighted(0.3), any::<bool>()).prop_map(|(segment, crowded, haunted)| PartForm {
        segment,
        crowded,
        haunted,
    });
    prop::collection::vec(form, 1..4)
}

pub(super) fn any_names() -> impl Strategy<Value = Option<Vec<String>>> {
    prop::option::weighted(0.4, prop::collection::vec(prop::sample::select(NAMES.to_vec()).prop_map(String::from), 0..3))
}

/// 12,000 events of many persons, each with a few sessions of some names.
pub(super) fn crowd() -> Vec<PlainEvent> {
    let event = |i: i64| PlainEvent {
        name: ["a", "b", "c", "$set"][(i * i % 7 % 4) as usize].into(),
        time_ms: BASE_MS + i * 1_001,
        received_at_ms: BASE_MS,
        user_id: Some(format!("u{}", i % 997)),
        anonymous_id: None,
        session_id: (i % 3 == 0).then(|| format!("s{}", i % 5)),
        insert_id: None,
        counts_as: None,
        properties: Vec::new(),
    };
    (0..12_000).map(event).collect()
}
