//! The limit ingestion is measured against: a server that reads each body and answers, and does nothing else.
//! Prints its address, then serves until it is killed.

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;

async fn read_only(body: Bytes) -> impl IntoResponse {
    let answer = if body.is_empty() { "{\"accepted\":0,\"rejected\":[]}" } else { "{\"accepted\":20,\"rejected\":[]}" };
    ([(CONTENT_TYPE, "application/json")], answer)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("{}", listener.local_addr()?);
    let router = Router::new().route("/api/v1/events/batch", post(read_only));
    use axum::serve::ListenerExt;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, router).await?)
}
