use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{App, Client};

const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// The folder of recorded data sets with known answers, or `None` where it is not beside the checkout.
pub fn data_sets() -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let beside = checkout.join("../shared/data");
    let folder = std::env::var_os("THRONG_TEST_DATA").map_or(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// A `throng serve` process of a test. Dropping it kills the process.
pub struct Throng {
    child: Option<Child>,
    address: SocketAddr,
    folder: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Where the next process dies by itself; see the crate `kill-point`.
    kill_at: Option<String>,
}

impl Throng {
    /// Path of the program: `THRONG_BIN`, else beside the running test in the target folder.
    pub fn program() -> Result<PathBuf> {
        if let Some(path) = std::env::var_os("THRONG_BIN") {
            return Ok(PathBuf::from(path));
        }
        let this = std::env::current_exe()?;
        let candidates = this.ancestors().skip(1).take(3).map(|folder| folder.join("throng"));
        candidates.into_iter().find(|path| path.is_file()).context("build the program first: cargo build --release --workspace --bins")
    }

    /// Starts a server on an empty temporary folder; `arguments` come after `serve`.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_in(TempDir::new()?, arguments)
    }

    /// As [`Throng::start`], with these variables in the environment of the process at each start, and of every command beside it.
    pub fn start_with(arguments: &[&str], environment: Vec<(String, String)>) -> Result<Self> {
        Self::begin(TempDir::new()?, arguments, environment)
    }

    /// Starts a server on the folder `data` in `folder`.
    pub fn start_in(folder: TempDir, arguments: &[&str]) -> Result<Self> {
        Self::begin(folder, arguments, Vec::new())
    }

    fn begin(folder: TempDir, arguments: &[&str], environment: Vec<(String, String)>) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = Self { child: None, address, folder, arguments, environment, kill_at: None };
        server.restart()?;
        Ok(server)
    }

    /// The next processes die by themselves at this point, or, with `None`, not any more.
    pub fn arm(&mut self, point: Option<&str>) {
        self.kill_at = point.map(str::to_owned);
    }

    /// Starts the process again on the same folder and port, without waiting for anything.
    pub fn spawn(&mut self) -> Result<()> {
        self.kill()?;
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let child = Command::new(Self::program()?)
            .envs(self.kill_at.iter().map(|point| ("THRONG_KILL_AT", point)))
            .arg("serve")
            .args(["--data", &self.data().display().to_string(), "--listen", &self.address.to_string()])
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until the process has died by itself, as it was told to by [`Throng::arm`].
    pub fn wait_for_death(&mut self, limit: Duration) -> Result<()> {
        let child = self.child.as_mut().context("not running")?;
        let started = Instant::now();
        loop {
            match child.try_wait()? {
                Some(status) if status.signal() == Some(libc::SIGABRT) => break,
                Some(status) => bail!("throng ended with {status}, not at {:?}:\n{}", self.kill_at, self.log()),
                None if started.elapsed() > limit => bail!("throng never came to {:?}", self.kill_at),
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        self.child = None;
        Ok(())
    }

    /// Starts the process again on the same folder and port, and returns how long it took to be ready.
    pub fn restart(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.spawn()?;
        while Client::new(self.address).get("/ready").map(|(status, _)| status).unwrap_or(0) != 200 {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                bail!("throng ended at start with {status}:\n{}", self.log());
            }
            if started.elapsed() > READY_TIMEOUT {
                bail!("throng was not ready after {READY_TIMEOUT:?}:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(started.elapsed())
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// `kill -9` of a process that somebody else is talking to: does not wait for its end.
    pub fn signal_kill(&self) -> Result<()> {
        self.signal_pid(self.child.as_ref().context("not running")?.id(), libc::SIGKILL);
        Ok(())
    }

    /// Bounds the address space of the running process, as `ulimit -v` does: an allocation beyond it fails.
    pub fn limit_address_space(&self, bytes: u64) -> Result<()> {
        let pid = self.child.as_ref().context("not running")?.id();
        let pid = rustix::process::Pid::from_raw(pid as i32).context("a pid")?;
        let limit = rustix::process::Rlimit { current: Some(bytes), maximum: Some(bytes) };
        rustix::process::prlimit(Some(pid), rustix::process::Resource::As, limit)?;
        Ok(())
    }

    /// Whether the process is alive.
    pub fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Sends SIGTERM, waits for the end, and returns how long it took and whether the exit code was 0.
    pub fn terminate(&mut self) -> Result<(Duration, bool)> {
        let mut child = self.child.take().context("not running")?;
        let started = Instant::now();
        self.signal_pid(child.id(), libc::SIGTERM);
        let status = child.wait()?;
        Ok((started.elapsed(), status.success()))
    }

    #[allow(unsafe_code, reason = "sending a signal to a child by pid has no safe call in std")]
    fn signal_pid(&self, pid: u32, signal: i32) {
        // SAFETY: kill(2) has no memory effects; the pid is our own child, not yet waited for.
        unsafe { libc::kill(pid as i32, signal) };
    }

    /// Runs `throng` with these arguments beside the server, adding `--data`, whatever becomes of it.
    pub fn try_command(&self, arguments: &[&str], kill_at: Option<&str>) -> Result<Output> {
        let mut command = Command::new(Self::program()?);
        command.envs(kill_at.iter().map(|point| ("THRONG_KILL_AT", point))).envs(self.environment.iter().cloned());
        command.args(arguments).arg("--data").arg(self.data());
        Ok(command.stdin(Stdio::null()).output()?)
    }

    /// `throng check --json`: fails unless it finds no problem.
    pub fn check(&self) -> Result<Value> {
        self.check_with(&[])
    }

    /// As [`Throng::check`], with more arguments.
    pub fn check_with(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.try_command(&[&["check", "--json"], arguments].concat(), None)?;
        let checked: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
        if !output.status.success() || checked["problems"] != 0 {
            bail!("{checked:#}");
        }
        Ok(checked)
    }

    /// Runs `throng` with these arguments beside the server, adding `--data`, and returns its standard output.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        let output = self.try_command(arguments, None)?;
        if !output.status.success() {
            bail!("throng {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Makes an app through the command line, as a person does.
    pub fn create_app(&self, name: &str, options: &[&str]) -> Result<App> {
        let mut arguments = vec!["app", "create", name];
        arguments.extend(options);
        App::from_json(&self.command(&arguments)?)
    }

    /// A client of this server.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log.txt")
    }

    /// Everything the process printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// User and system seconds the process has used.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let pid = self.child.as_ref().context("not running")?.id();
        cpu_seconds_of(pid)
    }

    /// Address space in use, bytes.
    pub fn address_space_bytes(&self) -> Result<u64> {
        self.status_bytes("VmSize:")
    }

    /// Resident memory now and at its highest, bytes.
    pub fn memory_bytes(&self) -> Result<(u64, u64)> {
        Ok((self.status_bytes("VmRSS:")?, self.status_bytes("VmHWM:")?))
    }

    /// A line of `/proc/PID/status` that is in kilobytes.
    fn status_bytes(&self, key: &str) -> Result<u64> {
        let pid = self.child.as_ref().context("not running")?.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0);
        Ok(kilobytes * 1024)
    }
}

/// User and system seconds of a process: fields 14 and 15 of `/proc/PID/stat` (proc(5)), in ticks of 10 ms.
pub fn cpu_seconds_of(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("proc stat")?.1;
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / 100.0)
}

impl Drop for Throng {
    fn drop(&mut self) {
        let killed = self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of throng ({killed:?}):\n{}", self.log());
        }
    }
}
