//! A deleted person stays deleted and everybody else stays whole, whenever the process is killed: while the request is under way, right after
//! its answer, while segments are written again, and while the log is read again.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what it found by panicking")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::{App, Client, Throng};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

const PERSONS: usize = 40;
const EVENTS_PER_PERSON: usize = 60;
const DAYS: usize = 6;

struct World {
    server: Throng,
    app: App,
    admin_key: String,
    client: Client,
    _config: tempfile::TempDir,
}

impl World {
    /// A server that flushes often, with events of all persons over some days.
    fn filled() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("throng.toml");
        std::fs::write(&config, "[stream]\nflush_interval_ms = 300\nupkeep_interval_ms = 200\n[query]\ncache_ttl_ms = 0\n")?;
        let server = Throng::start(&["--config", &config.display().to_string()])?;
        let app = server.create_app("deletion", &[])?;
        let made: Value = serde_json::from_str(&server.command(&["app", "add-key", &app.id, "--kind", "admin"])?)?;
        let admin_key = made["key"].as_str().context("a key")?.to_owned();
        let client = server.client();
        let world = Self { server, app, admin_key, client, _config: folder };
        for part in 0..6 {
            world.send(part)?;
            std::thread::sleep(Duration::from_millis(400));
        }
        world.client.wait_for_events(&world.app, (PERSONS * EVENTS_PER_PERSON) as u64)?;
        Ok(world)
    }

    /// Sends a sixth of everybody's events; the same however often.
    fn send(&self, part: usize) -> Result<()> {
        let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as i64;
        let of_part = (0..PERSONS * EVENTS_PER_PERSON).filter(|n| n / PERSONS % 6 == part);
        let event = |n: usize| {
            let day_ms = (n / PERSONS % DAYS) as i64 * 86_400_000;
            json!({"name": format!("e{}", n % 5), "user_id": person(n % PERSONS), "timestamp": now_ms - day_ms - n as i64,
                "insert_id": format!("d-{n}"), "properties": {"n": n}})
        };
        self.client.send(&self.app, &of_part.map(event).collect::<Vec<_>>())
    }

    fn delete(&self, person: usize) -> Result<Value> {
        let path = format!("/api/v1/analytics/{}/persons/{}", self.app.id, self::person(person));
        let (status, receipt) = self.client.delete(&path, &self.admin_key)?;
        anyhow::ensure!(status == 202, "{status}: {receipt}");
        Ok(receipt)
    }

    fn receipt(&self, id: &str) -> Result<Value> {
        let path = format!("/api/v1/analytics/{}/deletions/{id}", self.app.id);
        Ok(self.client.get_with_key(&path, &self.admin_key)?.1)
    }

    /// Events of each person that any answer shows.
    fn counts(&self) -> Result<Vec<u64>> {
        let request = json!({"metric": "events", "group_by": "user_id", "range": "30d", "limit": 1_000});
        let answer = self.client.ask(&self.app, "query", &request)?;
        anyhow::ensure!(answer["complete"] == true, "{answer}");
        let rows = answer["results"].as_array().context("results")?;
        let of = |person: String| rows.iter().find(|row| row["user_id"] == *person).map_or(0, |row| row["events"].as_u64().unwrap());
        Ok((0..PERSONS).map(|n| of(person(n))).collect())
    }

    fn assert_gone(&self, deleted: &BTreeSet<usize>) -> Result<()> {
        let expected: Vec<u64> = (0..PERSONS).map(|n| if deleted.contains(&n) { 0 } else { EVENTS_PER_PERSON as u64 }).collect();
        assert_eq!(self.counts()?, expected, "deleted: {deleted:?}");
        Ok(())
    }

    fn kill_and_restart(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server.restart()?;
        Ok(())
    }
}

fn person(n: usize) -> String {
    format!("person-{n}")
}

