//! The SQLite store under the contract of every metadata store, and what is its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its store has failed")]

use metadata_store::{
    Account, Accounts, DefinitionKind, Definitions, Email, Members, MetadataError, MetadataStore, PasswordHash, Role, SqliteMetadataStore,
    contract,
};
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
fn keys_rotate_and_know_their_last_use() {
    let folder = TempDir::new().unwrap();
    contract::keys_rotate_and_know_their_last_use(|| open(&folder)).unwrap();
}

#[test]
fn set_up_happens_once() {
    let folder = TempDir::new().unwrap();
    contract::set_up_happens_once(|| open(&folder)).unwrap();
}

#[test]
fn accounts_log_in() {
    let folder = TempDir::new().unwrap();
    contract::accounts_log_in(|| open(&folder)).unwrap();
}

#[test]
fn roles_open_apps() {
    let folder = TempDir::new().unwrap();
    contract::roles_open_apps(|| open(&folder)).unwrap();
}

#[test]
fn invitations_are_used_once() {
    let folder = TempDir::new().unwrap();
    contract::invitations_are_used_once(|| open(&folder)).unwrap();
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

/// Written by the version that knew no accounts: an app with a key of each kind, a funnel, and one key that was revoked.
const FORMAT_2: &[u8] = include_bytes!("fixtures/format-2.sqlite");

#[test]
fn the_format_before_accounts_is_read_with_everything_in_it() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("metadata.sqlite"), FORMAT_2).unwrap();
    let store = open(&folder);
    let apps = store.apps().unwrap();
    assert_eq!(apps.len(), 1);
    assert_eq!((apps[0].name.as_str(), apps[0].timezone.as_str(), apps[0].raw_retention_days), ("Shop", "Europe/Berlin", Some(365)));
    let keys = store.keys(&apps[0].id).unwrap();
    let kinds: Vec<_> = keys.iter().map(|key| (key.kind.as_str(), key.revoked_at_ms.is_some(), key.last_used_at_ms)).collect();
    assert_eq!(kinds, [("write", false, None), ("read", false, None), ("admin", false, None), ("read", true, None)]);
    let funnels = store.definitions(&apps[0].id, DefinitionKind::Funnel).unwrap();
    assert_eq!(funnels.iter().map(|funnel| funnel.name.as_str()).collect::<Vec<_>>(), ["Checkout"]);
    assert!(!store.set_up_done().unwrap());
    let ann = Account::new(Email::new("ann@example.org").unwrap(), "Ann", 1, &mut rand::rng());
    store.create_first_account(&ann, PasswordHash::of_nobody()).unwrap();
    assert_eq!(store.apps_of(&ann.id).unwrap(), [(apps[0].clone(), Role::Owner)], "the first account owns what is there");
}

#[test]
fn a_later_format_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    open(&folder);
    let path = folder.path().join("metadata.sqlite");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("INSERT INTO migrations VALUES (99, 0)", []).unwrap();
    let refused = SqliteMetadataStore::open(&path, 0).err();
    assert_eq!(refused, Some(MetadataError::Newer { found: 99, known: 3 }));
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("metadata.sqlite");
    std::fs::write(&path, "not a database, but long enough to be looked at as one").unwrap();
    let refused = SqliteMetadataStore::open(&path, 0).err().unwrap().to_string();
    assert!(refused.contains("metadata.sqlite") && refused.contains("not a database"), "{refused}");
}
