//! The built program as a process: started, asked, told to stop.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot start its server has failed")]

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

pub fn throng(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_throng")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An app and its keys.
#[derive(Clone)]
pub struct TestApp {
    pub id: String,
    pub write_key: String,
    pub read_key: String,
}

/// A server of a test; dropping it kills the process.
pub struct Server {
    pub address: SocketAddr,
    pub folder: TempDir,
    child: Option<Child>,
}

impl Server {
    /// Starts on an empty folder and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        let mut server = Self { address: free_address(), folder: TempDir::new().unwrap(), child: None };
        server.restart(arguments);
        server
    }

    pub fn restart(&mut self, arguments: &[&str]) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log.txt")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_throng"))
            .args(["serve", "--data", self.data().to_str().unwrap(), "--listen", &self.address.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let started = Instant::now();
        while self.send("GET", "/ready", "", None).is_none_or(|(status, _)| status != 200) {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && started.elapsed() < Duration::from_secs(20), "not ready, {ended:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log.txt")).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    #[allow(unsafe_code, reason = "sending a signal to a child by pid has no safe call in std")]
    pub fn terminate(&self) {
        // SAFETY: kill(2) has no memory effects; the pid is our own child, not yet waited for.
        unsafe { libc::kill(self.pid() as i32, libc::SIGTERM) };
    }

    /// Ends the process as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Waits for the end of a process that was told to end, `limit` at most.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if started.elapsed() > limit {
                child.kill().unwrap();
                panic!("the process did not end within {limit:?}: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs a command on this server's data folder.
    pub fn command(&self, arguments: &[&str]) -> Output {
        throng(&[arguments, &["--data", self.data().to_str().unwrap()]].concat())
    }

    pub fn create_app(&self, options: &[&str]) -> TestApp {
        let output = self.command(&[&["app", "create", "Shop"], options].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        let field = |name: &str| made[name].as_str().unwrap().to_owned();
        TestApp { id: field("app_id"), write_key: field("write_key"), read_key: field("read_key") }
    }

    /// Status and JSON, or `None` when there was no answer.
    pub fn send(&self, method: &str, path: &str, key: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        send(self.address, method, path, key, body)
    }

    pub fn ask(&self, app: &TestApp, call: &str, request: &Value) -> Value {
        let path = format!("/api/v1/analytics/{}/{call}", app.id);
        let (status, answer) = self.send("POST", &path, &app.read_key, Some(request)).unwrap();
        assert_eq!(status, 200, "{call} {request}: {answer}");
        answer
    }

    /// Stored events of all time.
    pub fn count(&self, app: &TestApp) -> u64 {
        // A range of its own each time passes the result cache.
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let to = format!("2100-01-01T00:00:00.{:03}Z", CALLS.fetch_add(1, Ordering::Relaxed) % 1000);
        let answer = self.ask(app, "query", &json!({"metric": "events", "from": "1990-01-01T00:00:00Z", "to": to}));
        answer["results"][0]["events"].as_u64().unwrap()
    }

    /// Waits until this many events are stored.
    pub fn wait_for_count(&self, app: &TestApp, wanted: u64) {
        let started = Instant::now();
        loop {
            let count = self.count(app);
            if count == wanted {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(15), "{count} events are stored, not {wanted}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of the server:\n{}", self.log());
        }
    }
}

pub fn send(address: SocketAddr, method: &str, path: &str, key: &str, body: Option<&Value>) -> Option<(u16, Value)> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30))).build().into();
    let url = format!("http://{address}{path}");
    let bearer = format!("Bearer {key}");
    let response = match (method, body) {
        ("POST", body) => agent.post(url).header("authorization", bearer).send(body.unwrap_or(&Value::Null).to_string()),
        _ => agent.get(url).header("authorization", bearer).call(),
    };
    let mut response = response.ok()?;
    let text = response.body_mut().read_to_string().ok()?;
    Some((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

pub fn write(folder: &Path, name: &str, content: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}
