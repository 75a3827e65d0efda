//! Takes the name of a step from the environment.
//! Gives named places in the code at which the process dies when it was told to, so that tests end the real program at each step of a change on disk.
//! Knows nothing of what the steps are for.
//!
//! `THRONG_KILL_AT=NAME` aborts the process when it reaches the point for the first time, `THRONG_KILL_AT=NAME:3` for the third time.
//! Without the variable a point costs one atomic load, and points stand only where a file or a transaction has just been finished.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The environment variable that names the point.
pub const VARIABLE: &str = "THRONG_KILL_AT";

/// Every point, in the order of the program's work.
pub const POINTS: [&str; 31] = [
    // A checkpoint of the stream.
    "checkpoint.run_written",
    "checkpoint.snapshot_written",
    "flush.segments_written",
    "flush.before_commit",
    "flush.committed",
    "checkpoint.flushed",
    "checkpoint.released",
    // Upkeep of the event store: compaction, and retention, which rewrites or drops segments in the same steps.
    "upkeep.segment_written",
    "upkeep.before_commit",
    "upkeep.committed",
    "upkeep.file_deleted",
    // A segment goes to object storage, in steps of upkeep, and an object that nobody needs is deleted there.
    "tier.written_down",
    "tier.uploaded",
    "tier.verified",
    "tier.committed",
    "tier.object_deleted",
    // A person's deletion; its segments are rewritten in the steps of upkeep.
    "deletion.before_commit",
    "deletion.committed",
    "deletion.recounted",
    "deletion.finished",
    // Inside every transaction of the manifest, flush and upkeep alike.
    "manifest.in_transaction",
    // A merge of dedupe runs.
    "dedupe.merged",
    // A backup.
    "backup.pinned",
    "backup.file_copied",
    "backup.before_sign_off",
    "backup.signed_off",
    "backup.cleaned",
    // A restore.
    "restore.begun",
    "restore.file_copied",
    "restore.before_end",
    "restore.ended",
];

/// Where this process dies.
struct Armed {
    point: &'static str,
    /// Times the point is still passed.
    passes_left: AtomicU64,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

/// Reads the variable; call it once at the start.
///
/// # Errors
/// A message when the variable names no point.
pub fn arm() -> Result<(), String> {
    let wanted = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let armed = wanted.as_deref().map(parse).transpose()?;
    ARMED.get_or_init(|| armed);
    Ok(())
}

/// The point at which this process will die.
pub fn armed() -> Option<&'static str> {
    ARMED.get()?.as_ref().map(|armed| armed.point)
}

/// Dies here when the process was told to.
pub fn reach(point: &'static str) {
    debug_assert!(POINTS.contains(&point), "{point} is not in the list of points");
    if let Some(Some(armed)) = ARMED.get()
        && armed.point == point
        && armed.passes_left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}

fn parse(text: &str) -> Result<Armed, String> {
    let (name, count) = text.split_once(':').unwrap_or((text, "1"));
    let point = POINTS.into_iter().find(|point| *point == name);
    let point = point.ok_or_else(|| format!("{VARIABLE}: {name:?} is no point; use one of {}", POINTS.join(", ")))?;
    let count = count.parse().ok().filter(|count| *count > 0);
    let count = count.ok_or_else(|| format!("{VARIABLE}: after the colon stands a count from 1"))?;
    Ok(Armed { point, passes_left: AtomicU64::new(count) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_counts() {
        let armed = parse("flush.committed:3").map(|armed| (armed.point, armed.passes_left.into_inner()));
        assert_eq!(armed, Ok(("flush.committed", 3)));
        assert!(parse("flush.committed").is_ok_and(|armed| armed.passes_left.into_inner() == 1));
        assert!(parse("flush.never").is_err() && parse("flush.committed:0").is_err() && parse("flush.committed:x").is_err());
    }

    #[test]
    fn an_unarmed_point_is_passed() {
        POINTS.into_iter().for_each(reach);
    }
}
