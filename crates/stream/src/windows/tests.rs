use std::time::Instant;

use event::{EventBatchBuilder, EventFields};
use proptest::prelude::*;
use realtime_store::{CellRange, MemoryRealtimeStore};

use super::*;

const NOW_MS: i64 = 1_780_000_020_000;
const HOUR_MS: i64 = 3_600_000;

#[derive(Clone, Debug)]
struct Sent {
    app: u8,
    ago_ms: i64,
    name: u8,
    user: Option<u8>,
    session: Option<u8>,
    page: Option<u8>,
}

impl Sent {
    fn app(&self) -> AppId {
        AppId::new(if self.app == 0 { "A" } else { "B" }).unwrap()
    }

    fn name(&self) -> &'static str {
        ["page_view", "click", "$pageview", "page", "purchase"][usize::from(self.name)]
    }

    fn with_row(&self, visit: &mut dyn FnMut(&WindowRow<'_>)) {
        let (user, session) = (self.user.map(|user| format!("U{user}")), self.session.map(|session| format!("S{session}")));
        let page = self.page.map(|page| format!("/{page}"));
        visit(&WindowRow {
            app: &self.app(),
            event: self.name(),
            time_ms: NOW_MS - self.ago_ms,
            user_id: user.as_deref(),
            anonymous_id: Some("device"),
            session_id: session.as_deref(),
            page: page.as_deref(),
        });
    }
}

fn batch(app: &AppId, events: &[&Sent]) -> EventBatch {
    let mut builder = EventBatchBuilder::default();
    builder.start(NOW_MS);
    for sent in events {
        sent.with_row(&mut |row| {
            if let Some(page) = row.page {
                builder.property(if sent.user.is_some() { "url" } else { "path" }, PropertyValue::Str(page));
            }
            builder.property("plan", PropertyValue::Str("free"));
            builder.finish_event(&EventFields {
                name: row.event,
                time_ms: row.time_ms,
                client_time_ms: row.time_ms,
                user_id: row.user_id,
                anonymous_id: row.anonymous_id,
                insert_id: None,
                session_id: row.session_id,
            });
        });
    }
    builder.build(app)
}

fn sent() -> impl Strategy<Value = Sent> {
    let ago_ms = prop_oneof![
        6 => -HOUR_MS..10 * 60_000,
        // Around the ends of both retentions.
        2 => 2 * HOUR_MS - 90_000..2 * HOUR_MS + 90_000,
        1 => 3 * HOUR_MS..6 * 24 * HOUR_MS,
        1 => 7 * 24 * HOUR_MS - 90_000..7 * 24 * HOUR_MS + 90_000,
        1 => 8 * 24 * HOUR_MS..900 * 24 * HOUR_MS,
    ];
    let option = || proptest::option::of(0u8..20);
    (0u8..2, ago_ms, 0u8..5, option(), option(), option()).prop_map(|(app, ago_ms, name, user, session, page)| Sent {
        app,
        ago_ms,
        name,
        user,
        session,
        page,
    })
}

async fn content(store: &MemoryRealtimeStore) -> Vec<CellRange> {
    let mut all = Vec::new();
    for app in ["A", "B"] {
        for resolution in Resolution::ALL {
            all.push(store.range(&AppId::new(app).unwrap(), resolution, i64::MIN, i64::MAX).await.unwrap());
        }
    }
    all
}

