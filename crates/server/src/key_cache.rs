use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use event::TimestampMs;
use gateway::{AppAccess, KeyLookup, WriteKeys};
use metadata_store::{KeyHash, KeyKind, KeyOwner, MetadataStore};
use quick_cache::sync::Cache;
use tokio_util::sync::CancellationToken;

use crate::app::now_ms;

/// A key that was found is believed this long: the delay of a revocation.
const FOUND_TTL: Duration = Duration::from_secs(5);
/// A key that was not found is refused this long: the delay of a new key that was tried too early.
const MISSING_TTL: Duration = Duration::from_secs(1);
/// Keys remembered; the least used are forgotten first, so unknown keys cannot push out those in use.
const MAX_CACHED_KEYS: usize = 200_000;
/// How exactly it is known when a key was last used: one that is in use is written once in that time.
const USE_RESOLUTION_MS: i64 = 3_600_000;
/// Uses are written together, this long after the first of them at the latest.
const USE_WRITE_INTERVAL: Duration = Duration::from_secs(5);
/// Uses that wait to be written; further ones are noted when the key is looked up again.
const MAX_WAITING_USES: usize = 10_000;

/// The keys as the gateway and the API ask for them, kept in memory by hash.
///
/// When the metadata store does not answer, what is remembered goes on being believed: ingestion of known keys does not stop.
pub(crate) struct KeyCache {
    store: Arc<dyn MetadataStore>,
    cache: Cache<KeyHash, Remembered>,
    /// Uses to be written: the hour of each.
    uses: Mutex<HashMap<KeyHash, TimestampMs>>,
}

#[derive(Clone)]
struct Remembered {
    owner: Option<Arc<KeyOwner>>,
    since: Instant,
    /// The hour that was noted last as its use.
    used_ms: Option<TimestampMs>,
}

impl Remembered {
    fn is_fresh(&self) -> bool {
        let ttl = if self.owner.is_some() { FOUND_TTL } else { MISSING_TTL };
        self.since.elapsed() < ttl
    }
}

impl KeyCache {
    pub(crate) fn new(store: Arc<dyn MetadataStore>) -> Self {
        Self { store, cache: Cache::new(MAX_CACHED_KEYS), uses: Mutex::default() }
    }

    fn find(&self, key: &str) -> Result<Option<Arc<KeyOwner>>, String> {
        let Some(hash) = KeyHash::of(key) else { return Ok(None) };
        let remembered = self.cache.get(&hash);
        if let Some(fresh) = remembered.as_ref().filter(|remembered| remembered.is_fresh()) {
            return Ok(fresh.owner.clone());
        }
        let now_ms = now_ms();
        match without_blocking_others(|| self.store.find_key(&hash, now_ms)) {
            Ok(owner) => {
                let owner = owner.map(Arc::new);
                let used_ms = owner.as_ref().and_then(|_| self.note_used(hash, remembered.and_then(|known| known.used_ms), now_ms));
                self.cache.insert(hash, Remembered { owner: owner.clone(), since: Instant::now(), used_ms });
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

impl KeyCache {
    /// Notes that a key was used, once an hour; returns the hour that is noted.
    fn note_used(&self, hash: KeyHash, noted_ms: Option<TimestampMs>, now_ms: TimestampMs) -> Option<TimestampMs> {
        let hour_ms = now_ms - now_ms.rem_euclid(USE_RESOLUTION_MS);
        if noted_ms == Some(hour_ms) {
            return noted_ms;
        }
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() >= MAX_WAITING_USES {
            return noted_ms;
        }
        uses.insert(hash, hour_ms);
        Some(hour_ms)
    }

    /// Writes when keys were last used, until `stopping` is cancelled and once more.
    pub(crate) async fn write_uses(self: Arc<Self>, stopping: CancellationToken) {
        while stopping.run_until_cancelled(tokio::time::sleep(USE_WRITE_INTERVAL)).await.is_some() {
            self.write_waiting_uses().await;
        }
        self.write_waiting_uses().await;
    }

    async fn write_waiting_uses(self: &Arc<Self>) {
        let waiting = std::mem::take(&mut *self.uses.lock().unwrap_or_else(PoisonError::into_inner));
        if waiting.is_empty() {
            return;
        }
        let store = Arc::clone(&self.store);
        let uses: Vec<_> = waiting.into_iter().collect();
        let written = tokio::task::spawn_blocking(move || store.note_keys_used(&uses).map_err(|error| error.to_string())).await;
        if let Err(error) = written.map_err(|error| error.to_string()).and_then(|written| written) {
            tracing::warn!(error, "when keys were last used could not be written");
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

    fn forget(&self) {
        self.cache.clear();
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
    fn what_was_changed_through_the_api_is_noticed_at_once() {
        let world = world();
        let (read, id) = add(&world, KeyKind::Read);
        assert!(world.cache.owner(read.as_str()).unwrap().is_some());
        world.store.revoke_key(&id, 1).unwrap();
        world.cache.forget();
        assert_eq!(world.cache.owner(read.as_str()), Ok(None));
    }

    #[test]
    fn the_last_use_is_written_once_an_hour() {
        let world = world();
        let (read, id) = add(&world, KeyKind::Read);
        let (_, unused) = add(&world, KeyKind::Read);
        world.cache.owner(read.as_str()).unwrap();
        let cache = Arc::new(world.cache);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stopping = CancellationToken::new();
        stopping.cancel();
        runtime.block_on(Arc::clone(&cache).write_uses(stopping));
        let hour = now_ms() / USE_RESOLUTION_MS * USE_RESOLUTION_MS;
        let used: Vec<_> = world.store.keys(&world.app.id).unwrap().into_iter().map(|key| (key.id, key.last_used_at_ms)).collect();
        assert!(used.contains(&(id, Some(hour))) && used.contains(&(unused, None)), "{used:?}");
        let hash = read.hash();
        assert_eq!(cache.note_used(hash, Some(hour), hour + 1), Some(hour));
        assert!(cache.uses.lock().unwrap().is_empty(), "nothing to write in the same hour");
        assert_eq!(cache.note_used(hash, Some(hour), hour + USE_RESOLUTION_MS), Some(hour + USE_RESOLUTION_MS));
        assert_eq!(cache.uses.lock().unwrap().len(), 1);
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
