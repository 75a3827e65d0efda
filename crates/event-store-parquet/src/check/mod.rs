//! `throng check`: is everything that the manifest names there, whole, in order, and counted right?
//!
//! A check reads; it opens no store, deletes nothing, and so works beside the process that serves the folder. Whatever has to agree is
//! read of one moment: the segments with their accounts at the beginning, each day's rollups with that day's segments. A segment
//! that upkeep has replaced meanwhile is no finding; the next look at the manifest has its successor. Segments in object storage are read
//! from there, never from the server's copies of them.

mod finding;
mod links;
mod objects;
mod recount;
mod segment;
mod strays;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use event_store::StoreError;

pub use finding::{CheckStep, Finding};

use crate::deletion::Tombstones;
use crate::ledger::LEDGER_KEPT_MS;
use crate::manifest::{Manifest, SegmentCover, StoredDeletion};
use crate::options::ParquetStoreOptions;
use crate::part::Part;
use crate::segment::{AppRows, OpenSegments, Segment, SegmentInfo};
use crate::tier::{CACHE_FOLDER, Tier, TierCache, TierError, TierOptions};
use objects::{OutOfReach, Unverified};
use recount::Recount;

/// Findings of one kind that are told one by one; the rest of them are counted.
const MAX_TOLD: usize = 20;
/// Minutes of the ledger that are about to be deleted by upkeep may be gone in part.
const LEDGER_EDGE_MS: i64 = 2 * 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// What the caller knows.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// True while another process serves the folder: files that it is just writing are no findings.
    pub served: bool,
    /// The wall clock, ms.
    pub now_ms: i64,
    /// Where segments in object storage are read. Copies of them pass through the disk within its bound, beside those of the server.
    pub tier: Option<TierOptions>,
    /// Links that an app may have: [`ParquetStoreOptions::max_links`].
    pub max_links: usize,
}

/// What a check looked at. What it found was reported on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckSummary {
    /// Segments read from first to last byte.
    pub segments: usize,
    /// Those of them that are in object storage.
    pub tiered: usize,
    /// Rows in them.
    pub rows: u64,
    /// Apps whose rollups were counted again.
    pub apps: usize,
    /// Log offset up to which the store has everything.
    pub position: u64,
}

/// Verifies the store in `dir`: the manifest, length, hashes, order, run index and times of every segment, files and objects that nobody
/// names, the ledger's sums, and every rollup and every link between ids of which the raw events are still there against a recount. Reports findings and progress.
///
/// # Errors
/// [`StoreError`] when the manifest cannot be read at all; damage to anything else is a finding.
pub fn check_store(dir: &Path, options: &CheckOptions, report: &mut dyn FnMut(CheckStep)) -> Result<CheckSummary, StoreError> {
    // Files first, then who names them: a file made in between is not taken for one that nobody names.
    let files = strays::list(dir)?;
    let manifest = Manifest::open_to_read(dir)?;
    let cache = |tier: &TierOptions| TierCache::passing(&dir.join(CACHE_FOLDER), tier.max_cache_bytes);
    let tier = options.tier.clone().map(|tier| Arc::new(Tier::new(tier.clone(), cache(&tier))));
    let out_of_reach = OutOfReach::default();
    let mut check = StoreCheck { dir: Arc::from(dir), manifest, tier, segments: Vec::new(), out_of_reach, report };
    check.database()?;
    let counted_from_ms = (options.now_ms - LEDGER_KEPT_MS + LEDGER_EDGE_MS).div_euclid(MINUTE_MS) * MINUTE_MS;
    let moment = check.manifest.at_one_moment(|| Moment::read(&check.manifest, counted_from_ms))?;
    strays::check(&mut check, &files, &moment.segments, options)?;
    (check.report)(CheckStep::Total { bytes: moment.segments.infos.iter().map(|info| info.bytes).sum() });
    check.segments = check.parts(moment.segments);
    let mut summary = CheckSummary { position: moment.position, ..CheckSummary::default() };
    let tombstones = Tombstones::of(&moment.deletions);
    links::check(&mut check, &tombstones)?;
    let counted = check.all_segments(counted_from_ms, &tombstones, &mut summary)?;
    let deleted_from: BTreeSet<Arc<str>> = moment.deletions.iter().map(|deletion| deletion.mark.app.clone()).collect();
    check.accounts(&moment.stored, &counted, &deleted_from)?;
    summary.apps = Recount::new(&mut check, options.max_links).run()?;
    objects::tell_out_of_reach(&mut check)?;
    objects::check_strays(&mut check)?;
    Ok(summary)
}

