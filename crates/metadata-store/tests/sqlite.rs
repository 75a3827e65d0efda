//! The SQLite store under the contract of every metadata store, and what is its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its store has failed")]

use metadata_store::{MetadataError, MetadataStore, SqliteMetadataStore, contract};
use tempfile::TempDir;

fn open(folder: &TempDir) -> SqliteMetadataStore {
    SqliteMetadataStore::open(&folder.path().join("metadata.sqlite"), 0).unwrap()
}

#[test]
fn apps_are_kept() {
    let folder = TempDir::new().unwrap();
    contract::apps_are_kept(|| open(&folder)).unwrap();
}

#[test]
fn keys_open_their_app() {
    let folder = TempDir::new().unwrap();
    contract::keys_open_their_app(|| open(&folder)).unwrap();
}

#[test]
fn definitions_have_versions() {
    let folder = TempDir::new().unwrap();
    contract::definitions_have_versions(|| open(&folder)).unwrap();
}

#[test]
fn writers_wait_for_each_other() {
    let folder = TempDir::new().unwrap();
    contract::writers_wait_for_each_other(|| open(&folder)).unwrap();
}

#[test]
fn many_processes_may_create_it_at_once() {
    let folder = TempDir::new().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| open(&folder).apps().unwrap());
        }
    });
}

#[test]
fn a_later_format_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    open(&folder);
    let path = folder.path().join("metadata.sqlite");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("INSERT INTO migrations VALUES (99, 0)", []).unwrap();
    let refused = SqliteMetadataStore::open(&path, 0).err();
    assert_eq!(refused, Some(MetadataError::Newer { found: 99, known: 2 }));
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("metadata.sqlite");
    std::fs::write(&path, "not a database, but long enough to be looked at as one").unwrap();
    let refused = SqliteMetadataStore::open(&path, 0).err().unwrap().to_string();
    assert!(refused.contains("metadata.sqlite") && refused.contains("not a database"), "{refused}");
}
