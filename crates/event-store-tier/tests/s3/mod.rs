//! The `moto` server, a separate process that speaks S3 over HTTP.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The bucket it has.
pub const BUCKET: &str = "old-events";
const START: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills the process.
pub struct S3 {
    child: Child,
    port: u16,
}

impl S3 {
    /// `None`, and a loud word, where it is not installed; `MOTO_SERVER` names the program where it is not on the path.
    pub fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = std::env::var("MOTO_SERVER").unwrap_or_else(|_| "moto_server".to_owned());
        let mut server = Command::new(&program);
        server.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = match server.spawn() {
            Ok(child) => child,
            Err(error) => {
                // Past the test's captured output, so that whoever runs the tests sees it.
                let _ = writeln!(
                    std::io::stderr(),
                    "SKIPPED: S3 is not tested: {program} does not start ({error}); see .ci/s3-requirements.txt"
                );
                return None;
            }
        };
        let mut s3 = Self { child, port };
        let started = Instant::now();
        while TcpStream::connect(s3.address()).is_err() {
            if let Some(status) = s3.child.try_wait().unwrap() {
                panic!("{program} ended with {status}");
            }
            assert!(started.elapsed() < START, "{program} does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        s3.make_bucket();
        Some(s3)
    }

    fn make_bucket(&self) {
        let mut connection = TcpStream::connect(self.address()).unwrap();
        let host = self.address();
        write!(connection, "PUT /{BUCKET} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What a process needs to find it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let set = [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address())),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ];
        set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
