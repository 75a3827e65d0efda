use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

/// Which server to speak to.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    /// Address of the server
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:7070", env = "THRONG_URL")]
    pub(crate) url: String,
}

/// The app that a command reads, and the key for it.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReadTarget {
    #[command(flatten)]
    server: Target,
    /// Read key of the app
    #[arg(long, value_name = "KEY", env = "THRONG_READ_KEY", hide_env_values = true)]
    read_key: String,
    /// Id of the app
    #[arg(long, value_name = "APP_ID", env = "THRONG_APP")]
    app: String,
}

impl ReadTarget {
    /// A client that waits for an answer at most so long.
    pub(crate) fn client(&self, timeout: Duration) -> Result<HttpClient> {
        HttpClient::new(&self.server, &self.read_key, timeout)
    }

    /// A client for answers that take as long as they are large.
    pub(crate) fn download_client(&self) -> Result<HttpClient> {
        HttpClient::for_downloads(&self.server, &self.read_key)
    }

    /// The path of a call about the app.
    pub(crate) fn path(&self, call: &str) -> String {
        format!("/api/v1/analytics/{}/{call}", self.app)
    }
}

/// The write key of a command, or where to give one.
pub(crate) fn write_key(given: Option<&str>) -> Result<&str> {
    given.context("there is no write key: give it with --write-key, or in the variable THRONG_WRITE_KEY")
}

/// A blocking client of the public API with keep-alive.
#[derive(Clone)]
pub(crate) struct HttpClient {
    agent: ureq::Agent,
    base: String,
    key: String,
}

/// A status and the body as JSON, or as a string where it is not.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// How long the server asks to wait before the next attempt.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Value,
}

impl Answer {
    /// Code and message of the error form, for people.
    pub(crate) fn error_text(&self) -> String {
        let error = &self.body["error"];
        match (error["code"].as_str(), error["message"].as_str()) {
            (Some(code), Some(message)) => match error["field"].as_str() {
                Some(field) => format!("{code} at {field}: {message}"),
                None => format!("{code}: {message}"),
            },
            _ => format!("status {} {}", self.status, self.body),
        }
    }
}

/// An answer that may be larger than memory.
pub(crate) struct Download {
    response: ureq::http::Response<ureq::Body>,
}

impl Download {
    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// What comes; ends with an error where the connection ends before the answer does.
    pub(crate) fn body(&mut self) -> impl Read + '_ {
        self.response.body_mut().as_reader()
    }
}

/// Time for the head of an answer that is then as long as it takes.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);

impl HttpClient {
    /// A client for answers of any length: only their beginning has a time limit.
    pub(crate) fn for_downloads(target: &Target, key: &str) -> Result<Self> {
        let config = ureq::Agent::config_builder().timeout_connect(Some(HEAD_TIMEOUT)).timeout_recv_response(Some(HEAD_TIMEOUT));
        Self::with(target, key, config.http_status_as_error(false).build())
    }

    /// A client that sends `key` with every request and gives up on one after `timeout`.
    pub(crate) fn new(target: &Target, key: &str, timeout: Duration) -> Result<Self> {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout));
        Self::with(target, key, config.build())
    }

    fn with(target: &Target, key: &str, config: ureq::config::Config) -> Result<Self> {
        let base = target.url.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            bail!("--url must begin with http:// or https://, not {base:?}");
        }
        Ok(Self { agent: config.into(), base, key: key.to_owned() })
    }

    /// Where the server is.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends JSON.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<Answer> {
        self.read(self.send(path, body))
    }

    /// Sends JSON and leaves the answer to be read.
    ///
    /// # Errors
    /// Those of the connection, and every status but 200.
    pub(crate) fn download(&self, path: &str, body: &[u8]) -> Result<Download> {
        let sent = self.send(path, body);
        match sent {
            Ok(response) if response.status().as_u16() == 200 => Ok(Download { response }),
            other => bail!("{}", self.read(other)?.error_text()),
        }
    }

    fn send(&self, path: &str, body: &[u8]) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let request = self.agent.post(format!("{}{path}", self.base));
        request.header("authorization", format!("Bearer {}", self.key)).header("content-type", "application/json").send(body)
    }

    /// Puts JSON.
    pub(crate) fn put(&self, path: &str, body: &[u8]) -> Result<Answer> {
        let request = self.agent.put(format!("{}{path}", self.base));
        self.read(request.header("authorization", format!("Bearer {}", self.key)).header("content-type", "application/json").send(body))
    }

    /// Reads.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        let request = self.agent.get(format!("{}{path}", self.base));
        self.read(request.header("authorization", format!("Bearer {}", self.key)).call())
    }

    /// Deletes.
    pub(crate) fn delete(&self, path: &str) -> Result<Answer> {
        let request = self.agent.delete(format!("{}{path}", self.base));
        self.read(request.header("authorization", format!("Bearer {}", self.key)).call())
    }

    fn read(&self, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer> {
        const MAX_ANSWER_BYTES: u64 = 1 << 30;
        let mut response = response.with_context(|| format!("{} does not answer", self.base))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let text = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_string();
        let text = text.with_context(|| format!("{} broke off its answer", self.base))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body })
    }
}
