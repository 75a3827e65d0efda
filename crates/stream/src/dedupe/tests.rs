use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use event::{AppId, EventBatch, EventBatchBuilder, EventFields};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;

const DAY_MS: i64 = 86_400_000;
const WINDOW_MS: i64 = 7 * DAY_MS;

fn batch(app: &str, received_at_ms: i64, insert_ids: &[Option<String>]) -> EventBatch {
    let mut builder = EventBatchBuilder::default();
    builder.start(received_at_ms);
    for insert_id in insert_ids {
        builder.finish_event(&EventFields {
            name: "e",
            time_ms: received_at_ms,
            client_time_ms: received_at_ms,
            user_id: Some("u"),
            anonymous_id: None,
            insert_id: insert_id.as_deref(),
            session_id: None,
        });
    }
    builder.build(&AppId::new(app).unwrap())
}

/// One record of the model's log.
#[derive(Clone, Debug)]
struct Sent {
    app: u8,
    ids: Vec<Option<u8>>,
}

impl Sent {
    fn batch(&self, at: u64) -> EventBatch {
        let ids: Vec<_> = self.ids.iter().map(|id| id.map(|id| format!("id-{id}"))).collect();
        batch(if self.app == 0 { "A" } else { "B" }, 1_000 + at as i64, &ids)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Sent),
    /// Marked records reach the store.
    Confirm,
    /// A whole checkpoint: run written, store flushed.
    Checkpoint,
    /// The run is written, then the power fails before the flush.
    CrashBeforeFlush,
    /// The flush is durable, then the power fails.
    CrashAfterFlush,
    /// The power fails.
    Crash,
    Merge,
}

fn step() -> impl Strategy<Value = Step> {
    let sent =
        (0u8..2, proptest::collection::vec(proptest::option::weighted(0.9, 0u8..60), 0..12)).prop_map(|(app, ids)| Sent { app, ids });
    prop_oneof![
        12 => sent.prop_map(Step::Append),
        6 => Just(Step::Confirm),
        4 => Just(Step::Checkpoint),
        1 => Just(Step::CrashBeforeFlush),
        1 => Just(Step::CrashAfterFlush),
        1 => Just(Step::Crash),
        2 => Just(Step::Merge),
    ]
}

/// The log, the store's rows and durable position, and the dedupe under test.
struct Model<'d> {
    dir: &'d Path,
    log: Vec<Sent>,
    read: usize,
    appended: usize,
    durable: usize,
    dedupe: Dedupe,
}

