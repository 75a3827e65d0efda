//! The real process dies at each step of a segment's way to object storage and of its removal from there; after a restart the folder and the
//! objects are sound, the recount is what was acknowledged, and nothing is left behind. Control arms put disk and storage into the state
//! that a wrong order would have left, and must be noticed.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what it found by panicking")]

mod acknowledged;
mod tiered;

use std::path::PathBuf;
use std::time::Duration;

use acknowledged::{BATCH_EVENTS, batch, keep_days, manifest, now_ms, problems, recount, wait_for_recount, wait_for_rest};
use anyhow::{Context, Result, ensure};
use e2e::{App, Throng};
use tempfile::TempDir;
use tiered::{admin_key, delete_person, files, local_files, places, tiered_config, wait_until_deleted, wait_until_moved};

const DEATH: Duration = Duration::from_secs(20);
const DAY_MS: i64 = 86_400_000;

const MOVING: [&str; 5] = ["tier.written_down", "tier.uploaded", "tier.verified", "tier.committed", "upkeep.file_deleted"];
/// Steps of a person's deletion or of retention, whose segment is in object storage.
const REMOVING: [&str; 4] = ["upkeep.segment_written", "upkeep.before_commit", "upkeep.committed", "tier.object_deleted"];

struct World {
    server: Throng,
    app: App,
    admin_key: String,
    config: String,
    folder: TempDir,
    sent: u64,
}

impl World {
    fn new() -> Result<Self> {
        let folder = TempDir::new()?;
        let config = tiered_config(folder.path(), &format!("file://{}/objects", folder.path().display()), "")?;
        let server = Throng::start(&["--config", &config])?;
        let app = server.create_app("tier", &[])?;
        let admin_key = admin_key(&server, &app)?;
        Ok(Self { server, app, admin_key, config, folder, sent: 0 })
    }

    fn objects(&self) -> Vec<PathBuf> {
        files(&self.folder.path().join("objects"))
    }

    /// Sends a batch whose events are days old.
    fn send(&mut self, app: &App, days_ago: i64) -> Result<()> {
        let batch = batch(self.sent, (now_ms() / DAY_MS - days_ago) * DAY_MS);
        let (status, answer) = self.server.client().post("/api/v1/events/batch", &app.write_key, &batch)?;
        ensure!(status == 200 && answer["accepted"] == BATCH_EVENTS, "{status} {answer}");
        self.sent += BATCH_EVENTS;
        Ok(())
    }

    /// Starts a process that dies at `point` while it does what `work` asks for.
    fn die(&mut self, point: &str, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.server.arm(Some(point));
        self.server.restart()?;
        let worked = work(self);
        let died = self.server.wait_for_death(DEATH);
        self.server.arm(None);
        died.and(worked).with_context(|| point.to_owned())
    }

    /// As [`World::die`], with a batch that moves.
    fn die_moving(&mut self, point: &str) -> Result<()> {
        let app = self.app.clone();
        self.die(point, |world| world.send(&app, 3))
    }

    fn check(&self) -> Result<serde_json::Value> {
        self.server.check_with(&["--config", &self.config])
    }

    fn problems(&self) -> Result<Vec<String>> {
        problems(&self.server, &["--config", &self.config])
    }

    /// All is moved, each segment is in one place, and no object is left over.
    fn assert_tidy(&mut self, rows: u64) -> Result<()> {
        wait_until_moved(&self.server, rows)?;
        ensure!(self.check()?["served"] == true);
        ensure!(self.server.terminate()?.1, "{}", self.server.log());
        let checked = self.check()?;
        let tiered = places(&self.server)?.tiered;
        ensure!(checked["notes"] == 0 && checked["events"] == rows && checked["segments_in_object_storage"] == tiered, "{checked:#}");
        ensure!(self.objects().len() as u64 == tiered && local_files(&self.server).is_empty(), "{:?}", self.objects());
        self.server.restart()?;
        Ok(())
    }

    /// A folder whose process died at `point` with one segment on its way; all before is moved.
    fn died_moving(point: &str) -> Result<Self> {
        let mut world = Self::new()?;
        let app = world.app.clone();
        world.send(&app, 20)?;
        wait_until_moved(&world.server, BATCH_EVENTS)?;
        world.die_moving(point)?;
        ensure!(world.problems()?.is_empty(), "died as it should");
        Ok(world)
    }

    /// What is there after a restart without the storage being asked to mend anything; and whether that is all.
    fn recount(&mut self) -> Result<(u64, bool)> {
        self.server.restart()?;
        std::thread::sleep(Duration::from_millis(500));
        recount(&self.server.client(), &self.app)
    }
}

#[test]
fn a_death_at_any_step_of_a_move_loses_and_leaves_nothing() -> Result<()> {
    let mut world = World::new()?;
    for point in MOVING {
        world.die_moving(point)?;
        let checked = world.check().with_context(|| format!("{point}, before the restart"))?;
        // A file whose segment is in its object already goes at the next start.
        ensure!(checked["notes"] == u64::from(point == "tier.committed"), "{point}: {checked:#}");
        world.server.restart()?;
        wait_for_recount(&world.server.client(), &world.app, world.sent).with_context(|| point.to_owned())?;
        let sent = world.sent;
        world.assert_tidy(sent).with_context(|| point.to_owned())?;
        wait_for_recount(&world.server.client(), &world.app, world.sent).with_context(|| point.to_owned())?;
    }
    Ok(())
}

