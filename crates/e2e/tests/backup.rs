//! A backup beside a server under load, restored, has everything it says, and clients may send all of it again. A death at any step of
//! either leaves something whole behind. Damage is found before anything is restored.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what it found by panicking")]

mod acknowledged;

use std::path::Path;
use std::time::Duration;

use acknowledged::{BATCH_EVENTS, Load, batch, quick_config, recount, wait_for_recount};
use anyhow::{Context, Result, ensure};
use e2e::{App, Client, Throng};
use serde_json::Value;
use tempfile::TempDir;

const BACKUP: [&str; 5] = ["backup.pinned", "backup.file_copied", "backup.before_sign_off", "backup.signed_off", "backup.cleaned"];
const RESTORE: [&str; 4] = ["restore.begun", "restore.file_copied", "restore.before_end", "restore.ended"];

fn backup(server: &Throng, to: &Path) -> Result<Value> {
    Ok(serde_json::from_str(&server.command(&["backup", "--to", &to.display().to_string()])?)?)
}

/// Restores into `data` in a new folder and starts a server on it.
fn restore(from: &Path, arguments: &[&str]) -> Result<Throng> {
    let folder = TempDir::new()?;
    let output = restore_into(from, &folder.path().join("data"), None)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Throng::start_in(folder, arguments)
}

fn restore_into(from: &Path, data: &Path, kill_at: Option<&str>) -> Result<std::process::Output> {
    let mut command = std::process::Command::new(Throng::program()?);
    command.arg("restore").arg("--from").arg(from).arg("--data").arg(data);
    Ok(command.envs(kill_at.iter().map(|point| ("THRONG_KILL_AT", point))).output()?)
}

fn send_all(client: &Client, app: &App, events: u64) -> Result<()> {
    for first in (0..events).step_by(BATCH_EVENTS as usize) {
        let (status, answer) = client.post("/api/v1/events/batch", &app.write_key, &batch(first, 0))?;
        ensure!(status == 200, "{status} {answer}");
    }
    Ok(())
}

#[test]
fn backups_under_load_are_consistent_incremental_and_know_what_was_sent() -> Result<()> {
    let folder = TempDir::new()?;
    let config = quick_config(folder.path(), "")?;
    let arguments = ["--config", &config];
    let server = Throng::start(&arguments)?;
    let app = server.create_app("backup", &[])?;
    let (client, load, to) = (server.client(), Load::default(), folder.path().join("backup"));
    std::thread::scope(|scope| -> Result<()> {
        let senders: Vec<_> = (0..2).map(|_| scope.spawn(|| load.send(&client, &app))).collect();
        let rounds = (0..6).try_for_each(|round| -> Result<()> {
            std::thread::sleep(Duration::from_millis(700));
            let answered_before = load.begun().saturating_sub(2 * BATCH_EVENTS);
            let made = backup(&server, &to)?;
            let begun_after = load.begun();
            if round % 2 == 0 {
                return Ok(());
            }
            // Between what was answered before and what was begun after, and each event once.
            let restored = restore(&to, &arguments)?;
            let tail = made["log_end"].as_u64().unwrap() - made["position"].as_u64().unwrap();
            let wanted = made["events"].as_u64().unwrap() + tail * BATCH_EVENTS;
            wait_for_recount(&restored.client(), &app, wanted).with_context(|| format!("{made}"))?;
            ensure!((answered_before..=begun_after).contains(&wanted), "{answered_before} {wanted} {begun_after}");
            Ok(())
        });
        load.stop();
        senders.into_iter().try_for_each(|sender| sender.join().unwrap())?;
        rounds
    })?;
    let sent = load.begun();
    wait_for_recount(&client, &app, sent)?;
    std::thread::sleep(Duration::from_millis(500));
    backup(&server, &to)?;
    let again = backup(&server, &to)?;
    let count = |field: &str| again[field].as_u64().unwrap();
    ensure!(count("events") == sent && count("position") == count("log_end"), "all of it is in segments: {again}");
    ensure!(count("copied_files") < count("files"), "{again}");
    let copies = std::fs::read_dir(to.join("files"))?.count() as u64;
    ensure!(copies <= count("files"), "{copies} copies for {again}");

    // Everything sent again to the restored server is recognised.
    let mut restored = restore(&to, &arguments)?;
    send_all(&restored.client(), &app, sent)?;
    std::thread::sleep(Duration::from_millis(500));
    ensure!(recount(&restored.client(), &app)? == (sent, true));
    ensure!(restored.terminate()?.1);
    restored.check()?;
    // Control: without the memory of insert ids, which the restore brought, they would be stored again.
    let forgetful = quick_config(folder.path(), "dedupe_enabled = false\n")?;
    let restored = restore(&to, &["--config", &forgetful])?;
    send_all(&restored.client(), &app, sent)?;
    wait_for_recount(&restored.client(), &app, 2 * sent)
}

