//! The questions of the benchmark over a small shop, a segment a day: an operator that became quadratic fails here.
//! `THRONG_SPEED_EVENTS=20000000 cargo test --release -p event-store-parquet every_question -- --nocapture` prints the times of a large one.

use std::sync::Arc;
use std::time::Instant;

use event::{AppId, EventBatchBuilder, EventFields, PropertyValue};
use event_store::{
    ActivityKind, ActivityPlan, AggregatePlan, AppendedBatch, BounceRule, Buckets, EventsPlan, Field, Filter, Fold, FunnelPlan, FunnelStep,
    Measure, MeasureFn, Op, PageRule, QueryError, Scan, SessionRule, SessionsPlan, Value,
};

use super::world::{BASE_MS, Keeping, MINUTE_MS, app, cache, context};
use crate::columnize::columnize;
use crate::deletion::Tombstones;
use crate::exec::{Query, activity, aggregate, events, funnel, sessions};
use crate::identity::{Identities, LinkDelta, Links, links_of};
use crate::part::Part;
use crate::segment::{OpenSegments, Segment, SegmentPlace, SegmentWriter};
use crate::snapshot::Snapshot;

const DAYS: i64 = 90;
const DAY_MS: i64 = 86_400_000;

/// SplitMix64: small, seeded, and good enough to fill a shop.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    /// Small numbers far more often than large ones.
    fn skewed(&mut self, sides: u64) -> u64 {
        let bits = sides.ilog2() as u64 + 1;
        let width = self.roll(bits) + 1;
        self.roll(1 << width).min(sides - 1)
    }
}

fn day_batch(app: &AppId, day: i64, count: u64) -> AppendedBatch {
    let mut dice = Dice(day as u64);
    let mut builder = EventBatchBuilder::default();
    builder.start(BASE_MS + day * DAY_MS);
    for i in 0..count {
        let person = dice.skewed(500_000);
        let (name, is_purchase) = match dice.roll(100) {
            0..50 => ("page_view", false),
            50..75 => ("click", false),
            75..85 => ("search", false),
            85..91 => ("add_to_cart", false),
            91..95 => ("video_play", false),
            95..97 => ("purchase", true),
            97..99 => ("custom", false),
            _ => ("signup", false),
        };
        builder.property("url", PropertyValue::Str(&format!("/shop/item-{}", dice.skewed(5_000))));
        builder.property("country", PropertyValue::Str(["US", "DE", "FR", "GB", "IN", "BR", "JP", "CA"][(person % 8) as usize]));
        builder.property("device", PropertyValue::Str(["mobile", "desktop", "tablet"][(person % 3) as usize]));
        builder.property("browser", PropertyValue::Str(["chrome", "safari", "firefox", "edge"][(person % 4) as usize]));
        builder.property("plan", PropertyValue::Str(["free", "pro", "team"][(person % 7 % 3) as usize]));
        if is_purchase {
            builder.property("price", PropertyValue::Float(dice.roll(20_000) as f64 / 100.0));
        }
        let time_ms = BASE_MS + day * DAY_MS + (i as i64 * DAY_MS) / count as i64;
        builder.finish_event(&EventFields {
            name,
            time_ms,
            client_time_ms: time_ms,
            user_id: Some(&format!("user-{person}")),
            anonymous_id: None,
            insert_id: None,
            session_id: None,
        });
    }
    AppendedBatch { batch: builder.build(app), duplicates: Vec::new() }
}

fn scan(events: Option<&[&str]>, days: i64, filter: Filter) -> Scan {
    Scan {
        app: app(),
        from_ms: BASE_MS + (DAYS - days) * DAY_MS,
        to_ms: BASE_MS + DAYS * DAY_MS,
        events: events.map(|names| names.iter().map(|name| name.to_string()).collect()),
        filter,
    }
}

fn property(name: &str) -> Field {
    Field::Property(name.into())
}

fn question(scan: Scan, daily: bool, group_by: &[&str], functions: &[MeasureFn]) -> AggregatePlan {
    let starts = (0..DAYS).map(|day| BASE_MS + day * DAY_MS).collect();
    AggregatePlan {
        scan,
        buckets: daily.then_some(Buckets { starts }),
        group_by: group_by.iter().map(|name| property(name)).collect(),
        measures: functions.iter().map(|function| Measure::of(function.clone())).collect(),
        fold: Fold { keep: 25, by_measure: 0, descending: true },
    }
}

