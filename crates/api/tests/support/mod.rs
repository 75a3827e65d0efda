//! A running API with the real embedded parts behind it, two apps with keys and events, and a client that speaks plain HTTP.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot set up its server has failed")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use api::{ApiOptions, ApiParts, ApiState, KeysUnavailable, Operations, ReadKeys, StoredCohorts, StoredMetrics};
use event::{AppId, EventBatchBuilder, EventFields, PropertyValue};
use event_store::{AppendedBatch, Commit, EventSink, EventSource, Ledger, PersonDeletions};
use event_store_parquet::{ParquetStore, ParquetStoreOptions};
use metadata_store::{
    Account, Accounts, App, Email, KeyHash, KeyKind, KeyOwner, Logins, Members, MetadataStore, NewKey, NewLogin, PasswordHash, Role,
    SecretKey, SecretToken, SqliteMetadataStore, TokenKind,
};
use query::{QueryOptions, QueryService};
use realtime_store::{MemoryRealtimeStore, RealtimeStore};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Name, user, properties.
pub type TestEvent<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// An app of the test.
pub struct TestApp {
    pub id: String,
    pub write_key: String,
    pub read_key: String,
    pub admin_key: String,
}

/// A server and what is behind it. Dropping it stops the server.
pub struct Running {
    pub address: SocketAddr,
    pub ours: TestApp,
    pub theirs: TestApp,
    pub store: Arc<ParquetStore>,
    pub realtime: Arc<MemoryRealtimeStore>,
    pub keys: Arc<TestKeys>,
    pub metadata: Arc<SqliteMetadataStore>,
    /// Makes the first account.
    pub set_up_token: String,
    pub shutdown: CancellationToken,
    state: ApiState,
    runtime: tokio::runtime::Runtime,
    folder: TempDir,
}

/// Looks every key up, and can be told to fail.
pub struct TestKeys {
    store: Arc<SqliteMetadataStore>,
    pub unavailable: AtomicBool,
    pub panics: AtomicBool,
}

impl ReadKeys for TestKeys {
    fn owner(&self, key: &str) -> Result<Option<Arc<KeyOwner>>, KeysUnavailable> {
        assert!(!self.panics.load(Ordering::Relaxed), "told to panic with a \"quoted\" secret");
        if self.unavailable.load(Ordering::Relaxed) {
            return Err(KeysUnavailable("told to fail".to_owned()));
        }
        let Some(hash) = KeyHash::of(key) else { return Ok(None) };
        Ok(self.store.find_key(&hash, now_ms()).unwrap().map(Arc::new))
    }

    fn forget(&self) {}
}

/// The password of every account of the tests, hashed once: that takes its time by design.
pub const PASSWORD: &str = "four words of mine";

pub fn password() -> &'static PasswordHash {
    static HASH: OnceLock<PasswordHash> = OnceLock::new();
    HASH.get_or_init(|| PasswordHash::of(PASSWORD).unwrap())
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

impl Running {
    pub fn start() -> Self {
        Self::start_with(&ApiOptions::default())
    }

