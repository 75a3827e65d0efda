use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::http_client::{HttpClient, Target};
use crate::output;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Events are told apart from duplicates behind the log; this is for it to be read up to the last one of the import.
const MAX_WAIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);

/// What the app's ledger said before the import, so that what it says after tells new events from those that were stored before.
pub(super) struct Account {
    client: HttpClient,
    path: String,
    before: Totals,
}

/// Where received events went.
#[derive(Clone, Copy)]
struct Totals {
    stored: u64,
    duplicate: u64,
}

impl Account {
    /// Opens the ledger where app and key are given.
    pub(super) fn open(target: &Target, app: Option<&str>, read_key: Option<&str>) -> Result<Option<Self>> {
        let (Some(app), Some(read_key)) = (app, read_key) else { return Ok(None) };
        let client = HttpClient::new(target, read_key, REQUEST_TIMEOUT)?;
        // A range that holds the whole import, whichever clock is right.
        let day = SignedDuration::from_hours(24);
        let (from, to) = (Timestamp::now() - day, Timestamp::now() + day * 7);
        let path = format!("/api/v1/analytics/{app}/ledger?from={from:.0}&to={to:.0}&limit=1");
        let before = totals(&client, &path)?;
        Ok(Some(Self { client, path, before }))
    }

    /// Adds `stored` and `duplicate` to what the import prints.
    pub(super) fn tell(&self, accepted: u64, answer: &mut Value) -> Result<()> {
        let started = Instant::now();
        let (stored, duplicate) = loop {
            let now = totals(&self.client, &self.path)?;
            let since = (now.stored.saturating_sub(self.before.stored), now.duplicate.saturating_sub(self.before.duplicate));
            if since.0 + since.1 >= accepted {
                break since;
            }
            if started.elapsed() > MAX_WAIT {
                output::note(
                    "the app's ledger does not show the whole import yet: ask it later, or check that --app is the app of the write key",
                );
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        };
        let others = if stored + duplicate > accepted { " (with what other clients of the app sent meanwhile)" } else { "" };
        output::note(&format!("{stored} events are new, {duplicate} were stored before{others}"));
        answer["stored"] = stored.into();
        answer["duplicate"] = duplicate.into();
        Ok(())
    }
}

fn totals(client: &HttpClient, path: &str) -> Result<Totals> {
    let answer = client.get(path)?;
    let count = |field: &str| answer.body["totals"][field].as_u64();
    match (count("stored"), count("duplicate")) {
        (Some(stored), Some(duplicate)) => Ok(Totals { stored, duplicate }),
        _ => bail!("the app's ledger cannot be read (--app, --read-key): {}", answer.error_text()),
    }
}
