use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::{AppAccess, KeyLookup, WriteKeys};
use metadata_store::{KeyHash, KeyKind, KeyOwner, MetadataStore};
use quick_cache::sync::Cache;

/// A key that was found is believed this long: the delay of a revocation.
const FOUND_TTL: Duration = Duration::from_secs(5);
/// A key that was not found is refused this long: the delay of a new key that was tried too early.
const MISSING_TTL: Duration = Duration::from_secs(1);
/// Keys remembered; the least used are forgotten first, so unknown keys cannot push out those in use.
const MAX_CACHED_KEYS: usize = 200_000;

/// The keys as the gateway and the API ask for them, kept in memory by hash.
///
/// When the metadata store does not answer, what is remembered goes on being believed: ingestion of known keys does not stop.
pub(crate) struct KeyCache {
    store: Arc<dyn MetadataStore>,
    cache: Cache<KeyHash, Remembered>,
}

#[derive(Clone)]
struct Remembered {
    owner: Option<Arc<KeyOwner>>,
    since: Instant,
}

impl Remembered {
    fn is_fresh(&self) -> bool {
        let ttl = if self.owner.is_some() { FOUND_TTL } else { MISSING_TTL };
        self.since.elapsed() < ttl
    }
}

impl KeyCache {
    pub(crate) fn new(store: Arc<dyn MetadataStore>) -> Self {
        Self { store, cache: Cache::new(MAX_CACHED_KEYS) }
    }

    fn find(&self, key: &str) -> Result<Option<Arc<KeyOwner>>, String> {
        let Some(hash) = KeyHash::of(key) else { return Ok(None) };
        let remembered = self.cache.get(&hash);
        if let Some(fresh) = remembered.as_ref().filter(|remembered| remembered.is_fresh()) {
            return Ok(fresh.owner.clone());
        }
        match without_blocking_others(|| self.store.find_key(&hash)) {
            Ok(owner) => {
                let owner = owner.map(Arc::new);
                self.cache.insert(hash, Remembered { owner: owner.clone(), since: Instant::now() });
                Ok(owner)
            }
            Err(error) => match remembered.and_then(|remembered| remembered.owner) {
                Some(owner) => {
                    tracing::warn!(%error, app = %owner.app.id, "a key could not be checked again, the last answer still holds");
                    Ok(Some(owner))
                }
                None => Err(error.to_string()),
            },
        }
    }
}

/// A look-up is quick but may wait for the disk; the runtime then moves the other tasks of this thread away.
fn without_blocking_others<T>(look_up: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => tokio::task::block_in_place(look_up),
        _ => look_up(),
    }
}

impl WriteKeys for KeyCache {
    fn look_up(&self, key: &str) -> Result<KeyLookup, gateway::KeysUnavailable> {
        let owner = self.find(key).map_err(gateway::KeysUnavailable)?;
        Ok(match owner {
            None => KeyLookup::Unknown,
            Some(owner) if owner.kind != KeyKind::Write => KeyLookup::NotWrite,
            Some(owner) => KeyLookup::Write(AppAccess { app: owner.app.id.clone(), raw_retention_ms: owner.app.raw_retention_ms() }),
        })
    }
}

impl api::ReadKeys for KeyCache {
    fn owner(&self, key: &str) -> Result<Option<Arc<KeyOwner>>, api::KeysUnavailable> {
        self.find(key).map_err(api::KeysUnavailable)
    }
}

#[cfg(test)]
mod tests {
    use api::ReadKeys;
    use event::AppId;
    use metadata_store::{App, NewKey, SecretKey, SqliteMetadataStore};

    use super::*;

    struct World {
        cache: KeyCache,
        store: Arc<SqliteMetadataStore>,
        folder: tempfile::TempDir,
        app: App,
    }

    fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteMetadataStore::open(&folder.path().join("m.sqlite"), 0).unwrap());
        let app = App::new(AppId::new("APP-1").unwrap(), "Shop", 0);
        store.create_app(&app, &[]).unwrap();
        World { cache: KeyCache::new(Arc::clone(&store) as Arc<dyn MetadataStore>), store, folder, app }
    }

    fn add(world: &World, kind: KeyKind) -> (SecretKey, String) {
        let secret = SecretKey::generate(kind, &mut rand::rng());
        let key = NewKey::of(&secret, &world.app.id, kind, 0);
        world.store.add_key(&key).unwrap();
        (secret, key.id)
    }

    #[test]
    fn each_side_sees_its_kind() {
        let world = world();
        let (write, _) = add(&world, KeyKind::Write);
        let (read, _) = add(&world, KeyKind::Read);
        let access = AppAccess { app: world.app.id.clone(), raw_retention_ms: Some(730 * 86_400_000) };
        assert_eq!(world.cache.look_up(write.as_str()), Ok(KeyLookup::Write(access)));
        assert_eq!(world.cache.look_up(read.as_str()), Ok(KeyLookup::NotWrite));
        assert_eq!(world.cache.look_up("wk_x"), Ok(KeyLookup::Unknown));
        assert_eq!(world.cache.owner(read.as_str()).unwrap().unwrap().kind, KeyKind::Read);
        let never_stored = SecretKey::generate(KeyKind::Write, &mut rand::rng());
        assert_eq!(world.cache.owner(never_stored.as_str()), Ok(None));
    }

    #[test]
    fn a_new_key_and_a_revoked_one_are_noticed_in_time() {
        let world = world();
        let late = SecretKey::generate(KeyKind::Read, &mut rand::rng());
        assert_eq!(world.cache.owner(late.as_str()), Ok(None));
        let key = NewKey::of(&late, &world.app.id, KeyKind::Read, 0);
        world.store.add_key(&key).unwrap();
        assert_eq!(world.cache.owner(late.as_str()), Ok(None), "remembered as unknown for a moment");
        std::thread::sleep(MISSING_TTL);
        assert!(world.cache.owner(late.as_str()).unwrap().is_some());
        world.store.revoke_key(&key.id, 1).unwrap();
        assert!(world.cache.owner(late.as_str()).unwrap().is_some(), "remembered as known for a moment");
        std::thread::sleep(FOUND_TTL);
        assert_eq!(world.cache.owner(late.as_str()), Ok(None));
    }

    #[test]
    fn a_known_key_outlives_the_store() {
        let world = world();
        let (write, _) = add(&world, KeyKind::Write);
        let (unseen, _) = add(&world, KeyKind::Write);
        world.cache.look_up(write.as_str()).unwrap();
        let raw = rusqlite::Connection::open(world.folder.path().join("m.sqlite")).unwrap();
        raw.execute_batch("ALTER TABLE keys RENAME TO lost").unwrap();
        std::thread::sleep(FOUND_TTL);
        assert!(matches!(world.cache.look_up(write.as_str()), Ok(KeyLookup::Write(_))));
        assert!(world.cache.look_up(unseen.as_str()).is_err());
    }
}