#[test]
fn a_death_at_any_step_of_a_deletion_from_objects_resurrects_and_takes_nobody() -> Result<()> {
    let mut world = World::new()?;
    let app = world.app.clone();
    for days_ago in [3, 10, 17] {
        (0..3).try_for_each(|_| world.send(&app, days_ago))?;
    }
    wait_until_moved(&world.server, world.sent)?;
    // Of the 180 events those of the persons 0 to 82 are two each, of the others one.
    let mut left = world.sent;
    for (person, point) in REMOVING.into_iter().enumerate() {
        let person = format!("u{person}");
        let deleted = std::cell::Cell::new(false);
        world.die(point, |world| {
            deleted.set(delete_person(&world.server.client(), &app, &world.admin_key, &person).is_ok());
            Ok(())
        })?;
        world.check().with_context(|| format!("{point}, before the restart"))?;
        world.server.restart()?;
        left -= 2;
        if deleted.get() {
            wait_for_recount(&world.server.client(), &app, left).with_context(|| point.to_owned())?;
        }
        let id = delete_person(&world.server.client(), &app, &world.admin_key, &person)?;
        wait_for_recount(&world.server.client(), &app, left).with_context(|| point.to_owned())?;
        wait_until_deleted(&world.server.client(), &app, &world.admin_key, &id).with_context(|| point.to_owned())?;
        world.assert_tidy(left).with_context(|| point.to_owned())?;
    }
    Ok(())
}

/// One app keeps little, the other all: an object of the first alone is dropped, one of both is written again without it.
#[test]
fn a_death_at_any_step_of_retention_drops_the_objects_that_are_due() -> Result<()> {
    let mut world = World::new()?;
    let (brief, lasting) = (world.server.create_app("brief", &[])?, world.app.clone());
    for (round, point) in (1..).zip(REMOVING) {
        for (app, days_ago) in [(&brief, 40), (&brief, 30), (&lasting, 30)] {
            world.send(app, days_ago)?;
        }
        wait_until_moved(&world.server, (round + 2) * BATCH_EVENTS)?;
        ensure!(world.server.terminate()?.1);
        keep_days(&world.server, &brief, 2)?;
        world.die(point, |_| Ok(()))?;
        world.check().with_context(|| format!("{point}, before the restart"))?;
        world.server.restart()?;
        wait_for_rest(&world.server.client(), &brief, 0).with_context(|| point.to_owned())?;
        wait_for_recount(&world.server.client(), &lasting, round * BATCH_EVENTS).with_context(|| point.to_owned())?;
        world.assert_tidy(round * BATCH_EVENTS).with_context(|| point.to_owned())?;
        ensure!(world.server.terminate()?.1);
        keep_days(&world.server, &brief, 730)?;
        world.server.restart()?;
    }
    Ok(())
}

#[test]
fn no_point_is_forgotten() {
    let met = [&MOVING[..], &REMOVING[..]].concat();
    let known = kill_point::POINTS.into_iter().filter(|point| point.starts_with("tier."));
    assert!(known.clone().count() > 0 && known.clone().all(|point| met.contains(&point)));
}

#[test]
fn control_arm_a_file_deleted_before_the_manifest_says_moved_is_noticed() -> Result<()> {
    let mut world = World::died_moving("tier.verified")?;
    let local = local_files(&world.server);
    ensure!(local.len() == 1, "{local:?}");
    std::fs::remove_file(&local[0])?;
    let found = world.problems()?;
    assert!(found.contains(&"segment".to_owned()), "{found:?}");
    assert_eq!(world.recount()?, (BATCH_EVENTS, false));
    Ok(())
}

#[test]
fn control_arm_a_manifest_that_says_moved_before_the_upload_is_noticed() -> Result<()> {
    let mut world = World::died_moving("tier.written_down")?;
    let changed = manifest(&world.server)?;
    changed.execute("INSERT INTO tiered (segment, object) SELECT segment, object FROM tier_garbage", [])?;
    changed.execute("DELETE FROM tier_garbage", [])?;
    drop(changed);
    let found = world.problems()?;
    assert!(found.contains(&"segment".to_owned()), "{found:?}");
    assert_eq!(world.recount()?, (BATCH_EVENTS, false));
    Ok(())
}

#[test]
fn control_arm_an_upload_that_nobody_wrote_down_is_noticed() -> Result<()> {
    let mut world = World::died_moving("tier.uploaded")?;
    manifest(&world.server)?.execute("DELETE FROM tier_garbage", [])?;
    assert_eq!(world.problems()?, ["stray_object"]);
    // Moved after all, it is somebody's.
    world.server.restart()?;
    wait_until_moved(&world.server, world.sent)?;
    assert_eq!(world.problems()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn control_arm_an_object_deleted_before_its_segment_is_replaced_is_noticed() -> Result<()> {
    let mut world = World::new()?;
    let app = world.app.clone();
    world.send(&app, 3)?;
    wait_until_moved(&world.server, BATCH_EVENTS)?;
    world.die("upkeep.before_commit", |world| {
        let _ = delete_person(&world.server.client(), &app, &world.admin_key, "u1");
        Ok(())
    })?;
    ensure!(world.problems()?.is_empty(), "died as it should");
    world.objects().iter().try_for_each(std::fs::remove_file)?;
    std::fs::remove_dir_all(world.server.data().join("store/tier-cache"))?;
    let found = world.problems()?;
    assert!(found.contains(&"segment".to_owned()), "{found:?}");
    assert_eq!(world.recount()?, (0, false));
    Ok(())
}