/// The apps that have ever stored an event in the store in `dir`, ascending, at most `limit`. Reads the manifest only.
///
/// # Errors
/// [`StoreError`] when there is none or it cannot be read.
pub fn stored_apps(dir: &Path, limit: usize) -> Result<Vec<String>, StoreError> {
    Manifest::open_to_read(dir)?.apps(limit)
}

/// What the manifest says at the beginning, all of one moment.
struct Moment {
    segments: NamedSegments,
    /// Events that the accounts call stored, by app.
    stored: Vec<(Arc<str>, u64)>,
    deletions: Vec<StoredDeletion>,
    position: u64,
}

impl Moment {
    fn read(manifest: &Manifest, counted_from_ms: i64) -> Result<Self, StoreError> {
        Ok(Self {
            segments: NamedSegments::read(manifest)?,
            stored: manifest.stored_since(counted_from_ms)?,
            deletions: manifest.deletions_if_any(false)?,
            position: manifest.position()?,
        })
    }
}

/// The live segments, which of their rows are hidden, and which are in what object.
struct NamedSegments {
    infos: Vec<SegmentInfo>,
    covers: HashMap<u64, SegmentCover>,
    objects: HashMap<u64, Arc<str>>,
}

impl NamedSegments {
    fn read(manifest: &Manifest) -> Result<Self, StoreError> {
        Ok(Self { infos: manifest.segments()?, covers: manifest.covers_if_any()?, objects: manifest.tiered_if_any()? })
    }
}

/// A check under way.
pub(crate) struct StoreCheck<'r> {
    dir: Arc<Path>,
    manifest: Manifest,
    tier: Option<Arc<Tier>>,
    /// The segments of the moment at which the manifest was read last.
    segments: Vec<Arc<Part>>,
    out_of_reach: OutOfReach,
    report: &'r mut dyn FnMut(CheckStep),
}

/// Rows received since the accounts are complete, by app.
type ReceivedRows = BTreeMap<Arc<str>, u64>;

/// Rows received since the accounts are complete, by app, and the segments that could not be read: of their apps not all are counted.
#[derive(Default)]
struct CountedRows {
    by_app: ReceivedRows,
    unknown: Vec<SegmentInfo>,
}

impl CountedRows {
    fn is_unknown(&self, app: &str) -> bool {
        self.unknown.iter().any(|info| info.may_hold(app, i64::MIN, i64::MAX))
    }
}

