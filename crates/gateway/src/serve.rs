use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// Bounds of the accept loop.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// Time for the whole head of a request to arrive, and for an idle connection to send its next one.
    pub header_timeout: Duration,
    /// Largest head of a request; a larger one is answered 431.
    pub max_header_bytes: usize,
    /// Connections open at once; further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// Time that open requests have to finish after the shutdown began.
    pub drain_timeout: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            max_header_bytes: 64 * 1024,
            max_connections: 20_000,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Read buffer of a connection: a larger body arrives in pieces of this size.
const MAX_READ_BUFFER_BYTES: usize = 256 * 1024;

/// Pause after the kernel could not give a connection, as when the process is out of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Serves `router` over HTTP/1.1 on `listener` until `shutdown` is cancelled, then drains.
///
/// Draining: no new connection is taken, idle ones are closed, open requests are answered and their connections closed; what is not
/// finished after the drain timeout is cut. The address of the peer is in each request's extensions as `ConnectInfo<SocketAddr>`.
///
/// # Errors
/// Only when the listener has no local address, that is, never was one.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken, options: ServeOptions) -> io::Result<()> {
    let address = listener.local_addr()?;
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let slots = std::sync::Arc::new(tokio::sync::Semaphore::new(options.max_connections));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, peer, slot)) => {
                let connection = Connection { router: router.clone(), peer, shutdown: shutdown.clone(), cut: cut.clone(), options };
                connections.spawn(async move {
                    connection.run(stream).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%address, %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(options.drain_timeout, connections.wait()).await.is_err() {
        tracing::warn!(%address, connections = connections.len(), "connections are cut because they did not finish in time");
        cut.cancel();
        connections.wait().await;
    }
    Ok(())
}

type Slot = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, slots: &std::sync::Arc<tokio::sync::Semaphore>) -> io::Result<(TcpStream, SocketAddr, Slot)> {
    let slot = std::sync::Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // An answer is one small packet that must not wait for the next.
    stream.set_nodelay(true)?;
    Ok((stream, peer, slot))
}

struct Connection {
    router: Router,
    peer: SocketAddr,
    shutdown: CancellationToken,
    cut: CancellationToken,
    options: ServeOptions,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let Self { router, peer, shutdown, cut, options } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let answering = router.clone().call(request);
            async move { answering.await.map(|response: Response<_>| response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(options.header_timeout)
            .max_header_size(options.max_header_bytes)
            .max_buf_size(MAX_READ_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = cut.cancelled() => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended with an error");
        }
    }
}
