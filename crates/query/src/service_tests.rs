use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use event::{AppId, TimestampMs};
use event_store::{ActivityPlan, ActivityTable, EventNameInfo, RetentionPlan, RetentionTable};
use event_store::{
    AggregatePlan, AggregateRow, AggregateTable, EventsPage, ExportVisitor, FunnelPersonPlan, FunnelPersonsPage, FunnelPersonsPlan,
    FunnelPlan, FunnelStory, FunnelTable, Measured, PathsPlan, PathsTable, QueryContext, QueryError, RollupRow, RollupSize, Scan,
    ScanStats, Schema, SegmentPersonsPage, SessionsPlan, SessionsTable, WindowRow,
};
use serde_json::json;

use super::*;
use crate::failure::FailureKind;

/// A store of one kind of answer: it works for a while, looking up as the contract says, and counts what is under way.
struct SlowSource {
    work: Duration,
    runs: AtomicUsize,
    running: AtomicUsize,
}

impl SlowSource {
    fn work(&self, context: &QueryContext) -> Result<(), QueryError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.running.fetch_add(1, Ordering::SeqCst);
        let until = Instant::now() + self.work;
        let ended = loop {
            if let Err(error) = context.check() {
                break Err(error);
            }
            if Instant::now() > until {
                break Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.running.fetch_sub(1, Ordering::SeqCst);
        ended
    }
}

impl EventSource for SlowSource {
    fn first_event_ms(&self, _: &AppId) -> Result<Option<i64>, QueryError> {
        Ok(None)
    }

    fn aggregate(&self, plan: &AggregatePlan, context: &QueryContext) -> Result<AggregateTable, QueryError> {
        let names = plan.scan.events.as_deref().unwrap_or_default();
        match names.first().map(String::as_str) {
            Some("memory") => context.memory.grow(usize::MAX / 2)?,
            Some("groups") => return Err(QueryError::Groups { limit: context.max_groups }),
            Some("store") => return Err(QueryError::Store("disk".to_owned())),
            Some("panic") => panic!("a defect in the store"),
            _ => self.work(context)?,
        }
        let row = AggregateRow { bucket: 0, group: vec![], measures: vec![Measured::Count(self.runs.load(Ordering::SeqCst) as u64)] };
        Ok(AggregateTable { rows: vec![row.clone()], totals: vec![row], ..AggregateTable::default() })
    }

    fn funnel(&self, _: &FunnelPlan, context: &QueryContext) -> Result<FunnelTable, QueryError> {
        self.work(context).map(|()| FunnelTable::default())
    }

    fn segment_persons(&self, _: &SegmentPersonsPlan, context: &QueryContext) -> Result<SegmentPersonsPage, QueryError> {
        self.work(context).map(|()| SegmentPersonsPage::default())
    }

    fn funnel_persons(&self, _: &FunnelPersonsPlan, context: &QueryContext) -> Result<FunnelPersonsPage, QueryError> {
        self.work(context).map(|()| FunnelPersonsPage::default())
    }

    fn funnel_person(&self, _: &FunnelPersonPlan, context: &QueryContext) -> Result<FunnelStory, QueryError> {
        self.work(context).map(|()| FunnelStory::default())
    }

    fn paths(&self, _: &PathsPlan, context: &QueryContext) -> Result<PathsTable, QueryError> {
        self.work(context).map(|()| PathsTable::default())
    }

    fn sessions(&self, _: &SessionsPlan, context: &QueryContext) -> Result<SessionsTable, QueryError> {
        self.work(context).map(|()| SessionsTable::default())
    }

    fn retention(&self, _: &RetentionPlan, context: &QueryContext) -> Result<RetentionTable, QueryError> {
        self.work(context).map(|()| RetentionTable::default())
    }

    fn activity(&self, _: &ActivityPlan, context: &QueryContext) -> Result<ActivityTable, QueryError> {
        self.work(context).map(|()| ActivityTable::default())
    }