impl StoreCheck<'_> {
    fn find(&mut self, finding: Finding) {
        (self.report)(CheckStep::Found(finding));
    }

    /// The parts of these segments, opened by this check alone.
    fn parts(&self, named: NamedSegments) -> Vec<Arc<Part>> {
        let NamedSegments { infos, mut covers, mut objects } = named;
        let options = ParquetStoreOptions::default();
        let open = Arc::new(OpenSegments::new(options.max_footer_bytes, options.max_open_files));
        let part = |info: SegmentInfo| {
            let cover = covers.remove(&info.id).unwrap_or_default();
            let segment = match objects.remove(&info.id) {
                Some(object) => Segment::tiered(info, self.dir.clone(), open.clone(), self.tier.clone(), object),
                None => Segment::new(info, self.dir.clone(), open.clone()),
            };
            Arc::new(Part::Segment(segment.covered(cover.hidden, cover.unsearched)))
        };
        infos.into_iter().map(part).collect()
    }

    /// True for a segment of which nothing can be known; takes note of one that came to object storage since the segments were read.
    fn is_out_of_reach(&mut self, part: &Part) -> bool {
        if let Part::Segment(segment) = part
            && segment.is_tiered()
            && self.tier.is_none()
        {
            self.out_of_reach.add(segment.info(), TierError::NotConfigured.to_string());
        }
        self.out_of_reach.has(part)
    }

    fn database(&mut self) -> Result<(), StoreError> {
        let lines = self.manifest.integrity_findings()?;
        let place = self.dir.join(crate::manifest::FILE);
        for line in lines {
            self.find(Finding::damaged_manifest(&place, line));
        }
        let minutes = self.manifest.unbalanced_minutes(MAX_TOLD)?;
        for minute in minutes {
            self.find(Finding::unbalanced(&place, &minute));
        }
        let lost = self.manifest.lost()?;
        for lost in lost.iter().rev().take(MAX_TOLD) {
            self.find(Finding::lost(lost));
        }
        Ok(())
    }

    fn all_segments(
        &mut self,
        counted_from_ms: i64,
        tombstones: &Tombstones,
        summary: &mut CheckSummary,
    ) -> Result<CountedRows, StoreError> {
        let mut counted = CountedRows::default();
        for part in self.segments.clone() {
            let Part::Segment(segment) = &*part else { continue };
            let info = segment.info();
            let listed = self.manifest.apps_of(info.id)?;
            let verified = match objects::verify(segment, &listed, counted_from_ms, tombstones) {
                Ok(received) => Some(received),
                // In its object by now, or replaced: the manifest tells.
                Err(unverified) => self.verify_moved(segment, &listed, counted_from_ms, tombstones, unverified)?,
            };
            match verified {
                Some(received) => {
                    summary.segments += 1;
                    summary.tiered += usize::from(segment.is_tiered());
                    summary.rows += info.rows;
                    received.into_iter().for_each(|(app, rows)| *counted.by_app.entry(app).or_default() += rows);
                }
                None => counted.unknown.push(info.clone()),
            }
            (self.report)(CheckStep::Done { bytes: info.bytes });
        }
        Ok(counted)
    }

    /// What a segment that failed means: another look where it has moved to object storage meanwhile, nothing where it was replaced, else
    /// a finding.
    fn verify_moved(
        &mut self,
        segment: &Segment,
        listed: &[AppRows],
        counted_from_ms: i64,
        tombstones: &Tombstones,
        unverified: Unverified,
    ) -> Result<Option<ReceivedRows>, StoreError> {
        let mut unverified = unverified;
        let info = segment.info();
        match self.manifest.place_of(info)? {
            None => return Ok(None),
            Some(Some(object)) if segment.object() != Some(&object) => {
                let open = Arc::new(OpenSegments::new(0, 1));
                let moved = Segment::tiered(info.clone(), self.dir.clone(), open, self.tier.clone(), object);
                let moved = moved.covered(segment.hidden().clone(), segment.is_unsearched());
                match objects::verify(&moved, listed, counted_from_ms, tombstones) {
                    Ok(received) => return Ok(Some(received)),
                    Err(reason) => unverified = reason,
                }
            }
            Some(_) => {}
        }
        match unverified {
            Unverified::OutOfReach(reason) => self.out_of_reach.add(info, reason),
            Unverified::Lost { object, reason } => self.find(Finding::object(info, &object, listed, reason)),
            Unverified::Wrong(reason) => self.find(Finding::segment(info, listed, reason)),
        }
        Ok(None)
    }

    /// Compares the rows received since the accounts are complete with what they call stored.
    fn accounts(&mut self, stored: &[(Arc<str>, u64)], counted: &CountedRows, deleted_from: &BTreeSet<Arc<str>>) -> Result<(), StoreError> {
        let mut stored: BTreeMap<Arc<str>, u64> = stored.iter().cloned().collect();
        for app in counted.by_app.keys() {
            stored.entry(app.clone()).or_default();
        }
        for (app, booked) in stored.into_iter().filter(|(app, _)| !counted.is_unknown(app)) {
            let rows = counted.by_app.get(&app).copied().unwrap_or_default();
            // Rows that retention or a person's deletion took away are still in the accounts.
            let may_lack = self.manifest.raw_floor(&app)? > i64::MIN || deleted_from.contains(&app);
            if rows > booked || (rows < booked && !may_lack) {
                self.find(Finding::accounts(&app, rows, booked));
            }
        }
        Ok(())
    }
}
