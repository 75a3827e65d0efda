use std::path::Path;

use event_store::LostRecords;
use serde::Serialize;

use crate::manifest::UnbalancedMinute;
use crate::segment::{AppRows, SegmentInfo};
use crate::tier::TierError;

/// Apps that a finding names at most.
const MAX_NAMED_APPS: usize = 10;

/// What a check tells its caller.
#[derive(Clone, Debug)]
pub enum CheckStep {
    /// Bytes there are to read; told before the first of them is.
    Total {
        /// Of all segments.
        bytes: u64,
    },
    /// So many more bytes were read.
    Done {
        /// Of one segment.
        bytes: u64,
    },
    /// Something is not as it should be.
    Found(Finding),
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `problem`, or `note` for what a start of the server mends by itself.
    pub severity: &'static str,
    /// What it is of: `manifest`, `segment`, `stray_file`, `ledger`, `rollups`, ...
    pub kind: &'static str,
    /// The file, or the app and time.
    pub place: String,
    /// What was found.
    pub found: String,
    /// What it means for those who ask questions.
    pub meaning: String,
    /// What to do about it.
    pub remedy: String,
}

#[expect(clippy::needless_pass_by_value, reason = "callers hand over paths, errors and texts as they have them")]
impl Finding {
    /// Something that does not mend itself.
    pub fn problem(kind: &'static str, place: impl ToString, found: impl ToString) -> Self {
        let (place, found) = (place.to_string(), found.to_string());
        Self { severity: "problem", kind, place, found, meaning: String::new(), remedy: String::new() }
    }

    /// Something that the next start of the server mends.
    pub fn note(kind: &'static str, place: impl ToString, found: impl ToString) -> Self {
        Self { severity: "note", ..Self::problem(kind, place, found) }
    }

    /// With what it means.
    #[must_use]
    pub fn means(self, meaning: impl ToString) -> Self {
        Self { meaning: meaning.to_string(), ..self }
    }

    /// With what to do.
    #[must_use]
    pub fn remedy(self, remedy: impl ToString) -> Self {
        Self { remedy: remedy.to_string(), ..self }
    }

    /// True when a check that found this has failed.
    pub fn is_problem(&self) -> bool {
        self.severity == "problem"
    }

    pub(super) fn damaged_manifest(path: &Path, found: String) -> Self {
        Self::problem("manifest", path.display(), found)
            .means("the database that says which events exist is damaged; answers may lack events, and flushes may fail")
            .remedy("stop the server and restore the data folder from a backup: throng restore")
    }

    pub(super) fn link(place: &str, found: &str) -> Self {
        Self::problem("link", place, found)
            .means("ids may count as a person that they are not, or a deleted person's id is still there")
            .remedy("restore from a backup: throng restore; a deleted person is deleted again by the same request")
    }

    pub(super) fn said_link(app: &str, found: &str) -> Self {
        Self::problem("link", format!("app {app}"), found)
            .means("ids count as a person that the app's events do not make of them")
            .remedy("restore from a backup: throng restore")
    }

    pub(super) fn unbalanced(path: &Path, minute: &UnbalancedMinute) -> Self {
        let UnbalancedMinute { app, minute_ms, received, stored, duplicate, rejected } = minute;
        let found = format!("{received} received are not {stored} stored + {duplicate} duplicate + {rejected} rejected");
        Self::problem("ledger", format!("{}: app {app}, minute {minute_ms}", path.display()), found)
            .means("the account of this minute is wrong; the events themselves are counted by the other checks")
            .remedy("restore from a backup if the account matters; no event is affected")
    }

    pub(super) fn lost(lost: &LostRecords) -> Self {
        Self::note("lost_records", format!("log records {}..{}", lost.from, lost.to), crate::lost::text(lost))
            .means("known: answers over that time are marked incomplete")
            .remedy("clients that still have these events may send them again")
    }

