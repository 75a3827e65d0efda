use super::world::{BASE_MS, DAY_MS, PlainEvent, commit, context, files, keep_forever, open, open_with, rows};
use crate::options::ParquetStoreOptions;
use crate::store::ParquetStore;
use event::AppId;
use event_store::{EventSink, EventSource, EventsPlan, Filter, Scan, StoreError};
use std::path::Path;
use std::sync::Arc;

/// Two days, a segment each.
fn two_days(dir: &Path) -> Arc<ParquetStore> {
    let store = open(dir);
    let day = |day: i64| {
        (0..500)
            .map(move |i| PlainEvent::new("A", "a", BASE_MS + day * DAY_MS + i, &format!("U{i}")).with("p", format!("v{}", i * 77).into()))
    };
    store.append(commit(&day(0).chain(day(1)).collect::<Vec<_>>(), 1)).unwrap();
    store.flush().unwrap();
    store
}

/// Rows that come out, and what is said to be missing.
fn read(store: &ParquetStore) -> (usize, Vec<String>) {
    let scan = Scan { app: AppId::new("A").unwrap(), from_ms: BASE_MS, to_ms: BASE_MS + 2 * DAY_MS, events: None, filter: Filter::all() };
    let page = store.events(&EventsPlan { scan, limit: 10_000, skip: 0 }, &context()).unwrap();
    (page.rows.len(), page.stats.missing)
}

#[test]
fn a_damaged_segment_is_left_out_and_named_wherever_the_damage_is() {
    let dir = tempfile::tempdir().unwrap();
    drop(two_days(dir.path()));
    let path = files(dir.path())[0].clone();
    let good = std::fs::read(&path).unwrap();
    let mut variants: Vec<Vec<u8>> = (0..good.len()).step_by(good.len() / 40).map(|at| flipped(&good, at)).collect();
    variants.push(flipped(&good, good.len() - 1));
    variants.push(good[..good.len() - 1].to_vec());
    variants.push(Vec::new());
    variants.push([&good[..], b"more"].concat());
    for bad in variants {
        std::fs::write(&path, bad).unwrap();
        let store = open(dir.path());
        let (rows, missing) = read(&store);
        assert_eq!((rows, missing.len()), (500, 1));
        assert!(missing[0].contains("date=2026-01-01/"), "{missing:?}");
        // The verdict stays, upkeep leaves the file alone, a recount refuses to lose what it cannot read.
        assert_eq!(read(&store).1, missing);
        super::world::maintain_all(&store, BASE_MS + 9 * DAY_MS);
        assert!(path.exists());
        assert!(matches!(store.rebuild_rollups(&AppId::new("A").unwrap()), Err(StoreError::Damaged(_))));
        assert!(super::world::findings(dir.path()).iter().any(|finding| finding.kind == "segment"));
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read(&open(dir.path())).1.len(), 1);
    std::fs::write(&path, good).unwrap();
    assert_eq!(read(&open(dir.path())), (1_000, Vec::new()));
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 0x10;
    bytes
}

/// A hostile file that the manifest vouches for: the parser's own errors and panics end at the file.
#[test]
fn a_file_that_parses_wrongly_is_damage_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    drop(two_days(dir.path()));
    let path = files(dir.path())[0].clone();
    let good = std::fs::read(&path).unwrap();
    for at in (4..good.len()).step_by(good.len() / 150) {
        let bad = flipped(&good, at);
        std::fs::write(&path, &bad).unwrap();
        let hashes: Vec<u8> =
            bad.chunks(crate::segment::BLOCK_BYTES).flat_map(|block| xxhash_rust::xxh3::xxh3_64(block).to_le_bytes()).collect();
        let manifest = rusqlite::Connection::open(dir.path().join(crate::manifest::FILE)).unwrap();
        manifest.execute("UPDATE segments SET block_hashes = ?1 WHERE path LIKE 'date=2026-01-01/%'", [hashes]).unwrap();
        drop(manifest);
        let store = open_with(dir.path(), ParquetStoreOptions::default(), keep_forever()).unwrap();
        let (rows, missing) = read(&store);
        assert!(rows >= 500 && missing.len() <= 1, "{at}: {rows} {missing:?}");
    }
}

#[test]
fn control_without_damage_nothing_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let store = two_days(dir.path());
    assert_eq!(read(&store), (1_000, Vec::new()));
    assert_eq!(rows(&store, &["A"]).len(), 1_000);
}

#[test]
fn a_segment_that_cannot_be_read_for_a_while_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    drop(two_days(dir.path()));
    let path = files(dir.path())[0].clone();
    let aside = dir.path().join("aside");
    let store = open(dir.path());
    // A link to itself cannot be opened, and is no sign that the file is lost.
    std::fs::rename(&path, &aside).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let (rows, missing) = read(&store);
    assert_eq!((rows, missing.len()), (500, 1));
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(read(&store), (1_000, Vec::new()));
}

#[test]
fn segments_without_their_manifest_are_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    drop(two_days(dir.path()));
    let before = files(dir.path());
    let lost: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    lost.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let opened = ParquetStore::open(dir.path(), ParquetStoreOptions::default(), keep_forever());
    assert!(matches!(opened, Err(StoreError::Damaged(_))));
    assert_eq!(files(dir.path()), before, "nothing of it was deleted");
}