fn steps(window_ms: i64, days: i64, breakdown: Option<&str>) -> FunnelPlan {
    let step = |name: &str| FunnelStep::required(vec![(Some(vec![name.to_string()]), Filter::all())]);
    let steps = ["page_view", "add_to_cart", "purchase"].map(step).to_vec();
    FunnelPlan {
        window_ms: Some(window_ms),
        breakdown: breakdown.map(property),
        fold_keep: 25,
        ..FunnelPlan::ordered(scan(None, days, Filter::all()), steps)
    }
}

fn shop(folder: &std::path::Path, event_count: u64) -> Snapshot {
    let open = Arc::new(OpenSegments::new(256 << 20, 1_000));
    let mut bytes = 0;
    let parts = (0..DAYS).map(|day| {
        let part = columnize(&[day_batch(&app(), day, event_count / DAYS as u64)]).unwrap().unwrap();
        let place = SegmentPlace { root: folder, id: day as u64, day: 20_454 + day };
        let mut writer =
            SegmentWriter::create(&place, &part.batch().schema(), part.overflow().clone(), Some(super::world::tables_of(&part)), 1)
                .unwrap();
        writer.write(part.batch()).unwrap();
        let info = writer.finish().unwrap();
        bytes += info.bytes;
        Arc::new(Part::Segment(Segment::new(info, Arc::from(folder), open.clone())))
    });
    let snapshot = Snapshot { parts: parts.collect(), ..Snapshot::default() };
    println!("{event_count} events, {:.1} bytes each", bytes as f64 / event_count as f64);
    snapshot
}

/// Every third person counts as the next one.
fn a_third_linked() -> Identities {
    let mut builder = EventBatchBuilder::default();
    builder.start(BASE_MS);
    for person in (0..500_000).step_by(3) {
        builder.finish_event(&EventFields {
            name: "signup",
            time_ms: BASE_MS,
            client_time_ms: BASE_MS,
            user_id: Some(&format!("user-{}", person + 1)),
            anonymous_id: Some(&format!("user-{person}")),
            insert_id: None,
            session_id: None,
        });
    }
    let batch = AppendedBatch { batch: builder.build(&app()), duplicates: Vec::new() };
    let mut links = Links::new(1_000_000);
    links.add(&links_of(&[batch], &Tombstones::default()), &mut LinkDelta::default());
    links.identities()
}

type Question = (&'static str, Box<dyn Fn(&Query<'_>) -> Result<(), QueryError>>);

fn counting(name: &'static str, plan: AggregatePlan) -> Question {
    (name, Box::new(move |query| aggregate(query, &plan).map(drop)))
}

fn visits(page: Option<Field>) -> SessionsPlan {
    let scan = scan(None, DAYS, Filter::all());
    SessionsPlan {
        buckets: Some(Buckets { starts: (0..DAYS).map(|day| BASE_MS + day * DAY_MS).collect() }),
        scan,
        group_by: Vec::new(),
        rule: SessionRule { idle_ms: 30 * MINUTE_MS, max_ms: None },
        bounce: BounceRule { max_events: 1, any_of: Vec::new(), max_length_ms: None },
        pages: page.map(|property| PageRule { any_of: Vec::new(), property, keep: 10 }),
        bins: vec![1_000, 60_000],
        fold_keep: 25,
    }
}

fn active_users() -> ActivityPlan {
    let starts = (0..DAYS).map(|day| BASE_MS + day * DAY_MS).collect();
    ActivityPlan {
        scan: scan(None, DAYS, Filter::all()),
        any_of: vec![(None, Filter::all())],
        periods: Buckets { starts },
        kind: ActivityKind::ActiveUsers,
        breakdown: None,
        fold_keep: 0,
    }
}

/// The same plan with values of so many buckets more.
fn reaching(mut plan: AggregatePlan, more: u32) -> AggregatePlan {
    let buckets = plan.buckets.as_ref().map_or(0, |buckets| buckets.starts.len() as u32);
    let since: Arc<[u32]> = (0..buckets).map(|bucket| bucket.saturating_sub(more)).collect();
    plan.measures.iter_mut().for_each(|measure| measure.since = Some(Arc::clone(&since)));
    plan
}

