//! Old segments move to object storage, a folder and S3, while the process is killed; answers stay what they were, and say what they lack when
//! the storage is gone. A backup holds what is there, and needs no storage to be restored.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what it found by panicking")]

mod acknowledged;
#[path = "../../event-store-tier/tests/s3/mod.rs"]
mod s3;
mod tiered;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{App, Client, Throng};
use s3::S3;
use serde_json::{Value, json};
use tempfile::TempDir;
use tiered::{admin_key, delete_person, files, local_files, places, tiered_config, wait_until_deleted, wait_until_moved};

const DAYS: usize = 8;
const EVENTS: usize = 4_000;
const EACH: u64 = EVENTS as u64 / 100;

/// Events of 100 persons, on days a week apart.
fn events() -> Result<Vec<Value>> {
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as i64;
    let event = |n: usize| {
        let time_ms = now_ms - (7 * (n % DAYS) + 2) as i64 * 86_400_000;
        json!({"name": format!("e{}", n % 3), "user_id": format!("U{}", n % 100), "timestamp": time_ms, "properties": {"n": n}})
    };
    Ok((0..EVENTS).map(event).collect())
}

/// Events a user, and why the answer is not complete.
fn ask(client: &Client, app: &App) -> Result<(Vec<u64>, Value)> {
    let request = json!({"metric": "events", "group_by": "user_id", "range": "90d", "limit": 1_000, "order_by": "user_id"});
    let answer = client.ask(app, "query", &request)?;
    let rows = answer["results"].as_array().context("results")?;
    ensure!(answer["complete"] == answer["missing"].is_null(), "{answer}");
    Ok((rows.iter().map(|row| row["events"].as_u64().unwrap()).collect(), answer["missing"].clone()))
}

/// Moves all of it under kills, and returns the running server.
fn moved(url: &str, environment: Vec<(String, String)>, folder: &TempDir, more: &str) -> Result<(Throng, App, String)> {
    let config = tiered_config(folder.path(), url, more)?;
    let mut server = Throng::start_with(&["--config", &config], environment)?;
    let app = server.create_app("tier", &[])?;
    let client = server.client();
    client.send(&app, &events()?)?;
    client.wait_for_events(&app, EVENTS as u64)?;
    let mut kills = 0;
    let started = Instant::now();
    loop {
        let now = places(&server)?;
        if now.local == 0 && now.garbage == 0 && now.rows == EVENTS as u64 {
            break;
        }
        ensure!(started.elapsed() < Duration::from_secs(90), "{now:?}");
        if now.tiered > kills && kills < 3 {
            kills += 1;
            server.kill()?;
            server.restart()?;
        }
        assert_eq!(ask(&client, &app)?, (vec![EACH; 100], Value::Null));
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok((server, app, config))
}

fn restore(from: &Path) -> Result<(Throng, Value)> {
    let folder = TempDir::new()?;
    let mut command = Command::new(Throng::program()?);
    let output = command.arg("restore").arg("--from").arg(from).arg("--data").arg(folder.path().join("data")).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok((Throng::start_in(folder, &[])?, serde_json::from_slice(&output.stdout)?))
}

/// Backs up, restores without any storage, and compares.
fn assert_backup(server: &Throng, app: &App, config: &str, folder: &Path) -> Result<()> {
    let to = folder.join("backup");
    let backup = ["backup", "--to", &to.display().to_string(), "--config", config].map(str::to_owned);
    let backup: Vec<&str> = backup.iter().map(String::as_str).collect();
    let output = server.try_command(&backup[..3], None)?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success() && told.contains("throng backup --config"), "{told}");
    let tiered = places(server)?.tiered;
    let made: Value = serde_json::from_str(&server.command(&backup)?)?;
    ensure!(made["fetched_files"] == tiered && made["verified"] == true, "{tiered} {made}");
    let again: Value = serde_json::from_str(&server.command(&backup)?)?;
    ensure!(again["fetched_files"] == 0 && again["files"] == made["files"], "{again}");
    let (mut restored, told) = restore(&to)?;
    ensure!(told["problems"] == 0 && told["former_objects"].is_string(), "{told}");
    assert_eq!(ask(&restored.client(), app)?, ask(&server.client(), app)?);
    ensure!(restored.terminate()?.1);
    ensure!(restored.check()?["segments_in_object_storage"] == 0);
    ensure!(local_files(&restored).len() as u64 == tiered);
    Ok(())
}