    fn events(&self, _: &EventsPlan, context: &QueryContext) -> Result<EventsPage, QueryError> {
        self.work(context).map(|()| EventsPage::default())
    }

    fn export(&self, _: &Scan, context: &QueryContext, visit: &mut ExportVisitor<'_>) -> Result<ScanStats, QueryError> {
        visit(Vec::new(), &ScanStats::default())?;
        self.work(context).map(|()| ScanStats::default())
    }

    fn rows_of(&self, _: &AppId) -> Result<Arc<dyn event_store::RowSource>, QueryError> {
        Err(QueryError::Store("the slow source has no rows".to_owned()))
    }

    fn schema(&self, _: &AppId, context: &QueryContext) -> Result<Schema, QueryError> {
        self.work(context).map(|()| Schema::default())
    }

    fn event_names(&self, _: &AppId, context: &QueryContext) -> Result<Vec<EventNameInfo>, QueryError> {
        self.work(context).map(|()| Vec::new())
    }

    fn rollups(&self, _: &AppId, _: RollupSize, _: TimestampMs, _: TimestampMs) -> Result<Vec<RollupRow>, QueryError> {
        Ok(Vec::new())
    }

    fn scan_for_windows(&self, _: TimestampMs, _: &mut dyn FnMut(&WindowRow<'_>)) -> Result<(), QueryError> {
        Ok(())
    }

    fn scan_insert_ids(&self, _: TimestampMs, _: &mut dyn FnMut(&AppId, &str, TimestampMs)) -> Result<Vec<String>, QueryError> {
        Ok(Vec::new())
    }
}

const NOW_MS: i64 = 1_773_156_600_000;

fn service(work_ms: u64, options: QueryOptions) -> (Arc<QueryService>, Arc<SlowSource>) {
    let source = SlowSource { work: Duration::from_millis(work_ms), runs: AtomicUsize::new(0), running: AtomicUsize::new(0) };
    let source = Arc::new(source);
    (Arc::new(QueryService::new(Arc::clone(&source) as Arc<dyn EventSource>, options)), source)
}

fn app(id: &str) -> AppSettings {
    AppSettings::new(AppId::new(id).unwrap())
}

fn events_of(name: &str) -> Value {
    json!({"metric": "events", "event": name})
}

#[tokio::test]
async fn a_repeated_question_is_answered_from_cache() {
    let (service, source) = service(0, QueryOptions { cache_ttl: Duration::from_millis(200), ..QueryOptions::default() });
    let app = app("a");
    let ask = async |request: &str, app: &AppSettings, now_ms: i64| {
        let answer = service.query(app, serde_json::from_str(request).unwrap(), now_ms).await.unwrap();
        (answer["results"][0]["events"].as_u64().unwrap(), answer["cached"].as_bool().unwrap())
    };
    let rolling = r#"{"metric": "events", "range": "24h"}"#;
    assert_eq!(ask(rolling, &app, NOW_MS).await, (1, false));
    assert_eq!(ask(r#"{ "range":"24h","metric":"events" }"#, &app, NOW_MS + 3).await, (1, true));
    assert_eq!(ask(r#"{"metric": "events", "range": "24h", "cache": false}"#, &app, NOW_MS).await, (2, false));
    assert_eq!(ask(r#"{"metric": "events", "range": "25h"}"#, &app, NOW_MS).await, (3, false));
    let days = r#"{"metric": "events", "range": "1d"}"#;
    assert_eq!(ask(days, &app, NOW_MS).await, (4, false));
    assert_eq!(ask(days, &app, NOW_MS + 1).await, (4, true));
    assert_eq!(ask(days, &app, NOW_MS + 86_400_000).await, (5, false));
    let other = AppSettings::new(AppId::new("b").unwrap());
    assert_eq!(ask(days, &other, NOW_MS).await, (6, false));
    let elsewhere = AppSettings { session_idle_ms: 1, ..app.clone() };
    assert_eq!(ask(days, &elsewhere, NOW_MS).await, (7, false));
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(ask(days, &app, NOW_MS).await, (8, false));
    assert_eq!(source.runs.load(Ordering::SeqCst), 8);
}

#[tokio::test]
async fn a_question_of_many_at_once_runs_once() {
    let (service, source) = service(100, QueryOptions::default());
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let service = Arc::clone(&service);
            tokio::spawn(async move { service.query(&app("a"), events_of("x"), NOW_MS).await })
        })
        .collect();
    for asked in asking {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(source.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_hangs_up_stops_the_work() {
    let (service, source) = service(60_000, QueryOptions { time_limit: Duration::from_secs(60), ..QueryOptions::default() });
    let hang_up = async |kind: usize| {
        let service = Arc::clone(&service);
        let asked = tokio::spawn(async move {
            match kind {
                0 => service.query(&app("a"), events_of("x"), NOW_MS).await,
                1 => service.funnel(&app("a"), json!({"steps": ["x"]}), NOW_MS).await,
                2 => service.events(&app("a"), json!({}), NOW_MS).await,
                3 => service.query(&app("a"), json!({"metric": "events", "cache": false}), NOW_MS).await,
                _ => service.schema(&app("a"), NOW_MS).await,
            }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(source.running.load(Ordering::SeqCst), 1, "kind {kind}");
        asked.abort();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(source.running.load(Ordering::SeqCst), 0, "kind {kind}");
    };
    for kind in 0..5 {
        hang_up(kind).await;
    }
}

#[tokio::test]
async fn running_and_waiting_are_bounded() {
    let options = QueryOptions { max_concurrent: 2, max_queued: 3, max_queue_wait: Duration::from_secs(5), ..QueryOptions::default() };
    let (service, source) = service(300, options);
    let asking: Vec<_> = (0..8)
        .map(|i| {
            let service = Arc::clone(&service);
            tokio::spawn(async move { service.query(&app("a"), events_of(&format!("x{i}")), NOW_MS).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(source.running.load(Ordering::SeqCst), 2);
    let mut busy = 0;
    for asked in asking {
        match asked.await.unwrap() {
            Ok(_) => {}
            Err(failure) => {
                assert_eq!((failure.kind, failure.code), (FailureKind::Busy, "busy"));
                busy += 1;
            }
        }
    }
    assert_eq!(busy, 3);
}

#[tokio::test]
async fn a_wait_without_a_turn_ends() {
    let options = QueryOptions { max_concurrent: 1, max_queue_wait: Duration::from_millis(50), ..QueryOptions::default() };
    let (service, _) = service(400, options);
    let first = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.query(&app("a"), events_of("x"), NOW_MS).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let failure = service.query(&app("a"), events_of("y"), NOW_MS).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Busy);
    assert!(failure.message.contains("50 ms"), "{}", failure.message);
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn limits_and_failures_are_named() {
    let options = QueryOptions { time_limit: Duration::from_millis(50), max_groups: 7, ..QueryOptions::default() };
    let (service, source) = service(5_000, options);
    let known = [
        ("slow", FailureKind::Limit, "query_time_limit", "50 ms"),
        ("memory", FailureKind::Limit, "query_memory_limit", "1073741824 bytes"),
        ("groups", FailureKind::Limit, "query_group_limit", "7 groups"),
        ("store", FailureKind::Internal, "internal", "disk"),
        ("panic", FailureKind::Internal, "internal", "defect"),
    ];
    for (event, kind, code, part) in known {
        let failure = service.query(&app("a"), events_of(event), NOW_MS).await.unwrap_err();
        assert_eq!((failure.kind, failure.code), (kind, code), "{event}");
        assert!(failure.message.contains(part), "{event}: {}", failure.message);
    }
    assert_eq!(source.runs.load(Ordering::SeqCst), 1);
    // A failure is not kept: the same question runs again.
    service.query(&app("a"), events_of("slow"), NOW_MS).await.unwrap_err();
    assert_eq!(source.runs.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_answer_is_as_old_as_what_it_was_made_of() {
    let options = QueryOptions { cache_ttl: Duration::from_millis(150), ..QueryOptions::default() };
    let (service, source) = service(200, options);
    let app = app("a");
    let first = service.query(&app, events_of("x"), NOW_MS).await.unwrap();
    assert_eq!((&first["results"][0]["events"], &first["cached"]), (&json!(1), &json!(false)));
    // The answer has just been made, of what was visible 200 ms ago.
    let second = service.query(&app, events_of("x"), NOW_MS).await.unwrap();
    assert_eq!((&second["results"][0]["events"], &second["cached"]), (&json!(2), &json!(false)));
    assert_eq!(source.runs.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn all_queries_together_have_a_memory_limit() {
    let options = QueryOptions { memory_bytes_per_query: usize::MAX, memory_bytes_total: 1 << 20, ..QueryOptions::default() };
    let (service, _) = service(0, options);
    let failure = service.query(&app("a"), events_of("memory"), NOW_MS).await.unwrap_err();
    // It would not fit alone either, so it is told to ask for less instead of to try again.
    assert_eq!((failure.kind, failure.code), (FailureKind::Limit, "query_memory_limit"));
    assert!(failure.message.contains("1048576 bytes"), "{}", failure.message);
    assert_eq!(service.figures().memory_bytes, 0, "what the failed query held is given back");
}

#[tokio::test]
async fn figures_tell_what_runs_and_how_it_ended() {
    let options = QueryOptions { max_concurrent: 1, max_queued: 1, time_limit: Duration::from_secs(60), ..QueryOptions::default() };
    let (service, _) = service(60_000, options);
    let ask = |name: &str| {
        let (service, name) = (Arc::clone(&service), name.to_owned());
        tokio::spawn(async move { service.query(&app("a"), events_of(&name), NOW_MS).await })
    };
    let (first, second) = (ask("x"), ask("y"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let figures = service.figures();
    assert_eq!((figures.running, figures.waiting), (1, 1));
    assert_eq!(ask("z").await.unwrap().unwrap_err().kind, FailureKind::Busy);
    first.abort();
    second.abort();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let figures = service.figures();
    assert_eq!((figures.running, figures.waiting, figures.busy_total), (0, 0, 1));
    // Which of the two had its turn is not said; the other may have begun before it was given up.
    assert!((1..=2).contains(&figures.cancelled_total), "{figures:?}");
    service.query(&app("a"), events_of("panic"), NOW_MS).await.unwrap_err();
    assert_eq!(service.figures().failed_total, 1);
}

#[tokio::test]
async fn an_explained_answer_is_worked_out_anew_and_says_how() {
    let (service, source) = service(0, QueryOptions::default());
    let app = app("a");
    let asked = json!({"metric": "events", "explain": true});
    for _ in 0..2 {
        let answer = service.query(&app, asked.clone(), NOW_MS).await.unwrap();
        assert_eq!(answer["cached"], json!(false));
        let stages: Vec<&str> =
            answer["explain"]["stages"].as_array().unwrap().iter().filter_map(|stage| stage["stage"].as_str()).collect();
        assert_eq!(stages, ["plan", "wait for a turn", "lay out the answer"]);
        assert!(answer["explain"]["tables"].is_array() && answer["explain"]["memory_peak_bytes"].is_u64());
    }
    assert_eq!(source.runs.load(Ordering::SeqCst), 2);
    let plain = service.query(&app, json!({"metric": "events", "explain": false}), NOW_MS).await.unwrap();
    assert!(plain.get("explain").is_none());
    let funnel = service.funnel(&app, json!({"steps": ["x"], "explain": true}), NOW_MS).await.unwrap();
    assert!(funnel["explain"]["reason"].is_string());
    let failure = service.query(&app, json!({"metric": "events", "explain": "yes"}), NOW_MS).await.unwrap_err();
    assert_eq!(failure.field.as_deref(), Some("explain"));
}
