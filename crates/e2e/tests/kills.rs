//! The real process dies at each step of a checkpoint, a compaction and a retention run; after a restart the folder is sound, and the
//! recount is what was acknowledged. Control arms put the disk into the state that a wrong order would have left, and must be noticed.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what it found by panicking")]

mod acknowledged;

use std::time::{Duration, Instant};

use acknowledged::{
    BATCH_EVENTS, Load, batch, keep_days, manifest, now_ms, problems, quick_config, recount, wait_for_recount, wait_for_rest,
};
use anyhow::{Context, Result, ensure};
use e2e::{App, Throng};
use tempfile::TempDir;

/// Until a process that is armed has come to its point.
const DEATH: Duration = Duration::from_secs(20);
const DAY_MS: i64 = 86_400_000;

const CHECKPOINT: [&str; 9] = [
    "checkpoint.run_written",
    "checkpoint.snapshot_written",
    "flush.segments_written",
    "flush.before_commit",
    "flush.committed",
    "checkpoint.flushed",
    "checkpoint.released",
    "manifest.in_transaction",
    "dedupe.merged",
];
const UPKEEP: [&str; 4] = ["upkeep.segment_written", "upkeep.before_commit", "upkeep.committed", "upkeep.file_deleted"];

/// Sends load to a server that dies at `point`, starts it again, and leaves it stopped once all is stored. Returns events acknowledged.
fn die_under_load(server: &mut Throng, app: &App, load: &Load, point: &str) -> Result<()> {
    server.arm(Some(point));
    server.spawn()?;
    let client = server.client();
    std::thread::scope(|scope| -> Result<()> {
        let sender = scope.spawn(|| load.send(&client, app));
        let died = server.wait_for_death(DEATH);
        server.arm(None);
        let restarted = died.and_then(|()| server.restart());
        // However this went, the sender must end.
        std::thread::sleep(Duration::from_millis(200));
        load.stop();
        let sent = sender.join().unwrap();
        restarted?;
        sent
    })
}

fn run_points(points: &[&str]) -> Result<()> {
    let folder = TempDir::new()?;
    let config = quick_config(folder.path(), "")?;
    let mut server = Throng::start(&["--config", &config])?;
    let app = server.create_app("kills", &[])?;
    server.terminate()?;
    let mut total = 0;
    for point in points {
        let load = Load::starting_at(total);
        die_under_load(&mut server, &app, &load, point).with_context(|| (*point).to_owned())?;
        total = load.begun();
        wait_for_recount(&server.client(), &app, total).with_context(|| (*point).to_owned())?;
        let beside = server.check().with_context(|| format!("{point}, served"))?;
        ensure!(beside["served"] == true, "{beside}");
        ensure!(server.terminate()?.1, "{point}: {}", server.log());
        let checked = server.check().with_context(|| format!("{point}, stopped"))?;
        ensure!(checked["events"] == total && checked["served"] == false && checked["notes"] == 0, "{point}: {total} {checked:#}");
    }
    Ok(())
}

#[test]
fn a_death_at_any_step_of_a_checkpoint_loses_and_doubles_nothing() -> Result<()> {
    run_points(&CHECKPOINT)
}

#[test]
fn a_death_at_any_step_of_a_compaction_loses_and_doubles_nothing() -> Result<()> {
    run_points(&UPKEEP)
}

/// Every point of the program is met by one of the tests here, in `backup.rs`, in `deletion.rs`, or in `tier_kills.rs`.
#[test]
fn no_point_is_forgotten() {
    let elsewhere = |point: &&str| ["backup.", "restore.", "deletion.", "tier."].iter().any(|of| point.starts_with(of));
    let mut known: Vec<&str> = kill_point::POINTS.into_iter().filter(|point| !elsewhere(point)).collect();
    let mut met = [&CHECKPOINT[..], &UPKEEP[..]].concat();
    known.sort_unstable();
    met.sort_unstable();
    assert_eq!(known, met);
}

/// One app keeps a day of raw events, the other all: a segment of the first alone is dropped, one of both is written again.
#[test]
fn a_death_at_any_step_of_retention_drops_what_is_due_and_nothing_else() -> Result<()> {
    let folder = TempDir::new()?;
    let config = quick_config(folder.path(), "")?;
    let mut server = Throng::start(&["--config", &config])?;
    let (brief, lasting) = (server.create_app("brief", &[])?, server.create_app("lasting", &[])?);
    let mut rounds = 0;
    for point in UPKEEP {
        let first = rounds * BATCH_EVENTS;
        let day_ms = |days_ago: i64| (now_ms() / DAY_MS - days_ago) * DAY_MS + 1_000 * rounds as i64;
        let client = server.client();
        // Alone in its day; in one day with the other app; and today's, which stay.
        for (app, number, time_ms) in [
            (&brief, first, day_ms(40)),
            (&brief, first + 1_000_000, day_ms(30)),
            (&lasting, first, day_ms(30)),
            (&brief, first + 2_000_000, now_ms() - 1_000_000),
        ] {
            let (status, answer) = client.post("/api/v1/events/batch", &app.write_key, &batch(number, time_ms))?;
            ensure!(status == 200 && answer["accepted"] == BATCH_EVENTS, "{status} {answer}");
        }
        rounds += 1;
        wait_for_recount(&client, &lasting, rounds * BATCH_EVENTS)?;
        ensure!(server.terminate()?.1);
        keep_days(&server, &brief, 2)?;
        server.arm(Some(point));
        server.spawn()?;
        server.wait_for_death(DEATH)?;
        server.arm(None);
        server.restart()?;
        let client = server.client();
        wait_for_rest(&client, &brief, rounds * BATCH_EVENTS).with_context(|| format!("{point}: what is due is dropped"))?;
        wait_for_recount(&client, &lasting, rounds * BATCH_EVENTS).with_context(|| format!("{point}: the other app keeps all"))?;
        // Counts by day come from rollups, which are kept for ever.
        let kept = client.count_events(&brief)?;
        ensure!(kept == rounds * BATCH_EVENTS || kept == 3 * rounds * BATCH_EVENTS, "{point}: {kept}");
        ensure!(server.terminate()?.1);
        server.check().with_context(|| point.to_owned())?;
        keep_days(&server, &brief, 730)?;
        server.restart()?;
    }
    Ok(())
}

