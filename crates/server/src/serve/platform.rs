use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use api::{ApiState, Operations};
use axum::Router;
use event_log::FileLog;
use gateway::Gateway;
use metadata_store::{MetadataStore, SqliteMetadataStore};
use prometheus::Registry;
use stream::Stream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::demo::{Demo, Traffic};
use super::options::serve_options;
use super::shutdown::watch_signals;
use super::stores::Stores;
use crate::config::{Config, Role};
use crate::data_folder::DataFolder;
use crate::output;

/// The rooms of this process, opened and connected, not yet serving.
pub(super) struct Platform {
    config: Config,
    router: Router,
    gateway: Option<Arc<Gateway>>,
    stream: Option<Stream>,
    api: Option<ApiState>,
    metadata: Arc<SqliteMetadataStore>,
    /// Cancelled first: nothing new comes in, live streams end.
    stopping: CancellationToken,
    /// Why the process cannot do its work, for `/ready`.
    troubles: Troubles,
}

/// Reasons why this process is not ready, empty when it is.
#[derive(Clone, Default)]
struct Troubles(Arc<Mutex<Vec<String>>>);

impl Troubles {
    fn set(&self, troubles: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = troubles;
    }

    fn get(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Platform {
    /// Opens what the roles of this process need, in the order in which events flow.
    pub(super) fn open(config: &Config, folder: &DataFolder) -> Result<Self> {
        let has = |role| config.server.roles.contains(&role);
        let stopping = CancellationToken::new();
        watch_signals(stopping.clone())?;
        let registry = Registry::new();
        let stores = Stores::open(config, folder, &registry)?;
        let troubles = Troubles::default();
        troubles.set(vec!["starting".to_owned()]);
        let operations = Operations { registry: registry.clone(), not_ready: readiness(troubles.clone(), stores.log.clone()) };
        let mut router = api::operations_router(operations);
        let gateway = has(Role::Gateway).then(|| stores.gateway(config, folder, &registry).map(Arc::new)).transpose()?;
        if let Some(gateway) = &gateway {
            router = router.merge(Arc::clone(gateway).router());
        }
        let stream = has(Role::Stream).then(|| stores.stream(config, folder, &registry)).transpose()?;
        let api = has(Role::Query).then(|| stores.api(config, &registry, stopping.clone())).transpose()?;
        if let Some(api) = &api {
            router = router.merge(api::router(api.clone()));
        }
        Ok(Self { config: config.clone(), router, gateway, stream, api, metadata: stores.metadata, stopping, troubles })
    }

    /// Serves until a signal or a failure, then lets everything under way come to its end, in the order in which events flow.
    pub(super) async fn serve(self, listener: TcpListener, demo: Option<Demo>) -> Result<()> {
        let Self { config, router, gateway, stream, api, metadata, stopping, troubles } = self;
        let address = listener.local_addr()?;
        let draining = CancellationToken::new();
        let caught_up = stream.as_ref().map(Stream::caught_up);
        let stream = stream.map(|stream| tokio::spawn(watched(stream, draining.clone(), stopping.clone(), troubles.clone())));
        let forgetting = gateway.map(|gateway| tokio::spawn(gateway.forget_past_days(stopping.clone())));
        let mut serving = tokio::spawn(gateway::serve(listener, router, stopping.clone(), serve_options(&config)));
        wait_until_caught_up(caught_up, &stopping).await;
        if !stopping.is_cancelled() {
            troubles.set(Vec::new());
            announce(address, &config, metadata.as_ref());
        }
        let traffic = demo.map(|demo| demo.start(address)).transpose()?;

        let ended_early = tokio::select! {
            () = stopping.cancelled() => None,
            ended = &mut serving => Some(ended),
        };
        traffic.iter().for_each(Traffic::stop);
        let ended = match ended_early {
            Some(ended) => ended,
            None => serving.await,
        };
        ended.context("the accept loop panicked")??;
        if let Some(forgetting) = forgetting {
            stopping.cancel();
            forgetting.await.context("the salt of the day was not looked after")?;
        }
        if let Some(api) = &api {
            api.closed().await;
        }
        // Only now has the last answered event been appended.
        draining.cancel();
        if let Some(stream) = stream {
            stream.await.context("the stream panicked")??;
        }
        if let Some(traffic) = traffic {
            tokio::task::spawn_blocking(|| traffic.join()).await?;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Readiness waits for what a crash left in the log to be visible, so that no answer after a restart says less than one before it;
/// but not for ever: events are taken all the same, and a load balancer should not turn them away for what only answers lack.
async fn wait_until_caught_up(caught_up: Option<CancellationToken>, stopping: &CancellationToken) {
    const LONGEST: Duration = Duration::from_secs(3);
    let Some(caught_up) = caught_up else { return };
    tokio::select! {
        () = caught_up.cancelled() => {}
        () = stopping.cancelled() => {}
        () = tokio::time::sleep(LONGEST) => tracing::warn!("serving while the stream catches up: answers lack the newest events for now"),
    }
}

/// Runs the stream. One that fails ends the process, so that whoever watches over it starts it again: the log keeps every answered
/// event until then, and an answer that lags behind for ever would help nobody.
async fn watched(stream: Stream, draining: CancellationToken, stopping: CancellationToken, troubles: Troubles) -> Result<()> {
    let result = stream.run(draining).await;
    if let Err(error) = &result {
        tracing::error!(%error, "the stream failed, the process ends; no answered event is lost");
        troubles.set(vec![format!("the stream failed: {error}")]);
        stopping.cancel();
    }
    result.context("the stream failed")
}

fn announce(address: SocketAddr, config: &Config, metadata: &dyn MetadataStore) {
    let data = &config.server.data;
    tracing::info!(%address, data, roles = ?config.server.roles, pid = std::process::id(), "serving");
    if metadata.apps().is_ok_and(|apps| apps.is_empty()) {
        output::note(&format!("There is no app yet. Make one with: throng app create NAME --data {data}"));
    }
}

/// A log that takes no events, for good or for want of space, makes the process not ready; questions are still answered.
fn readiness(troubles: Troubles, log: Option<Arc<FileLog>>) -> Arc<dyn Fn() -> Vec<String> + Send + Sync> {
    Arc::new(move || {
        let latched = log.as_ref().and_then(|log| log.figures().latched);
        let latched = latched.map(|reason| format!("the event log takes no more events until a restart: {reason}"));
        let full = log.as_ref().and_then(|log| log.shortage());
        let full = full.map(|reason| format!("the disk is full, events are refused until there is space: {reason}"));
        troubles.get().into_iter().chain(latched).chain(full).collect()
    })
}
