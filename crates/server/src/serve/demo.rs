use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use event::AppId;
use jiff::Timestamp;
use metadata_store::{App, MetadataStore, SqliteMetadataStore, new_app_id};
use serde::{Deserialize, Serialize};

use super::listener::reachable;
use crate::app::{make_app, now_ms};
use crate::data_folder::DataFolder;
use crate::http_client::Target;
use crate::output;
use crate::simulate::{SimulateArgs, send_run_up, simulate};

const APP_NAME: &str = "Demo shop";
/// 40,000 a day: enough that an hour of live traffic does not dwarf the days before on a chart.
const HISTORY_EVENTS: u64 = 1_200_000;
const HISTORY_DAYS: u32 = 30;
const USERS: u64 = 15_000;
const LIVE_EVENTS_PER_SECOND: f64 = 4.0;

/// The demo's app with its keys, which the metadata store could not give back. Its file is readable by its owner only.
#[derive(Serialize, Deserialize)]
struct Remembered {
    app_id: AppId,
    write_key: String,
    read_key: String,
    /// The history is the same however often it has to be sent: same seed, same end.
    history_seed: u64,
    history_until: Timestamp,
    history_sent: bool,
}

/// An app that is filled with a month of history and live traffic through the public API.
pub(super) struct Demo {
    file: PathBuf,
    remembered: Remembered,
}

impl Demo {
    /// Finds the demo's app of this data folder, or makes it; other apps are left alone.
    pub(super) fn prepare(metadata: &SqliteMetadataStore, folder: &DataFolder) -> Result<Self> {
        let file = folder.demo();
        if let Some(remembered) = read(&file)?
            && metadata.app(&remembered.app_id)?.is_some()
        {
            return Ok(Self { file, remembered });
        }
        let made = make_app(metadata, &App::new(new_app_id(&mut rand::rng()), APP_NAME, now_ms()))?;
        let remembered = Remembered {
            app_id: made.app.id,
            write_key: made.write_key,
            read_key: made.read_key,
            history_seed: rand::random(),
            history_until: Timestamp::now(),
            history_sent: false,
        };
        write(&file, &remembered)?;
        Ok(Self { file, remembered })
    }

    /// Says where the page is and begins to send. The keys are behind the `#`, which a browser keeps to itself.
    pub(super) fn start(self, listening: SocketAddr, set_up: Option<&str>) -> Result<Traffic> {
        let target = Target { url: format!("http://{}", reachable(listening)) };
        let Remembered { app_id, read_key, .. } = &self.remembered;
        output::line(&format!("\nThrong runs with demo data. Open:\n\n  {}/#app={app_id}&key={read_key}\n", target.url))?;
        if let Some(link) = set_up {
            output::line(&format!("That link only looks. To save cohorts, invite others and make apps, make an account:\n\n  {link}\n"))?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let live = SimulateArgs {
            write_key: Some(self.remembered.write_key.clone()),
            events: 0,
            days: HISTORY_DAYS,
            users: USERS,
            rate: LIVE_EVENTS_PER_SECOND,
            // The same seed as the history's: the same users go on.
            seed: self.remembered.history_seed,
            until: None,
            out: None,
            target,
        };
        let history = SimulateArgs { events: HISTORY_EVENTS, rate: 0.0, until: Some(self.remembered.history_until), ..live.clone() };
        let mut threads = vec![spawn(&stop, move |stop| simulate(&live, stop))];
        if !self.remembered.history_sent {
            threads.push(spawn(&stop, move |stop| {
                // What the first page shows comes first; the same events again are known by their insert ids.
                send_run_up(&history, LIVE_EVENTS_PER_SECOND, self.remembered.history_until, stop)?;
                simulate(&history, stop)?;
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                write(&self.file, &Remembered { history_sent: true, ..self.remembered })
            }));
        }
        Ok(Traffic { stop, threads })
    }
}

/// Threads that send.
pub(super) struct Traffic {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Ends the traffic; each thread still sends what it has in hand.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for the threads, which a server that has stopped serving makes fail.
    pub(super) fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the demo panicked");
            }
        }
    }
}

fn spawn(stop: &Arc<AtomicBool>, send: impl FnOnce(&Arc<AtomicBool>) -> Result<()> + Send + 'static) -> JoinHandle<()> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        if let Err(error) = send(&stop)
            && !stop.load(Ordering::Relaxed)
        {
            tracing::error!(error = format!("{error:#}"), "the demo's traffic ended");
        }
    })
}

fn read(file: &Path) -> Result<Option<Remembered>> {
    match fs::read(file) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).with_context(|| format!("{} is not what the demo wrote: delete it", file.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

fn write(file: &Path, remembered: &Remembered) -> Result<()> {
    let beside = file.with_extension("json.new");
    let written = || -> std::io::Result<()> {
        let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        out.write_all(&serde_json::to_vec_pretty(remembered)?)?;
        fs::rename(&beside, file)
    };
    written().with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_finds_its_app_again_and_its_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(place.path()).unwrap();
        let metadata = SqliteMetadataStore::open(&folder.metadata(), 0).unwrap();
        let first = Demo::prepare(&metadata, &folder).unwrap();
        let second = Demo::prepare(&metadata, &folder).unwrap();
        assert_eq!(first.remembered.read_key, second.remembered.read_key);
        assert_eq!(first.remembered.history_until, second.remembered.history_until);
        assert_eq!(metadata.apps().unwrap().len(), 1);
        assert_eq!(fs::metadata(folder.demo()).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(folder.metadata()).unwrap();
        let other = SqliteMetadataStore::open(&folder.metadata(), 0).unwrap();
        let third = Demo::prepare(&other, &folder).unwrap();
        assert_ne!(first.remembered.read_key, third.remembered.read_key, "the app is gone, so are its keys");
    }
}