/// A folder whose process died at `point` under load, with the manifest as it was before that process began.
fn died_at(point: &str) -> Result<(Throng, App, u64, TempDir)> {
    let folder = TempDir::new()?;
    let config = quick_config(folder.path(), "")?;
    let mut server = Throng::start(&["--config", &config])?;
    let app = server.create_app("control", &[])?;
    let client = server.client();
    // Few enough segments to be left alone, so that what dies is the next process' work.
    for first in 0..3 {
        client.post("/api/v1/events/batch", &app.write_key, &batch(first * BATCH_EVENTS, 0))?;
        std::thread::sleep(Duration::from_millis(400));
    }
    ensure!(server.terminate()?.1);
    manifest(&server)?.execute("VACUUM INTO ?1", [folder.path().join("before.db").display().to_string()])?;
    let mut total = 3 * BATCH_EVENTS;
    server.arm(Some(point));
    server.spawn()?;
    let started = Instant::now();
    while server.wait_for_death(Duration::from_millis(300)).is_err() {
        if send(&server, &app, total) {
            total += BATCH_EVENTS;
        }
        ensure!(started.elapsed() < DEATH, "never died: {}", server.log());
    }
    server.arm(None);
    Ok((server, app, total, folder))
}

fn send(server: &Throng, app: &App, first: u64) -> bool {
    matches!(server.client().post("/api/v1/events/batch", &app.write_key, &batch(first, 0)), Ok((200, _)))
}

/// Starts the server, sends again what was not answered when it died, and counts: events stored and acknowledged, and whether all are there.
fn count_again(server: &mut Throng, app: &App, acknowledged: u64) -> Result<(u64, u64, bool)> {
    server.restart()?;
    ensure!(send(server, app, acknowledged), "not answered after the restart");
    std::thread::sleep(Duration::from_secs(1));
    let (count, complete) = recount(&server.client(), app)?;
    Ok((count, acknowledged + BATCH_EVENTS, complete))
}

#[test]
fn control_arm_a_swap_in_two_transactions_is_noticed() -> Result<()> {
    let (mut server, app, total, folder) = died_at("upkeep.committed")?;
    ensure!(problems(&server, &[])?.is_empty(), "died as it should");
    // As if the new segment had been committed before the old ones were taken out: they are named, and their files are still there.
    let changed = manifest(&server)?;
    changed.execute("ATTACH ?1 AS before", [folder.path().join("before.db").display().to_string()])?;
    let named = changed.execute("INSERT INTO segments SELECT * FROM before.segments WHERE id NOT IN (SELECT id FROM main.segments)", [])?;
    drop(changed);
    ensure!(named > 0, "the compaction had none of the old segments");
    let found = problems(&server, &[])?;
    assert!(found.contains(&"rollups".to_owned()) && found.contains(&"ledger".to_owned()), "{found:?}");
    let (count, total, _) = count_again(&mut server, &app, total)?;
    assert!(count > total, "{count} events are stored for {total} acknowledged: the tests above could not fail");
    Ok(())
}

#[test]
fn control_arm_files_deleted_before_the_commit_are_noticed() -> Result<()> {
    let (mut server, app, total, folder) = died_at("upkeep.before_commit")?;
    let before = rusqlite::Connection::open(folder.path().join("before.db"))?;
    let path: String = before.query_row("SELECT path FROM segments ORDER BY id LIMIT 1", [], |row| row.get(0))?;
    std::fs::remove_file(server.data().join("store").join(path))?;
    let found = problems(&server, &[])?;
    assert!(found.contains(&"segment".to_owned()), "{found:?}");
    let (count, total, complete) = count_again(&mut server, &app, total)?;
    assert!(count < total && !complete, "{count} of {total}, complete: {complete}");
    Ok(())
}

#[test]
fn control_arm_a_position_committed_apart_from_its_rows_is_noticed() -> Result<()> {
    let (mut server, app, total, folder) = died_at("flush.committed")?;
    // As if the rows had been committed and their position not yet: the records are read again.
    let changed = manifest(&server)?;
    changed.execute("ATTACH ?1 AS before", [folder.path().join("before.db").display().to_string()])?;
    changed.execute("UPDATE main.meta SET value = (SELECT value FROM before.meta WHERE key = 'position') WHERE key = 'position'", [])?;
    drop(changed);
    let (count, total, _) = count_again(&mut server, &app, total)?;
    assert!(count > total, "{count} events are stored for {total} acknowledged: the tests above could not fail");
    Ok(())
}