#[test]
fn kills_at_any_moment_resurrect_and_take_nobody() -> Result<()> {
    let mut world = World::filled()?;
    let mut random = StdRng::seed_from_u64(11);
    let mut deleted = BTreeSet::new();
    let mut receipts = Vec::new();
    for round in 0..12 {
        let target = round;
        let pause = Duration::from_millis(random.random_range(0..40));
        match round % 3 {
            // While the request is under way: all of the person or nothing.
            0 => {
                let answered = std::thread::scope(|scope| -> Result<bool> {
                    let request = scope.spawn(|| world.delete(target));
                    std::thread::sleep(pause / 4);
                    world.server.signal_kill()?;
                    Ok(request.join().unwrap().is_ok())
                })?;
                world.kill_and_restart()?;
                let left = world.counts()?[target];
                assert!(left == 0 || (left == EVENTS_PER_PERSON as u64 && !answered), "{left} events of {target} are left");
                receipts.push(world.delete(target)?["deletion_id"].as_str().context("id")?.to_owned());
            }
            // Right after the answer.
            1 => {
                receipts.push(world.delete(target)?["deletion_id"].as_str().context("id")?.to_owned());
                world.kill_and_restart()?;
            }
            // While segments are written again, which begins within 5 s.
            _ => {
                let receipt = world.delete(target)?;
                assert_eq!(receipt["rows"], EVENTS_PER_PERSON, "{receipt}");
                let id = receipt["deletion_id"].as_str().context("id")?.to_owned();
                let started = Instant::now();
                while world.receipt(&id)?["segments_rewritten"] == 0 && started.elapsed() < Duration::from_secs(15) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                std::thread::sleep(pause);
                receipts.push(id);
                world.kill_and_restart()?;
            }
        }
        deleted.insert(target);
        world.assert_gone(&deleted)?;
    }
    // Resent events of the deleted are refused, those of the others are duplicates.
    (0..6).try_for_each(|part| world.send(part))?;
    world.assert_gone(&deleted)?;
    let started = Instant::now();
    for id in &receipts {
        while world.receipt(id)?["state"] != "finished" {
            assert!(started.elapsed() < Duration::from_secs(90), "{}", world.receipt(id)?);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    world.assert_gone(&deleted)?;
    world.server.kill()?;
    world.server.check()?;
    Ok(())
}

/// The steps of a deletion, those of the rewriting of segments among them.
const STEPS: [&str; 8] = [
    "deletion.before_commit",
    "deletion.committed",
    "upkeep.segment_written",
    "upkeep.before_commit",
    "upkeep.committed",
    "upkeep.file_deleted",
    "deletion.recounted",
    "deletion.finished",
];

/// The person is hidden from the commit on, whatever step the process dies at, and everybody else is whole; asked again, it is done.
#[test]
fn a_death_at_any_step_of_a_deletion_resurrects_and_takes_nobody() -> Result<()> {
    let mut world = World::filled()?;
    let mut deleted = BTreeSet::new();
    for (target, step) in STEPS.into_iter().enumerate() {
        world.server.arm(Some(step));
        world.server.restart()?;
        let answered = world.delete(target).is_ok();
        world.server.wait_for_death(Duration::from_secs(30)).with_context(|| step.to_owned())?;
        world.server.arm(None);
        let checked = world.server.check().with_context(|| format!("{step}, before the restart"))?;
        assert_eq!(checked["served"], false);
        world.server.restart()?;
        let left = world.counts()?[target];
        match step {
            "deletion.before_commit" => assert_eq!((left, answered), (EVENTS_PER_PERSON as u64, false), "{step}"),
            "deletion.committed" => assert_eq!((left, answered), (0, false), "{step}"),
            // A compaction may have met the step before the request came.
            _ => assert!(left == 0 || (left == EVENTS_PER_PERSON as u64 && !answered), "{step}: {left} {answered}"),
        }
        let id = world.delete(target)?["deletion_id"].as_str().context("id")?.to_owned();
        deleted.insert(target);
        world.assert_gone(&deleted).with_context(|| step.to_owned())?;
        let started = Instant::now();
        while world.receipt(&id)?["state"] != "finished" {
            assert!(started.elapsed() < Duration::from_secs(30), "{step}: {}", world.receipt(&id)?);
            std::thread::sleep(Duration::from_millis(50));
        }
        world.assert_gone(&deleted).with_context(|| step.to_owned())?;
    }
    // Control: had the rows been put back by a wrong order, the check would have said so.
    world.server.kill()?;
    world.server.check()?;
    let manifest = rusqlite::Connection::open(world.server.data().join("store/manifest.db"))?;
    let changed = manifest.execute("UPDATE rollups SET events = events + 1 WHERE event = '' AND size = 1", [])?;
    assert!(changed > 0);
    assert!(world.server.check().is_err());
    Ok(())
}

#[test]
fn no_point_is_forgotten() {
    let known = kill_point::POINTS.into_iter().filter(|point| point.starts_with("deletion."));
    assert!(known.clone().count() > 0 && known.clone().all(|point| STEPS.contains(&point)));
}