/// Counts with no windows of the stream at all: each event into both of its cells.
async fn oracle(events: &[Sent], now_ms: i64) -> Vec<CellRange> {
    let mut cells: FxHashMap<CellKey, Cell> = FxHashMap::default();
    for sent in events {
        sent.with_row(&mut |row| {
            for resolution in Resolution::ALL {
                let start_ms = row.time_ms - row.time_ms.rem_euclid(resolution.length_ms());
                if start_ms < now_ms - resolution.kept_ms() {
                    continue;
                }
                let person = person_hash(row.user_id, row.anonymous_id);
                let session = row.session_id.map(|id| PersonHash(xxh3_64(id.as_bytes()))).or(person);
                let page = if matches!(row.event, "page_view" | "page" | "$pageview") { row.page } else { None };
                let key = CellKey { app: row.app.clone(), resolution, start_ms };
                cells.entry(key).or_default().add(&WindowEvent { event: row.event, person, session, page });
            }
        });
    }
    let store = MemoryRealtimeStore::default();
    store.put(cells.into_iter().map(|(key, cell)| (key, Arc::new(cell))).collect(), now_ms).await.unwrap();
    content(&store).await
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Late, early and out-of-order events, published at any rhythm while time passes, and a recount from rows: identical cells.
    #[test]
    fn incremental_and_rebuilt_windows_are_identical(
        batches in proptest::collection::vec((proptest::collection::vec(sent(), 0..25), any::<bool>(), 0i64..40_000), 1..25),
        chunk in 1usize..200,
    ) {
        block_on(async {
            let store = MemoryRealtimeStore::default();
            let mut windows = Windows::default();
            let mut now_ms = NOW_MS;
            let mut stored = Vec::new();
            for (events, publish, passed_ms) in batches {
                for app in ["A", "B"] {
                    let app = AppId::new(app).unwrap();
                    let of_app: Vec<&Sent> = events.iter().filter(|sent| sent.app() == app).collect();
                    // Every third event is a duplicate of something and must not count.
                    let duplicates: Vec<u32> = (0..of_app.len() as u32).filter(|index| index % 3 == 1).collect();
                    windows.add_batch(&batch(&app, &of_app), &duplicates, now_ms);
                    stored.extend(of_app.iter().enumerate().filter(|(index, _)| index % 3 != 1).map(|(_, sent)| (*sent).clone()));
                }
                if publish {
                    windows.publish(&store, now_ms).await.unwrap();
                }
                now_ms += passed_ms;
            }
            windows.publish(&store, now_ms).await.unwrap();
            // Cells of apps that did not change last are forgotten at the next look at all of them.
            now_ms += 60_000;
            store.put(Vec::new(), now_ms).await.unwrap();

            let rebuilt = MemoryRealtimeStore::default();
            let mut windows = Windows::default();
            for rows in stored.chunks(chunk) {
                let mut part = Windows::default();
                rows.iter().for_each(|sent| sent.with_row(&mut |row| part.add_row(row, now_ms)));
                windows.absorb(part);
                if rows.len() % 2 == 0 {
                    windows.publish(&rebuilt, now_ms).await.unwrap();
                }
            }
            windows.publish(&rebuilt, now_ms).await.unwrap();

            let expected = oracle(&stored, now_ms).await;
            assert_eq!(content(&rebuilt).await, expected);
            assert_eq!(content(&store).await, expected);
        });
    }
}

#[test]
fn late_events_are_counted_as_late_and_change_their_own_window() {
    block_on(async {
        let store = MemoryRealtimeStore::default();
        let mut windows = Windows::default();
        let app = AppId::new("A").unwrap();
        let at = |ago_ms: i64| Sent { app: 0, ago_ms, name: 1, user: Some(1), session: None, page: None };
        assert_eq!(windows.add_batch(&batch(&app, &[&at(0), &at(14_000), &at(60_000)]), &[], NOW_MS), 1);
        windows.publish(&store, NOW_MS).await.unwrap();
        // So much later that the cell is no longer hot and comes from the store.
        let later_ms = NOW_MS + HOUR_MS;
        assert_eq!(windows.add_batch(&batch(&app, &[&at(60_000)]), &[], later_ms), 1);
        assert_eq!(windows.publish(&store, later_ms).await, Ok(2));
        let key = CellKey { app, resolution: Resolution::FiveSeconds, start_ms: Resolution::FiveSeconds.start_of(NOW_MS - 60_000) };
        assert_eq!(store.get(&key).await.unwrap().unwrap().events, 2);
    });
}

/// What counting and publishing cost an event at 50,000 events a second of one app.
#[test]
fn counting_is_cheap() {
    let app = AppId::new("A").unwrap();
    let mut builder = EventBatchBuilder::default();
    let batches: Vec<EventBatch> = (0..2_500u64)
        .map(|i| {
            builder.start(NOW_MS);
            for j in 0..20u64 {
                let n = (i * 20 + j).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                let (user, url) = (format!("user-{}", n % 20_000), format!("/product/item-{}", n % 5_000));
                builder.property("url", PropertyValue::Str(&url));
                for key in ["country", "device", "browser", "plan"] {
                    builder.property(key, PropertyValue::Str("some value"));
                }
                builder.finish_event(&EventFields {
                    name: ["page_view", "click", "search", "add_to_cart"][(n % 4) as usize],
                    time_ms: NOW_MS - (n % 2_000) as i64,
                    client_time_ms: NOW_MS,
                    user_id: Some(&user),
                    anonymous_id: None,
                    insert_id: None,
                    session_id: None,
                });
            }
            builder.build(&app)
        })
        .collect();
    block_on(async {
        let store = MemoryRealtimeStore::default();
        let mut windows = Windows::default();
        let started = Instant::now();
        for quarter in batches.chunks(625) {
            quarter.iter().for_each(|batch| assert_eq!(windows.add_batch(batch, &[], NOW_MS), 0));
            windows.publish(&store, NOW_MS).await.unwrap();
        }
        let ns = started.elapsed().as_nanos() as f64 / 50_000.0;
        println!("counting and publishing: {ns:.0} ns an event");
        assert!(ns < 5_000.0, "{ns}");
    });
}
