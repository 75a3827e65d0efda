//! A full disk: events are refused before they are acknowledged, the process says that it is not ready, and goes on by itself once there
//! is space; told to stop, it ends with words that say what to do, and nothing is lost.

#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stderr, reason = "a test says what it found by panicking")]

mod acknowledged;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use acknowledged::{BATCH_EVENTS, batch, wait_for_recount};
use anyhow::{Result, ensure};
use e2e::Throng;
use tempfile::TempDir;

/// A small disk of its own, gone when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount() -> Result<Option<Self>> {
        let folder = TempDir::new()?;
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(folder.path()).status();
        Ok(mounted.is_ok_and(|status| status.success()).then_some(Self(folder)))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Fills the disk to the last byte; deleting the file frees it.
fn fill(disk: &Path) -> std::path::PathBuf {
    use std::io::Write;
    let path = disk.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    while file.write_all(&[7; 4_096]).is_ok() {}
    path
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !is_so()? {
        ensure!(started.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn a_full_disk_refuses_says_so_and_ends_in_words() -> Result<()> {
    let Some(disk) = SmallDisk::mount()? else {
        eprintln!("SKIPPED a_full_disk_refuses_says_so_and_ends_in_words: this user may not mount a disk");
        return Ok(());
    };
    // Only the data: what the process says has to find room.
    let folder = TempDir::new()?;
    std::os::unix::fs::symlink(disk.path(), folder.path().join("data"))?;
    let mut server = Throng::start_in(folder, &[])?;
    let app = server.create_app("full", &[])?;
    let client = server.client();
    let mut sent = 0;
    let mut send = |client: &e2e::Client| -> Result<u16> {
        let status = client.post("/api/v1/events/batch", &app.write_key, &batch(sent, 0))?.0;
        sent += if status == 200 { BATCH_EVENTS } else { 0 };
        Ok(status)
    };
    ensure!(send(&client)? == 200);
    let filler = fill(disk.path());
    wait_until("appends are refused", || Ok(send(&client)? == 503))?;
    let (status, ready) = client.get("/ready")?;
    ensure!(status == 503 && ready["reasons"][0].as_str().is_some_and(|reason| reason.contains("disk is full")), "{status} {ready}");
    ensure!(client.get("/health")?.0 == 200, "it lives");
    std::fs::remove_file(&filler)?;
    wait_until("ready again by itself", || Ok(client.get("/ready")?.0 == 200))?;
    wait_until("appends are taken", || Ok(send(&client)? == 200))?;

    fill(disk.path());
    let (took, success) = server.terminate()?;
    let log = server.log();
    ensure!(!success && took < Duration::from_secs(20), "{took:?}");
    ensure!(log.contains("stopped while the disk is full") && log.contains("Nothing is lost: free space and start again"), "{log}");
    std::fs::remove_file(disk.path().join("filler"))?;
    server.restart()?;
    wait_for_recount(&server.client(), &app, sent)?;
    ensure!(server.terminate()?.1);
    server.check()?;
    Ok(())
}