    pub(super) fn segment(info: &SegmentInfo, listed: &[AppRows], found: String) -> Self {
        Self::problem("segment", &info.path, found)
            .means(left_out(info, listed))
            .remedy("put the file back from a backup (its backup.json names the copy) and restart the server; keep the damaged one")
    }

    pub(super) fn object(info: &SegmentInfo, object: &str, listed: &[AppRows], found: String) -> Self {
        Self::problem("segment", format!("object {object}"), found).means(left_out(info, listed)).remedy(format!(
            "put the object back as it was: an earlier version of it, where the bucket keeps them, or the copy of store/{} in a backup (its \
             backup.json names it); then restart the server",
            info.path
        ))
    }

    pub(super) fn out_of_reach(folder: &str, segments: usize, rows: u64, reason: &str, is_configured: bool) -> Self {
        let found = format!("{segments} segments with {rows} events are in object storage and could not be read: {reason}");
        let means = "neither they nor the rollups of their times were verified; while they cannot be read, answers lack them and say so";
        let remedy = match is_configured {
            true => "mend the way to the object storage (address, network, the credentials in the environment), then check again",
            false => "name the configuration that the server runs with: throng check --config FILE",
        };
        Self::problem("object_storage", format!("objects under {folder}"), found).means(means).remedy(remedy)
    }

    pub(super) fn stray_object(object: &str, found: &str) -> Self {
        Self::problem("stray_object", format!("object {object}"), found)
            .means("it is no part of any answer, costs room, may hold events of deleted persons, and nothing will delete it")
            .remedy("delete it, unless the manifest is an older one than it should be")
    }

    pub(super) fn unlisted(folder: &str, error: &TierError) -> Self {
        Self::note("object_storage", format!("objects under {folder}"), format!("they could not be listed: {error}"))
            .means("objects that nobody names were not looked for; the segments were verified all the same")
            .remedy("allow this check to list them, if that is wanted")
    }

    pub(super) fn accounts(app: &str, rows: u64, booked: u64) -> Self {
        let meaning = if rows > booked { "events are stored more than once" } else { "stored events are gone" };
        Self::problem("ledger", format!("app {app}"), format!("{rows} stored events where the ledger booked {booked}"))
            .means(meaning)
            .remedy("compare with a backup: throng restore into another folder, and check that")
    }

    pub(super) fn rollups(app: &str, from_ms: i64, to_ms: i64, found: String) -> Self {
        Self::problem("rollups", of_time(app, from_ms, to_ms), found)
            .means("counts of this time that are answered from rollups are wrong; those from raw events are right")
            .remedy("rebuild the app's rollups from its raw events, or restore from a backup")
    }

    pub(super) fn uncounted(app: &str, from_ms: i64, to_ms: i64, found: String) -> Self {
        Self::problem("rollups", of_time(app, from_ms, to_ms), found)
            .means("the rollups of this time could not be compared with its raw events")
            .remedy("mend the segment first, then check again")
    }
}

/// What it means that a segment cannot be read.
fn left_out(info: &SegmentInfo, listed: &[AppRows]) -> String {
    let mut apps: Vec<String> = listed.iter().take(MAX_NAMED_APPS).map(|rows| format!("{} ({} events)", rows.app, rows.rows)).collect();
    if listed.len() > MAX_NAMED_APPS {
        apps.push(format!("{} more apps", listed.len() - MAX_NAMED_APPS));
    }
    let (rows, from, to) = (info.rows, info.min_ms, info.max_ms);
    let apps = apps.join(", ");
    format!("{rows} events of the times {from} to {to} ms, of {apps}, are left out of every answer that needs them, which says so")
}

fn of_time(app: &str, from_ms: i64, to_ms: i64) -> String {
    let end = |ms: i64, is_open: bool, open: &str| if is_open { open.to_owned() } else { format!("{ms} ms") };
    format!("app {app}, {} to {}", end(from_ms, from_ms == i64::MIN, "the beginning"), end(to_ms, to_ms == i64::MAX, "the end"))
}