/// An object is not there any more: a backup to a new folder fails and says what to do, one with a copy of it needs no object.
fn assert_backup_without(object: &Path, server: &Throng, config: &str, folder: &Path) -> Result<()> {
    let aside = folder.join("aside");
    std::fs::rename(object, &aside)?;
    let backup = |to: &str| server.try_command(&["backup", "--config", config, "--to", &folder.join(to).display().to_string()], None);
    let failed = backup("other")?;
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    ensure!(!failed.status.success() && told.contains("run throng check") && !folder.join("other/backup.json").exists(), "{told}");
    ensure!(backup("backup")?.status.success());
    Ok(std::fs::rename(&aside, object)?)
}

#[test]
fn a_folder_takes_old_segments_and_a_backup_brings_them_home() -> Result<()> {
    let folder = TempDir::new()?;
    let objects = folder.path().join("objects");
    let (mut server, app, config) = moved(&format!("file://{}", objects.display()), Vec::new(), &folder, "")?;
    let client = server.client();
    assert_eq!(ask(&client, &app)?, (vec![EACH; 100], Value::Null));
    for (metric, least) in [("hit_bytes_total", 1.0), ("segments", 1.0), ("cache_max_bytes", 10_737_418_240.0)] {
        ensure!(client.metric(&format!("throng_tier_{metric}"))? >= least, "{metric}");
    }
    assert_backup(&server, &app, &config, folder.path())?;
    assert_backup_without(&files(&objects)[0], &server, &config, folder.path())?;
    ensure!(files(&objects).len() as u64 == places(&server)?.tiered);
    ensure!(server.terminate()?.1);
    server.check_with(&["--config", &config])?;
    Ok(())
}

#[test]
fn s3_takes_old_segments_and_its_loss_is_said_in_time() -> Result<()> {
    let Some(s3) = S3::start() else { return Ok(()) };
    let folder = TempDir::new()?;
    let url = format!("s3://{}/one/store", s3::BUCKET);
    let (mut server, app, config) = moved(&url, s3.environment(), &folder, "time_limit_ms = 3000")?;
    let client = server.client();
    let admin_key = admin_key(&server, &app)?;
    let id = delete_person(&client, &app, &admin_key, "U7")?;
    assert_eq!(ask(&client, &app)?, (vec![EACH; 99], Value::Null));
    wait_until_deleted(&client, &app, &admin_key, &id)?;
    wait_until_moved(&server, EVENTS as u64 - EACH)?;
    assert_eq!(ask(&client, &app)?, (vec![EACH; 99], Value::Null));
    server.check_with(&["--config", &config])?;
    assert_backup(&server, &app, &config, folder.path())?;

    // Without its cache and without the storage the server answers, in time, and says that it lacks something: where nobody listens, and
    // where somebody takes requests and never answers.
    let address = s3.address();
    drop(s3);
    for stalls in [false, true] {
        server.kill()?;
        std::fs::remove_dir_all(server.data().join("store/tier-cache"))?;
        server.restart()?;
        let _listener = stalls.then(|| TcpListener::bind(&address)).transpose()?;
        let started = Instant::now();
        let (counts, missing) = ask(&client, &app)?;
        ensure!(started.elapsed() < Duration::from_millis(2_500), "{:?}", started.elapsed());
        ensure!(counts.is_empty() && !missing.as_array().context("missing")?.is_empty(), "{counts:?} {missing}");
        ensure!(missing[0].as_str().is_some_and(|reason| reason.contains("object storage cannot be reached")), "{missing}");
    }
    let found = acknowledged::problems(&server, &["--config", &config])?;
    assert_eq!(found, ["object_storage"]);
    Ok(())
}
