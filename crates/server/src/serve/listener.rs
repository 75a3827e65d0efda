use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;
/// Open files beside connections: segments, log files, databases.
const OTHER_FILES: u64 = 4_096;

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

/// Many shells allow 1,024 open files where the system allows far more.
pub(super) fn raise_open_files_limit(max_connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = max_connections as u64 + OTHER_FILES;
    let reachable = limit.maximum.map_or(wanted, |maximum| wanted.min(maximum));
    if limit.current.is_some_and(|current| current < reachable) {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum: limit.maximum });
        if let Err(error) = raised {
            tracing::warn!(%error, wanted = reachable, "the limit of open files cannot be raised");
        }
    }
    if reachable < wanted {
        tracing::warn!(limit = reachable, wanted, "the system allows fewer open files than server.max_connections needs");
    }
}
