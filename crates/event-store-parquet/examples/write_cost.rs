//! Measures the CPU that an event costs from `append` to a durable flush, and what upkeep and opening cost after it.
//!
//! `cargo run --release -p event-store-parquet --example write_cost [EVENTS] [DAYS] [APPS] [shuffled]`
//! (two apps unless told, the first with three quarters of the events; `shuffled`: each batch is of a random time, the worst order for an import)

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use event::{AppId, EventBatch, EventBatchBuilder, EventFields, PropertyValue};
use event_store::{AppendedBatch, Commit, EventSink, EventSource, EventsPlan, Filter, MemoryBudget, QueryContext, Scan};
use event_store_parquet::{CheckOptions, CheckStep, ParquetStore, ParquetStoreOptions, check_store};

const BATCH_EVENTS: usize = 20;
const COMMIT_EVENTS: usize = 10_000;
const FLUSH_EVENTS: usize = 500_000;
const START_MS: i64 = 1_767_225_600_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let events: usize = arguments.next().map_or(Ok(1_000_000), |n| n.parse())?;
    let days: i64 = arguments.next().map_or(Ok(1), |n| n.parse())?;
    let apps: u64 = arguments.next().map_or(Ok(2), |n| n.parse())?;
    let shuffled = arguments.next().is_some_and(|word| word == "shuffled");
    let dir = tempfile::tempdir()?;
    let open = || ParquetStore::open(dir.path(), ParquetStoreOptions::default(), Arc::new(|_: &AppId| None));
    let store = open()?;
    let mut random = Random(7);
    let (mut append_ns, mut flush_ns, mut made, mut max_unflushed) = (0, 0, 0, 0);
    while made < events {
        let batches: Vec<AppendedBatch> = (0..COMMIT_EVENTS / BATCH_EVENTS)
            .map(|_| {
                let position = if shuffled { random.below(1 << 20) as f64 / (1 << 20) as f64 } else { made as f64 / events as f64 };
                let base_ms = START_MS + (days as f64 * 86_400_000.0 * position) as i64;
                AppendedBatch { batch: generate(&mut random, base_ms, apps), duplicates: Vec::new() }
            })
            .collect();
        made += COMMIT_EVENTS;
        let start = cpu_ns()?;
        store.append(Commit { batches, end: made as u64 })?;
        append_ns += cpu_ns()? - start;
        max_unflushed = max_unflushed.max(store.unflushed().1);
        if made % FLUSH_EVENTS == 0 || made >= events {
            let start = cpu_ns()?;
            store.flush()?;
            flush_ns += cpu_ns()? - start;
        }
    }
    let per_event = |ns: u64| ns as f64 / made as f64 / 1_000.0;
    let size = |store: &ParquetStore| {
        let segments = store.snapshot().parts.len();
        let bytes: u64 = files(dir.path()).sum();
        format!("{segments} segments, {:.1} bytes an event", bytes as f64 / made as f64)
    };
    println!("unflushed  {} MiB at most", max_unflushed >> 20);
    println!("append     {:.3} us CPU an event", per_event(append_ns));
    println!("flush      {:.3} us CPU an event ({})", per_event(flush_ns), size(&store));
    let start = cpu_ns()?;
    let now_ms = START_MS + (days + 9) * 86_400_000;
    while store.maintain(now_ms)? {}
    println!("compaction {:.3} us CPU an event ({})", per_event(cpu_ns()? - start), size(&store));
    let start = cpu_ns()?;
    store.maintain(now_ms)?;
    println!("upkeep     {:.1} ms CPU where there is nothing to do", (cpu_ns()? - start) as f64 / 1e6);
    println!("manifest   {:.1} bytes an event", std::fs::metadata(dir.path().join("manifest.db"))?.len() as f64 / made as f64);
    drop(store);
    let start = Instant::now();
    let store = open()?;
    println!("open       {:.1} ms", start.elapsed().as_secs_f64() * 1_000.0);
    let scan = Scan { app: app(1), from_ms: START_MS, to_ms: now_ms, events: None, filter: Filter::all() };
    let start = Instant::now();
    let page = store.events(&EventsPlan { scan, limit: 100, skip: 0 }, &context())?;
    println!("newest 100 {:.1} ms, {} rows of the second app read", start.elapsed().as_secs_f64() * 1_000.0, page.stats.scanned_events);
    drop(store);
    let start = Instant::now();
    let mut findings = 0;
    let options = CheckOptions { served: false, now_ms, tier: None, max_links: 1_000_000 };
    check_store(dir.path(), &options, &mut |step| findings += usize::from(matches!(step, CheckStep::Found(_))))?;
    println!("check      {:.1} ms, {findings} findings", start.elapsed().as_secs_f64() * 1_000.0);
    Ok(())
}

fn context() -> QueryContext {
    QueryContext {
        deadline: Instant::now() + Duration::from_secs(60),
        limit_ms: 60_000,
        cancel: Default::default(),
        memory: MemoryBudget::new(1 << 30),
        max_groups: 1_000,
    }
}

fn app(number: u64) -> AppId {
    AppId::new(&format!("APP-{number}")).unwrap_or_else(|| unreachable!("a valid id"))
}

/// CPU time of this thread.
fn cpu_ns() -> Result<u64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

fn files(dir: &std::path::Path) -> impl Iterator<Item = u64> {
    let folders = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let segments = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten());
    segments.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len())
}

/// xorshift64*: the same events in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

fn generate(random: &mut Random, base_ms: i64, apps: u64) -> EventBatch {
    let mut builder = EventBatchBuilder::default();
    builder.start(base_ms + 300);
    let person = random.below(50_000);
    let (user, session) = (format!("user-{person}"), format!("s-{}-{}", person, random.below(5)));
    let anonymous = format!("{:016x}", person * 77_777);
    for i in 0..BATCH_EVENTS {
        let name = ["page_view", "page_view", "page_view", "click", "add_to_cart", "search", "purchase"][random.below(7) as usize];
        let insert = format!("{:016x}{:016x}", random.next(), random.next());
        let url = format!("https://shop.example/products/{}", random.below(2_000));
        builder.property("url", PropertyValue::Str(&url));
        builder
            .property("referrer", PropertyValue::Str(["https://search.example/", "", "https://social.example/"][random.below(3) as usize]));
        builder.property("price", PropertyValue::Float(random.below(10_000) as f64 / 100.0));
        builder.property("quantity", PropertyValue::Int(random.below(5) as i64));
        builder.property("logged_in", PropertyValue::Bool(random.below(2) == 0));
        builder.property("plan", PropertyValue::Str(["free", "pro", "team"][(person % 3) as usize]));
        builder.property("country", PropertyValue::Str(["US", "DE", "FR", "IN", "BR"][(person % 5) as usize]));
        builder.property("browser", PropertyValue::Str(["Chrome", "Firefox", "Safari"][(person % 3) as usize]));
        builder.property("os", PropertyValue::Str(["Windows", "macOS", "iOS", "Android"][(person % 4) as usize]));
        builder.property("device_type", PropertyValue::Str(["desktop", "mobile"][(person % 2) as usize]));
        let time_ms = base_ms + i as i64 * 1_000;
        builder.finish_event(&EventFields {
            name,
            time_ms,
            client_time_ms: time_ms,
            user_id: person.is_multiple_of(4).then_some(&user),
            anonymous_id: Some(&anonymous),
            insert_id: Some(&insert),
            session_id: Some(&session),
        });
    }
    let number = if apps == 2 { random.below(4) / 3 } else { random.below(apps) };
    builder.build(&app(number))
}