impl Model<'_> {
    /// Reads the next records and compares each verdict with a plain set of everything before it in the log.
    fn read(&mut self) {
        let mut seen: HashSet<(u8, u8)> = HashSet::new();
        for (at, sent) in self.log.iter().enumerate() {
            let mut expected = Vec::new();
            for (index, id) in sent.ids.iter().enumerate() {
                if id.is_some_and(|id| !seen.insert((sent.app, id))) {
                    expected.push(index as u32);
                }
            }
            if at >= self.read {
                let mut duplicates = Vec::new();
                self.dedupe.mark(&sent.batch(at as u64), &mut duplicates);
                assert_eq!(duplicates, expected, "record {at}");
            }
        }
        self.read = self.log.len();
    }

    fn confirm(&mut self) {
        self.appended = self.read;
        self.dedupe.confirm();
    }

    /// Up to the written run; returns it and the position to be flushed.
    fn seal(&mut self) -> (Option<Run>, usize) {
        let sealed = self.dedupe.seal(self.appended as u64);
        (sealed.map(|sealed| sealed.write(self.dir).unwrap()), self.appended)
    }

    fn crash(&mut self) {
        self.dedupe = Dedupe::open(self.dir, self.durable as u64, WINDOW_MS).unwrap();
        (self.read, self.appended) = (self.durable, self.durable);
        self.read();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(sent) => {
                self.log.push(sent);
                self.read();
            }
            Step::Confirm => self.confirm(),
            Step::Checkpoint => {
                let (run, position) = self.seal();
                self.durable = position;
                self.read();
                self.dedupe.install(run);
            }
            Step::CrashBeforeFlush => {
                self.seal();
                self.crash();
            }
            Step::CrashAfterFlush => {
                self.durable = self.seal().1;
                self.crash();
            }
            Step::Crash => self.crash(),
            Step::Merge => {
                if let Some(merge) = self.dedupe.plan_merge() {
                    self.dedupe.replace(merge.run(&CancellationToken::new()).unwrap().unwrap()).unwrap();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn agrees_with_a_plain_set_through_restarts_and_crashes(steps in proptest::collection::vec(step(), 0..80)) {
        let dir = TempDir::new().unwrap();
        let dedupe = Dedupe::open(dir.path(), 0, WINDOW_MS).unwrap();
        let mut model = Model { dir: dir.path(), log: Vec::new(), read: 0, appended: 0, durable: 0, dedupe };
        for step in steps {
            model.step(step);
        }
        model.crash();
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        prop_assert_eq!(files, model.dedupe.counts().1 + 1, "the secret and the runs, nothing else");
        prop_assert_eq!(model.dedupe.gaps().unwrap(), [], "no run is taken for a lost one");
    }
}

fn ids(range: std::ops::Range<u64>) -> Vec<Option<String>> {
    range.map(|i| Some(format!("{i:032x}"))).collect()
}

fn checkpoint(dedupe: &mut Dedupe, dir: &Path, position: u64) {
    dedupe.confirm();
    let run = dedupe.seal(position).map(|sealed| sealed.write(dir).unwrap());
    dedupe.install(run);
}

fn duplicates(dedupe: &mut Dedupe, received_at_ms: i64, range: std::ops::Range<u64>) -> usize {
    let mut found = Vec::new();
    dedupe.mark(&batch("A", received_at_ms, &ids(range)), &mut found);
    found.len()
}

#[test]
fn a_run_is_dropped_when_all_of_it_is_older_than_the_window() {
    let dir = TempDir::new().unwrap();
    let mut dedupe = Dedupe::open(dir.path(), 0, WINDOW_MS).unwrap();
    for day in 0..3 {
        assert_eq!(duplicates(&mut dedupe, day * DAY_MS, day as u64 * 10..day as u64 * 10 + 10), 0);
        checkpoint(&mut dedupe, dir.path(), day as u64 + 1);
    }
    dedupe.drop_expired(WINDOW_MS).unwrap();
    assert_eq!(dedupe.counts(), (30, 3));
    dedupe.drop_expired(WINDOW_MS + DAY_MS + 1).unwrap();
    assert_eq!(dedupe.counts(), (10, 1));
    assert_eq!(duplicates(&mut dedupe, WINDOW_MS + DAY_MS + 1, 0..30), 10);
    assert_eq!(Dedupe::open(dir.path(), 3, WINDOW_MS).unwrap().counts(), (10, 1));
}

#[test]
fn a_damaged_run_is_set_aside_and_a_lost_secret_is_an_error() {
    let dir = TempDir::new().unwrap();
    let mut dedupe = Dedupe::open(dir.path(), 0, WINDOW_MS).unwrap();
    duplicates(&mut dedupe, 0, 0..10);
    checkpoint(&mut dedupe, dir.path(), 1);
    duplicates(&mut dedupe, 0, 10..20);
    checkpoint(&mut dedupe, dir.path(), 2);
    let first = Run::path_of(dir.path(), 0, 1);
    std::fs::write(&first, b"not a run").unwrap();
    let mut dedupe = Dedupe::open(dir.path(), 2, WINDOW_MS).unwrap();
    assert!(first.with_extension("damaged").is_file());
    assert_eq!(duplicates(&mut dedupe, 0, 0..20), 10);
    std::fs::remove_file(dir.path().join("secret")).unwrap();
    assert!(matches!(Dedupe::open(dir.path(), 2, WINDOW_MS), Err(StreamError::Damaged { .. })));
}

/// Each run in turn is lost; the stored events give its insert ids back, and no others.
#[test]
fn a_lost_run_is_noticed_and_made_again_from_the_stored_events() {
    for lost in 0..4u64 {
        let dir = TempDir::new().unwrap();
        let mut dedupe = Dedupe::open(dir.path(), 0, WINDOW_MS).unwrap();
        for run in 0..4u64 {
            // The third checkpoint has no insert ids at all.
            let range = if run == 2 { 0..0 } else { run * 10..run * 10 + 10 };
            assert_eq!(duplicates(&mut dedupe, run as i64 * DAY_MS, range), 0);
            checkpoint(&mut dedupe, dir.path(), run * 5 + 5);
        }
        std::fs::remove_file(Run::path_of(dir.path(), lost * 5, lost * 5 + 5)).unwrap();
        let mut dedupe = Dedupe::open(dir.path(), 20, WINDOW_MS).unwrap();
        let gaps = dedupe.gaps().unwrap();
        assert_eq!(gaps.iter().map(|gap| (gap.start, gap.end)).collect::<Vec<_>>(), [(lost * 5, lost * 5 + 5)]);
        assert_eq!(super::check_dedupe(dir.path(), 20).unwrap().gaps, gaps);
        let mut rebuild = Rebuild::begin(&mut dedupe, gaps, 3 * DAY_MS).unwrap();
        for run in [0, 1, 3u64] {
            for id in ids(run * 10..run * 10 + 10).into_iter().flatten() {
                rebuild.add(&AppId::new("A").unwrap(), &id, run as i64 * DAY_MS);
            }
        }
        assert_eq!(rebuild.finish().unwrap(), if lost == 2 { 0 } else { 10 });
        let mut dedupe = Dedupe::open(dir.path(), 20, WINDOW_MS).unwrap();
        assert_eq!(dedupe.gaps().unwrap(), []);
        let check = super::check_dedupe(dir.path(), 20).unwrap();
        assert!(check.gaps.is_empty() && check.damaged.is_empty() && check.ahead.is_empty() && check.keys == 30, "{check:?}");
        assert_eq!(duplicates(&mut dedupe, 3 * DAY_MS, 0..40), 30);
        // Each is forgotten with its own day.
        checkpoint(&mut dedupe, dir.path(), 25);
        dedupe.drop_expired(WINDOW_MS + DAY_MS + 1).unwrap();
        assert!(dedupe.gaps().unwrap().is_empty());
        assert_eq!(duplicates(&mut dedupe, 8 * DAY_MS, 0..20), 0);
    }
}

#[test]
fn runs_dropped_by_age_are_no_gap_and_damage_is_found() {
    let dir = TempDir::new().unwrap();
    let mut dedupe = Dedupe::open(dir.path(), 0, WINDOW_MS).unwrap();
    for day in 0..3u64 {
        duplicates(&mut dedupe, day as i64 * DAY_MS, day * 1_000..day * 1_000 + 1_000);
        checkpoint(&mut dedupe, dir.path(), day + 1);
    }
    dedupe.drop_expired(WINDOW_MS + 1).unwrap();
    assert_eq!(Dedupe::open(dir.path(), 3, WINDOW_MS).unwrap().gaps().unwrap(), []);
    let path = Run::path_of(dir.path(), 1, 2);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let check = super::check_dedupe(dir.path(), 3).unwrap();
    assert_eq!(check.damaged.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), [path]);
}

/// Two million keys in five runs: what a look-up costs, and what they cost in memory.
#[test]
fn looking_up_is_cheap_and_keys_take_little_memory() {
    const KEYS: u64 = 2_000_000;
    let dir = TempDir::new().unwrap();
    let mut dedupe = Dedupe::open(dir.path(), 0, WINDOW_MS).unwrap();
    let cost = |dedupe: &mut Dedupe, range: std::ops::Range<u64>, expected: usize| {
        let batches: Vec<_> = range.clone().step_by(500).map(|from| batch("A", 0, &ids(from..from + 500))).collect();
        let (started, mut found) = (Instant::now(), Vec::new());
        batches.iter().for_each(|batch| dedupe.mark(batch, &mut found));
        assert_eq!(found.len(), expected);
        started.elapsed().as_nanos() as f64 / (range.end - range.start) as f64
    };
    for run in 0..5 {
        cost(&mut dedupe, run * KEYS / 5..(run + 1) * KEYS / 5, 0);
        checkpoint(&mut dedupe, dir.path(), run + 1);
    }
    let per_key = dedupe.memory_bytes() as f64 / KEYS as f64;
    let fresh_ns = cost(&mut dedupe, KEYS..KEYS + 200_000, 0);
    let memory_ns = cost(&mut dedupe, KEYS..KEYS + 200_000, 200_000);
    let run_ns = cost(&mut dedupe, 0..200_000, 200_000);
    println!(
        "{KEYS} keys in 5 runs: {per_key:.2} bytes of memory a key; new {fresh_ns:.0} ns, again {memory_ns:.0} ns, in a run {run_ns:.0} ns"
    );
    assert!(per_key < 2.0, "{per_key}");
    assert!(fresh_ns < 3_000.0 && run_ns < 20_000.0);
}