fn questions() -> Vec<Question> {
    use MeasureFn::{Events, Quantile, Sum, UniqueUsers, UniqueUsersApprox};
    let all = || scan(None, DAYS, Filter::all());
    let of = |names: &[&str]| scan(Some(names), DAYS, Filter::all());
    let us_items = Filter::And(vec![
        Filter::Compare(property("url"), Op::Contains("item-12".into())),
        Filter::Compare(property("country"), Op::In(vec![Value::Str("US".into())])),
    ]);
    let session_count = MeasureFn::Sessions(SessionRule { idle_ms: 30 * MINUTE_MS, max_ms: None });
    vec![
        counting("Q1 events per day", question(all(), true, &[], &[Events])),
        counting(
            "Q2 page views by country, 7 days",
            question(scan(Some(&["page_view"]), 7, Filter::all()), false, &["country"], &[Events]),
        ),
        counting("Q3 unique users exact", question(all(), false, &[], &[UniqueUsers])),
        counting("Q3 unique users sketch", question(all(), false, &[], &[UniqueUsersApprox])),
        counting("Q4 unique purchasers by device", question(of(&["purchase"]), false, &["device"], &[UniqueUsers])),
        counting("Q5 daily unique users", question(all(), true, &[], &[UniqueUsers])),
        counting("Q6 urls by page views", question(of(&["page_view"]), false, &["url"], &[Events])),
        counting(
            "Q7 revenue, p95 by plan, country",
            question(of(&["purchase"]), false, &["plan", "country"], &[Sum(property("price")), Quantile(property("price"), 0.95)]),
        ),
        counting("Q8 url contains, country", question(scan(None, DAYS, us_items), false, &[], &[Events, UniqueUsers])),
        counting("Q12 by country, device, browser", question(all(), false, &["country", "device", "browser"], &[Events, UniqueUsers])),
        counting("Q13 sessions per day", question(all(), true, &[], &[session_count])),
        ("sessions per day", Box::new(|query| sessions(query, &visits(None)).map(drop))),
        ("sessions per day, entry pages", Box::new(|query| sessions(query, &visits(Some(property("url")))).map(drop))),
        ("active users per day", Box::new(|query| activity(query, &active_users()).map(drop))),
        counting("unique users since the beginning, per day", reaching(question(all(), true, &[], &[UniqueUsers]), DAYS as u32)),
        counting("unique users of 30 days, per day", reaching(question(all(), true, &[], &[UniqueUsers]), 29)),
        ("Q9 funnel, 7 days window", Box::new(|query| funnel(query, &steps(7 * DAY_MS, DAYS, None)).map(drop))),
        ("Q10 funnel by device, 30 days", Box::new(|query| funnel(query, &steps(DAY_MS, 30, Some("device"))).map(drop))),
        (
            "newest 100 events",
            Box::new(|query| events(query, &EventsPlan { scan: scan(None, DAYS, Filter::all()), limit: 100, skip: 0 }).map(drop)),
        ),
    ]
}

#[test]
fn every_question_is_answered_in_time() {
    let event_count = std::env::var("THRONG_SPEED_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    // Milliseconds where this was written; the bound leaves room for a busy machine. A large shop has the limit of a query.
    let most_ms = if event_count > 100_000 { 10_000 } else { 1_000 };
    let folder = tempfile::tempdir().unwrap();
    let snapshot = shop(folder.path(), event_count);
    let linked = Snapshot { identities: a_third_linked(), ..snapshot.clone() };
    let decoded = cache(Keeping::Everything);
    for (name, ask) in questions() {
        for (whose, snapshot) in [("", &snapshot), (", ids linked", &linked)] {
            let mut times: Vec<u128> = (0..3)
                .map(|_| {
                    let context = context();
                    let begun = Instant::now();
                    ask(&Query { snapshot, context: &context, threads: 2, decoded: &decoded }).unwrap();
                    begun.elapsed().as_millis()
                })
                .collect();
            times.sort_unstable();
            println!("{name}{whose}: {} ms best, {} ms median", times[0], times[1]);
            assert!(times[0] < most_ms, "{name}{whose}: {} ms", times[0]);
        }
    }
}
