//! A gateway on a real socket, and a client that sends exactly the bytes it is told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use event::{AppId, EventBatch};
use event_log::{EventLog, MemoryLog};
use gateway::{AppAccess, Gateway, GatewayOptions, GeoIp, KeyLookup, KeysUnavailable, ServeOptions, WriteKeys, serve};
use prometheus::Registry;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const RETENTION_MS: i64 = 730 * 86_400_000;

/// The keys of two apps: `wk_1` writes to APP-1, `wk_2` to APP-2, which keeps everything; `rk_1` reads; `wk_down` cannot be looked up.
struct Keys(HashMap<&'static str, KeyLookup>);

impl WriteKeys for Keys {
    fn look_up(&self, key: &str) -> Result<KeyLookup, KeysUnavailable> {
        if key == "wk_down" {
            return Err(KeysUnavailable("the store of keys is away".into()));
        }
        Ok(self.0.get(key).cloned().unwrap_or(KeyLookup::Unknown))
    }
}

fn keys() -> Arc<dyn WriteKeys> {
    let write = |app: &str, raw_retention_ms| KeyLookup::Write(AppAccess { app: AppId::new(app).unwrap(), raw_retention_ms });
    let known = [("wk_1", write("APP-1", Some(RETENTION_MS))), ("wk_2", write("APP-2", None)), ("rk_1", KeyLookup::NotWrite)];
    Arc::new(Keys(known.into()))
}

pub struct Server {
    pub address: SocketAddr,
    pub log: Arc<dyn EventLog>,
    pub registry: Registry,
    pub shutdown: CancellationToken,
    pub serving: JoinHandle<std::io::Result<()>>,
}

/// How a server differs from the default.
#[derive(Default)]
pub struct Setting {
    pub gateway: GatewayOptions,
    pub serve: ServeOptions,
    pub geo: Option<GeoIp>,
    pub log: Option<Arc<dyn EventLog>>,
}

impl Server {
    pub async fn start(setting: Setting) -> Self {
        let log = setting.log.unwrap_or_else(|| Arc::new(MemoryLog::default()));
        let registry = Registry::new();
        let gateway = Gateway::new(Arc::clone(&log), keys(), setting.geo, &registry, setting.gateway).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, Arc::new(gateway).router(), shutdown.clone(), setting.serve));
        Self { address, log, registry, shutdown, serving }
    }

    pub async fn connect(&self) -> Connection {
        Connection { stream: TcpStream::connect(self.address).await.unwrap(), read: Vec::new() }
    }

    /// Sends a batch with the key `wk_1` on a connection of its own.
    pub async fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        self.ask(&Ask::batch(body)).await
    }

    pub async fn ask(&self, ask: &Ask) -> Answer {
        let mut connection = self.connect().await;
        connection.send(&ask.bytes()).await;
        connection.answer().await.expect("an answer")
    }

    /// All batches in the log.
    pub async fn kept(&self) -> Vec<EventBatch> {
        let mut reader = self.log.read_from(0).unwrap();
        let mut batches = Vec::new();
        while (batches.len() as u64) < self.log.end() {
            let records = reader.next(1 << 20).await.unwrap();
            batches.extend(records.iter().map(|record| EventBatch::decode(&record.payload).unwrap()));
        }
        batches
    }

    /// The value of a counter or gauge with this label value, or without labels for `""`.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap_or_else(|| panic!("no metric {name}"));
        let metric = family.get_metric().iter().find(|metric| match metric.get_label().first() {
            Some(pair) => pair.value() == label,
            None => label.is_empty(),
        });
        metric.map_or(0.0, |metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
    }
}

/// A request.
pub struct Ask {
    pub method: &'static str,
    pub target: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Ask {
    /// A batch for APP-1.
    pub fn batch(body: impl AsRef<[u8]>) -> Self {
        Self::keyless(body).header("authorization", "Bearer wk_1")
    }

    /// A batch without a key in its head.
    pub fn keyless(body: impl AsRef<[u8]>) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { method: "POST", target: "/api/v1/events/batch".into(), headers, body: body.as_ref().to_vec() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub fn to(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\nhost: throng\r\ncontent-length: {}\r\n", self.method, self.target, self.body.len());
        self.headers.iter().for_each(|(name, value)| bytes.push_str(&format!("{name}: {value}\r\n")));
        [bytes.as_bytes(), b"\r\n", &self.body].concat()
    }
}

pub struct Connection {
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub async fn send(&mut self, bytes: &[u8]) {
        // A server that has refused already may have closed its side.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next answer, or `None` when the server closed the connection without one.
    pub async fn answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(Duration::from_secs(20), self.read_answer()).await.expect("an answer or an end within 20 s")
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        loop {
            if let Some((answer, end)) = Answer::parse(&self.read) {
                self.read.drain(..end);
                return Some(answer);
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece).await {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.read.extend_from_slice(&piece[..length]),
            }
        }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Self { status, head, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = bytes.get(head_end..head_end + length)?.to_vec();
        Some((answer, head_end + length))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Checks that this is an error in the API's form and gives its code.
    pub fn error_code(&self) -> String {
        let json = self.json();
        let error = json["error"].as_object().unwrap_or_else(|| panic!("no error in {json}"));
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{json}");
        assert!(error["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{json}");
        assert_eq!(self.header("access-control-allow-origin"), Some("*"));
        error["code"].as_str().unwrap().to_owned()
    }
}