    pub fn start_with(options: &ApiOptions) -> Self {
        let folder = TempDir::new().unwrap();
        let metadata = Arc::new(SqliteMetadataStore::open(&folder.path().join("metadata.sqlite"), 0).unwrap());
        let (ours, theirs) = (make_app(&metadata, "ours"), make_app(&metadata, "theirs"));
        let store = ParquetStore::open(&folder.path().join("store"), ParquetStoreOptions::default(), Arc::new(|_: &AppId| None)).unwrap();
        let realtime = Arc::new(MemoryRealtimeStore::default());
        let keys = Arc::new(TestKeys { store: metadata.clone(), unavailable: AtomicBool::new(false), panics: AtomicBool::new(false) });
        let set_up = SecretToken::generate(TokenKind::SetUp, &mut rand::rng());
        let shutdown = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let registry = prometheus::Registry::new();
        let source = Arc::clone(&store) as Arc<dyn EventSource>;
        let parts = ApiParts {
            queries: Arc::new(
                QueryService::new(source, QueryOptions::default())
                    .with_cohorts(Arc::new(StoredCohorts::new(metadata.clone())))
                    .with_metrics(Arc::new(StoredMetrics::new(metadata.clone()))),
            ),
            realtime: Arc::clone(&realtime) as Arc<dyn RealtimeStore>,
            ledger: Arc::clone(&store) as Arc<dyn Ledger>,
            deletions: Arc::clone(&store) as Arc<dyn PersonDeletions>,
            definitions: metadata.clone(),
            metadata: metadata.clone(),
            accounts: metadata.clone(),
            set_up: Some(set_up.hash()),
            // As a proxy that is trusted would say it: tests come from addresses of their choice.
            client_address: Arc::new(|head| head.headers.get("x-forwarded-for")?.to_str().ok()?.parse().ok()),
            keys: Arc::clone(&keys) as Arc<dyn ReadKeys>,
            now_ms,
            process: 7,
            shutdown: shutdown.clone(),
        };
        let state = ApiState::new(parts, options, &registry).unwrap();
        let operations = Operations { registry, not_ready: Arc::new(Vec::new) };
        let router = api::router(state.clone()).merge(api::operations_router(operations));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = shutdown.clone();
        runtime.spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await });
        let set_up_token = set_up.as_str().to_owned();
        Self { address, ours, theirs, store, realtime, keys, metadata, set_up_token, shutdown, state, runtime, folder }
    }

    /// An account with [`PASSWORD`], and a role on our app if one is given.
    pub fn account(&self, name: &str, role: Option<Role>) -> Account {
        let email = Email::new(&format!("{name}@example.org")).unwrap();
        let account = Account { administrator: name == "administrator", ..Account::new(email, name, now_ms(), &mut rand::rng()) };
        self.metadata.create_account(&account, password()).unwrap();
        if let Some(role) = role {
            self.metadata.set_role(&AppId::new(&self.ours.id).unwrap(), &account.id, role, now_ms()).unwrap();
        }
        account
    }

    /// The cookie of a new login of the account.
    pub fn cookie(&self, account: &Account) -> String {
        let token = SecretToken::generate(TokenKind::Login, &mut rand::rng());
        let login = NewLogin { hash: token.hash(), account: account.id.clone(), now_ms: now_ms(), agent: "test".to_owned() };
        self.metadata.begin_login(&login).unwrap();
        format!("__Host-throng={}", token.as_str())
    }

    /// Stores events of an app at this moment.
    pub fn store_events(&self, app: &TestApp, events: &[TestEvent<'_>]) {
        let mut builder = EventBatchBuilder::default();
        builder.start(now_ms());
        for (name, user, properties) in events {
            for (key, value) in *properties {
                builder.property(key, PropertyValue::Str(value));
            }
            let time_ms = now_ms() - 1_000;
            let fields = EventFields {
                name,
                time_ms,
                client_time_ms: time_ms,
                user_id: Some(user),
                anonymous_id: None,
                insert_id: None,
                session_id: None,
            };
            builder.finish_event(&fields);
        }
        let batch = AppendedBatch { batch: builder.build(&AppId::new(&app.id).unwrap()), duplicates: Vec::new() };
        self.store.append(Commit { batches: vec![batch], end: 1 }).unwrap();
    }

    /// Where the store and the definitions are.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Puts live windows as the stream does.
    pub fn put_cells(&self, cells: Vec<(realtime_store::CellKey, Arc<realtime_store::Cell>)>) {
        self.runtime.block_on(self.realtime.put(cells, now_ms())).unwrap();
    }

    pub fn client(&self) -> Client {
        Client { address: self.address }
    }

    /// Stops the server and waits for its live tasks.
    pub fn stop(&self) {
        self.shutdown.cancel();
        let closed = async { tokio::time::timeout(Duration::from_secs(5), self.state.closed()).await };
        self.runtime.block_on(closed).expect("live tasks end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn make_app(store: &SqliteMetadataStore, id: &str) -> TestApp {
    let app = App::new(AppId::new(id).unwrap(), id, 0);
    let secrets = KeyKind::ALL.map(|kind| (kind, SecretKey::generate(kind, &mut rand::rng())));
    let keys: Vec<NewKey> = secrets.iter().map(|(kind, secret)| NewKey::of(secret, &app.id, *kind, 0)).collect();
    store.create_app(&app, &keys).unwrap();
    let [write_key, read_key, admin_key] = secrets.map(|(_, secret)| secret.as_str().to_owned());
    TestApp { id: id.to_owned(), write_key, read_key, admin_key }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// One request a connection; the body goes with any method.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
}

impl Client {
    pub fn send(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> Answer {
        let bearer = key.map(|key| format!("Bearer {key}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|value| ("authorization", value.as_str())).collect();
        self.send_with(method, path, &headers, body)
    }

    pub fn send_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = self.open(method, path, headers, body);
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, text) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {method} {path}: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Answer { status, headers: headers.collect(), text: text.to_owned() }
    }

    /// Sends a request and leaves the answer to be read.
    pub fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: throng\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
        // A refused request may be answered and closed before all of its body is sent.
        let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
        stream
    }

    /// As a page of this site sends it.
    pub fn as_page(&self, method: &str, path: &str, cookie: &str, body: &Value) -> Answer {
        let headers = [("cookie", cookie), ("sec-fetch-site", "same-origin"), ("content-type", "application/json")];
        self.send_with(method, path, &headers, &body.to_string())
    }

    pub fn get(&self, path: &str, key: &str) -> Answer {
        self.send("GET", path, Some(key), "")
    }

    pub fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(key), &body.to_string())
    }
}
