//! 20-event batches over loopback to the durable answer, beside a bare server that only reads the bodies.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::load::{Load, Outcome, run as send};
use e2e::{Throng, cpu_seconds_of};

use crate::report::{Table, machine, milliseconds, publish, thousands};

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(10);

struct Measured {
    name: &'static str,
    outcome: Outcome,
    cpu_seconds: f64,
}

impl Measured {
    fn events_per_cpu_second(&self) -> f64 {
        self.outcome.events as f64 / self.cpu_seconds
    }
}

/// The reading-only server; dropping it kills it.
struct BareServer(Child);

impl BareServer {
    fn start() -> Result<(Self, SocketAddr)> {
        let program = std::env::current_exe()?.with_file_name("bare-server");
        let mut child = Command::new(program).stderr(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stderr.take().context("stderr")?).read_line(&mut line)?;
        Ok((Self(child), line.trim().parse()?))
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        // Nothing is left to do about a process that is already gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn load(address: SocketAddr, key: &str, duration: Duration) -> Load {
    let path = "/api/v1/events/batch".to_owned();
    Load { address, path, key: key.to_owned(), connections: CONNECTIONS, batch_events: 20, duration, events_per_second: None }
}

fn measure(name: &'static str, address: SocketAddr, key: &str, cpu: impl Fn() -> Result<f64>) -> Result<Measured> {
    send(&load(address, key, WARM_UP))?;
    let before = cpu()?;
    let outcome = send(&load(address, key, MEASURED))?;
    Ok(Measured { name, outcome, cpu_seconds: cpu()? - before })
}

fn measure_throng(name: &'static str, arguments: &[&str]) -> Result<Measured> {
    let server = Throng::start(arguments)?;
    let app = server.create_app("bench", &[])?;
    measure(name, server.address(), &app.write_key, || server.cpu_seconds())
}

/// Runs the three servers one after the other and publishes the table.
pub fn run() -> Result<()> {
    let bare = {
        let (server, address) = BareServer::start()?;
        measure("bare server, reads bodies only", address, "none", || cpu_seconds_of(server.0.id()))?
    };
    let durable = measure_throng("throng, to the durable answer (`--roles gateway`)", &["--roles", "gateway"])?;
    let whole = measure_throng("throng, whole pipeline (live windows and store beside it)", &[])?;
    let mut table = Table::new(&[
        "server",
        "events/s",
        "events per CPU second",
        "of bare",
        "p50 of the answer",
        "p99",
        "refused",
        "body bytes an event",
    ]);
    for one in [&bare, &durable, &whole] {
        table.row(&[
            one.name.to_owned(),
            thousands(one.outcome.events as f64 / one.outcome.seconds),
            thousands(one.events_per_cpu_second()),
            format!("{:.2}", one.events_per_cpu_second() / bare.events_per_cpu_second()),
            milliseconds(one.outcome.quantile(0.5)),
            milliseconds(one.outcome.quantile(0.99)),
            thousands(one.outcome.refused as f64),
            thousands(one.outcome.body_bytes as f64 / one.outcome.events.max(1) as f64),
        ]);
    }
    let words = format!(
        "20-event batches, {CONNECTIONS} connections, {} s after {} s of warm-up; {}. CPU is the server's own user and system time.",
        MEASURED.as_secs(),
        WARM_UP.as_secs(),
        machine()
    );
    publish("Ingestion", &words, &table)
}
