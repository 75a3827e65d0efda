use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use gateway::ServeOptions;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;
/// Open files beside connections: segments, log files, databases.
const OTHER_FILES: u64 = 4_096;
/// Served in any case.
const MIN_CONNECTIONS: usize = 64;

/// Listens on `address`. Accepted sockets inherit the options set here.
pub(super) fn bind(address: SocketAddr, peer_timeout_ms: u32) -> Result<TcpListener> {
    let bound = || -> std::io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for connections of the process before it.
        socket.set_reuse_address(true)?;
        // Unacknowledged data, and a window that stays closed, end a connection after this time.
        socket.set_tcp_user_timeout(Some(Duration::from_millis(u64::from(peer_timeout_ms))))?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bound().with_context(|| format!("cannot listen on {address}"))
}

/// Raises this process' limit of open files as far as needed (many shells allow 1,024 where the system allows far more), and returns
/// how many connections fit under it, `wanted` at most.
pub(super) fn connections_within_limit(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let files = wanted as u64 + OTHER_FILES;
    let reachable = limit.maximum.map_or(files, |maximum| files.min(maximum));
    let mut current = limit.current.unwrap_or(u64::MAX);
    if current < reachable && setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum: limit.maximum }).is_ok() {
        current = reachable;
    }
    let connections = usize::try_from(current.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).clamp(MIN_CONNECTIONS.min(wanted), wanted);
    if matters(connections, wanted) {
        tracing::warn!(
            "at most {connections} clients can be connected at once, since the system allows this process {current} open files: \
             start it after `ulimit -n {files}` (with systemd: LimitNOFILE={files}) for {wanted}"
        );
    }
    connections
}

/// Fewer connections than were asked for matter to whoever asked, and to everybody where they are few; the default is more than most need.
fn matters(connections: usize, wanted: usize) -> bool {
    const ENOUGH: usize = 2_000;
    connections < wanted && (connections < ENOUGH || wanted != ServeOptions::default().max_connections)
}

/// An address that a browser on this machine can open.
pub(super) fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_where_it_matters() {
        let default = ServeOptions::default().max_connections;
        assert!(!matters(default, default) && !matters(6_000, default));
        assert!(matters(64, default) && matters(6_000, default + 1) && !matters(100, 100));
    }

    #[test]
    fn addresses_for_a_browser() {
        let shown = |listening: &str| reachable(listening.parse().unwrap()).to_string();
        assert_eq!(shown("0.0.0.0:7070"), "127.0.0.1:7070");
        assert_eq!(shown("[::]:7070"), "[::1]:7070");
        assert_eq!(shown("192.0.2.1:80"), "192.0.2.1:80");
    }
}
