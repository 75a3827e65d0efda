//! Whatever is appended, flushed and compacted in whatever pieces: the same rows come out.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{BASE_MS, DAY_MS, HOUR_MS, PlainEvent, assert_sound, commit, expected, maintain_all, open, rollups, rows};
use event_store::EventSink;

const APPS: [&str; 3] = ["A", "A-1", "B"];

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..3).prop_map(Value::from),
        Just(json!(i64::MAX)),
        Just(json!(-9_007_199_254_740_993i64)),
        Just(json!(u64::MAX)),
        (-8i32..8).prop_map(|n| json!(f64::from(n) / 4.0)),
        "[a-c]{0,2}".prop_map(Value::from),
        Just(json!("\"\\\n é 💥 \u{1}")),
        Just(json!([1, "a", {"b": null}])),
        Just(json!({"x": {"y": 1}})),
    ]
}

fn event() -> impl Strategy<Value = PlainEvent> {
    let names = prop_oneof![Just("a"), Just("b"), Just("$identify"), Just("é")];
    let keys = prop_oneof![4 => "[pqr]", 1 => "[a-z]{3}", 1 => Just("s:p".to_string()), 1 => Just("$overflow".to_string()), 1 => Just("".to_string())];
    let properties = proptest::collection::vec((keys, value()), 0..6);
    let time = (0i64..3, 0i64..48).prop_map(|(day, half_hour)| BASE_MS + day * DAY_MS + half_hour * HOUR_MS / 2);
    let ids = (
        proptest::option::of(0u32..6),
        proptest::option::of("[dU][0-3]"),
        proptest::option::of("s[0-4]"),
        proptest::option::of("s[0-4]-[0-9]{1,3}"),
    );
    (0..APPS.len(), names, time, ids, properties, any::<bool>()).prop_map(
        |(app, name, time_ms, (user, anonymous_id, session_id, insert_id), properties, late)| {
            let client_time_ms = if late { time_ms - 7 } else { time_ms };
            let user_id = user.map(|user| format!("U{user}"));
            PlainEvent {
                app: APPS[app],
                name: name.into(),
                time_ms,
                client_time_ms,
                user_id,
                anonymous_id,
                insert_id,
                session_id,
                properties,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_same_rows_before_and_after_every_rewrite(
        pieces in proptest::collection::vec((proptest::collection::vec(event(), 1..25), any::<bool>()), 1..14)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let mut all = Vec::new();
        for (i, (events, flush)) in pieces.iter().enumerate() {
            store.append(commit(events, i as u64 + 1)).unwrap();
            all.extend(events.iter().cloned());
            if *flush {
                store.flush().unwrap();
            }
        }
        let wanted = expected(&all);
        prop_assert_eq!(&rows(&store, &APPS), &wanted);
        let counted: Vec<_> = APPS.map(|app| rollups(&store, app)).concat();
        store.flush().unwrap();
        prop_assert_eq!(&rows(&store, &APPS), &wanted);
        let while_open = maintain_all(&store, BASE_MS);
        prop_assert_eq!(&rows(&store, &APPS), &wanted);
        let when_closed = maintain_all(&store, BASE_MS + 10 * DAY_MS);
        prop_assert_eq!(&rows(&store, &APPS), &wanted);
        prop_assert!(super::world::segment_count(&store) <= 3, "{} {}", while_open, when_closed);
        prop_assert_eq!(&APPS.map(|app| rollups(&store, app)).concat(), &counted);
        assert_sound(&store);
        drop(store);
        let store = open(dir.path());
        prop_assert_eq!(&rows(&store, &APPS), &wanted);
    }
}
