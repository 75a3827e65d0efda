use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// An app and its keys, as `throng app create` prints them.
#[derive(Clone, Debug)]
pub struct App {
    /// Its id.
    pub id: String,
    /// Appends events.
    pub write_key: String,
    /// Asks.
    pub read_key: String,
}

impl App {
    /// Reads the output of `throng app create`.
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).with_context(|| text.to_owned())?;
        let field = |name: &str| value[name].as_str().map(str::to_owned).with_context(|| format!("{name} in {text}"));
        Ok(Self { id: field("app_id")?, write_key: field("write_key")?, read_key: field("read_key")? })
    }
}

/// Speaks the public API; every answer is `(status, JSON or null)`.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    agent: ureq::Agent,
}

impl Client {
    /// A client with keep-alive and a timeout of 60 s.
    pub fn new(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60))).build();
        Self { address, agent: config.into() }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// GET without a key.
    pub fn get(&self, path: &str) -> Result<(u16, Value)> {
        answer(self.agent.get(self.url(path)).call())
    }

    /// GET with a key.
    pub fn get_with_key(&self, path: &str, key: &str) -> Result<(u16, Value)> {
        answer(self.agent.get(self.url(path)).header("authorization", format!("Bearer {key}")).call())
    }

    /// DELETE with a key.
    pub fn delete(&self, path: &str, key: &str) -> Result<(u16, Value)> {
        answer(self.agent.delete(self.url(path)).header("authorization", format!("Bearer {key}")).call())
    }

    /// POST of JSON with a key.
    pub fn post(&self, path: &str, key: &str, body: &Value) -> Result<(u16, Value)> {
        self.post_bytes(path, key, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// POST of any bytes.
    pub fn post_bytes(&self, path: &str, key: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(u16, Value)> {
        let mut request = self.agent.post(self.url(path)).header("authorization", format!("Bearer {key}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.send(body))
    }

    /// Sends events and returns the answer; fails unless all were accepted.
    pub fn send(&self, app: &App, events: &[Value]) -> Result<()> {
        for chunk in events.chunks(2_000) {
            let (status, body) = self.post("/api/v1/events/batch", &app.write_key, &json!({ "events": chunk }))?;
            if status != 200 || body["accepted"].as_u64() != Some(chunk.len() as u64) {
                bail!("{status}: {body}");
            }
        }
        Ok(())
    }

    /// Asks one of the analytics calls and fails unless it answers 200.
    pub fn ask(&self, app: &App, call: &str, request: &Value) -> Result<Value> {
        let path = format!("/api/v1/analytics/{}/{call}", app.id);
        let (status, body) = self.post(&path, &app.read_key, request)?;
        if status != 200 {
            bail!("{call} {request}: {status} {body}");
        }
        Ok(body)
    }

    /// A metric without labels, as `/metrics` tells it now.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let (status, text) = self.get("/metrics")?;
        let text = text.as_str().with_context(|| format!("{status}: /metrics"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.with_context(|| format!("no metric {name}"))?.trim().parse().with_context(|| name.to_owned())
    }

    /// The number of stored events of all time.
    pub fn count_events(&self, app: &App) -> Result<u64> {
        let answer = self.ask(app, "query", &json!({ "metric": "events", "from": "1990-01-01", "to": "2100-01-01" }))?;
        answer["results"][0]["events"].as_u64().with_context(|| answer.to_string())
    }

    /// Waits until that many events are stored; fails after 60 s. The result cache is passed by a range that changes.
    pub fn wait_for_events(&self, app: &App, wanted: u64) -> Result<()> {
        let started = Instant::now();
        let mut seen = 0;
        for round in 0u64.. {
            let to = format!("2100-01-01T00:00:{:02}.{:03}Z", round / 1000 % 60, round % 1000);
            let request = json!({ "metric": "events", "from": "1990-01-01T00:00:00Z", "to": to });
            seen = self.ask(app, "query", &request)?["results"][0]["events"].as_u64().unwrap_or(0);
            if seen == wanted {
                return Ok(());
            }
            if started.elapsed() > Duration::from_secs(60) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{seen} events are stored after 60 s, expected {wanted}")
    }
}

fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<(u16, Value)> {
    let mut response = response?;
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}