#[test]
fn a_death_at_any_step_of_a_backup_leaves_one_that_is_whole() -> Result<()> {
    let folder = TempDir::new()?;
    let config = quick_config(folder.path(), "")?;
    let server = Throng::start(&["--config", &config])?;
    let app = server.create_app("backup", &[])?;
    let (client, to) = (server.client(), folder.path().join("backup"));
    let mut sent = 0;
    let mut in_backup = None;
    for point in BACKUP {
        for _ in 0..5 {
            client.post("/api/v1/events/batch", &app.write_key, &batch(sent, 0))?;
            sent += BATCH_EVENTS;
        }
        wait_for_recount(&client, &app, sent)?;
        let died = server.try_command(&["backup", "--to", &to.display().to_string()], Some(point))?;
        ensure!(!died.status.success(), "{point} was never met");
        let restored = TempDir::new()?;
        let data = restored.path().join("data");
        let output = restore_into(&to, &data, None)?;
        let signed_off = point == "backup.signed_off" || point == "backup.cleaned";
        if signed_off {
            in_backup = Some(sent);
        }
        match in_backup {
            None => ensure!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("no backup.json"), "{output:?}"),
            Some(events) => {
                ensure!(output.status.success(), "{point}: {output:?}");
                let server = Throng::start_in(restored, &[])?;
                wait_for_recount(&server.client(), &app, events).with_context(|| point.to_owned())?;
            }
        }
        // The next one works, whatever was left behind, and leaves nothing behind itself.
        backup(&server, &to).with_context(|| point.to_owned())?;
        in_backup = Some(sent);
        ensure!(!server.data().join("backup-pins").exists(), "{point}");
        server.check().with_context(|| point.to_owned())?;
    }
    Ok(())
}

#[test]
fn a_death_at_any_step_of_a_restore_is_no_data_folder_until_it_is_done() -> Result<()> {
    let folder = TempDir::new()?;
    let config = quick_config(folder.path(), "")?;
    let server = Throng::start(&["--config", &config])?;
    let app = server.create_app("restore", &[])?;
    send_all(&server.client(), &app, 400)?;
    wait_for_recount(&server.client(), &app, 400)?;
    let to = folder.path().join("backup");
    backup(&server, &to)?;
    for point in RESTORE {
        let restored = TempDir::new()?;
        let data = restored.path().join("data");
        let died = restore_into(&to, &data, Some(point))?;
        ensure!(!died.status.success(), "{point} was never met");
        if point != "restore.ended" {
            let mut serve = std::process::Command::new(Throng::program()?);
            let served = serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).output()?;
            ensure!(String::from_utf8_lossy(&served.stderr).contains("has not ended"), "{point}: {served:?}");
            let again = restore_into(&to, &data, None)?;
            ensure!(again.status.success(), "{point}: {}", String::from_utf8_lossy(&again.stderr));
        }
        let server = Throng::start_in(restored, &[])?;
        wait_for_recount(&server.client(), &app, 400).with_context(|| point.to_owned())?;
        server.check().with_context(|| point.to_owned())?;
    }
    // A folder that holds anything is refused.
    let output = restore_into(&to, &server.data(), None)?;
    ensure!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("not empty"), "{output:?}");
    Ok(())
}

#[test]
fn damage_to_a_copy_is_found_before_a_restore_and_healed_by_the_next_backup() -> Result<()> {
    let folder = TempDir::new()?;
    let config = quick_config(folder.path(), "")?;
    let server = Throng::start(&["--config", &config])?;
    let app = server.create_app("damage", &[])?;
    send_all(&server.client(), &app, 200)?;
    wait_for_recount(&server.client(), &app, 200)?;
    std::thread::sleep(Duration::from_millis(500));
    let to = folder.path().join("backup");
    backup(&server, &to)?;
    let is_segment = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "parquet");
    let copies = std::fs::read_dir(to.join("files"))?.flatten().map(|entry| entry.path());
    let copy = copies.into_iter().find(is_segment).context("a segment")?;
    let good = std::fs::read(&copy)?;
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    for damage in [Some(bad), Some(good[..good.len() - 1].to_vec()), None] {
        match damage {
            Some(bytes) => std::fs::write(&copy, bytes)?,
            None => std::fs::remove_file(&copy)?,
        }
        let data = folder.path().join("restored");
        let output = restore_into(&to, &data, None)?;
        ensure!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("missing or damaged"), "{output:?}");
        ensure!(!data.exists(), "nothing was begun");
        backup(&server, &to)?;
    }
    let restored = restore(&to, &[])?;
    wait_for_recount(&restored.client(), &app, 200)
}

/// Every point of backups and restores is met here.
#[test]
fn no_point_is_forgotten() {
    let of_backup = |point: &&str| point.starts_with("backup.") || point.starts_with("restore.");
    let known: Vec<&str> = kill_point::POINTS.into_iter().filter(of_backup).collect();
    assert_eq!(known, [&BACKUP[..], &RESTORE[..]].concat());
}
