use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::section::section;

/// A part of the platform that a process can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Takes events over HTTP and appends them to the log
    Gateway,
    /// Reads the log, counts live windows, and commits to the event store
    Stream,
    /// Answers questions, pushes live numbers and serves the web app
    Query,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

section! {
    /// The process.
    ServerConfig {
        /// Data folder. One process runs on it at a time.
        data: String = "throng-data".to_owned(),
        /// Address to listen on. Put a proxy with TLS before it to serve other machines.
        listen: String = "127.0.0.1:7070".to_owned(),
        /// Parts this process runs: `gateway`, `stream`, `query`.
        roles: Vec<Role> = vec![Role::Gateway, Role::Stream, Role::Query],
        /// Time for the head of a request to arrive, and for an idle connection to send its next one.
        header_timeout_ms: u64 = 30_000,
        /// Connections open at once; further ones wait.
        max_connections: usize = 20_000,
        /// A peer that takes no data for so long is disconnected: a stalled dashboard, a vanished client.
        peer_timeout_ms: u32 = 30_000,
        /// Time that open requests have to finish after SIGTERM.
        drain_timeout_ms: u64 = 10_000,
    }
}

section! {
    /// Log lines, written to standard error.
    LogConfig {
        /// `text` for people, `json` for machines.
        format: LogFormat = LogFormat::Text,
        /// Least level that is written, as a filter of the tracing-subscriber crate, such as `info` or `warn,stream=debug`.
        level: String = "info".to_owned(),
    }
}

section! {
    /// The way in.
    GatewayConfig {
        /// MaxMind-format file that gives `country`, `region` and `city` of an address. Without one nothing is derived from addresses.
        geo_ip_file: Option<String> = None,
        /// Address ranges of proxies whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`. Place and the ids of cookieless visitors depend on it.
        trusted_proxies: Vec<String> = Vec::new(),
        /// Events per second that each app may send, with as much again in reserve; beyond it requests are answered 429. Not set: no quota.
        quota_events_per_second: Option<u32> = None,
        /// Time for a whole body to arrive; a slower one is answered 408.
        body_timeout_ms: u64 = 30_000,
        /// MiB of bodies held at once, over all requests that are not answered yet; beyond it requests are answered 503.
        max_in_flight_mib: usize = 256,
    }
}

section! {
    /// The durable log between gateway and stream.
    EventLogConfig {
        /// `file:` in the data folder, or `file:PATH`.
        url: String = "file:".to_owned(),
        /// Least time between two fsyncs under load; requests that arrive in between share one.
        group_commit_wait_ms: u64 = event_log::DEFAULT_GROUP_COMMIT_WAIT.as_millis() as u64,
        /// What the event store has made durable is kept this many hours longer ...
        max_age_hours: u64 = 24,
        /// ... unless the log takes more than so many MiB.
        max_mib: u64 = 8_192,
    }
}

section! {
    /// From the log to the stores.
    StreamConfig {
        /// Whether an `insert_id` that was seen in the last 7 days is stored once. Only a test has a reason to switch it off.
        dedupe_enabled: bool = true,
        /// Events and live windows become visible at most this often; the first after a pause at once.
        publish_interval_ms: u64 = 250,
        /// Rows are written to segments at least this often; until then the log holds them.
        flush_interval_ms: u64 = 30_000,
        /// ... or when so many rows are in memory only,
        max_unflushed_rows: usize = 1_000_000,
        /// ... or when they take so many MiB.
        max_unflushed_mib: usize = 256,
        /// Pause between two looks for upkeep of the event store (compaction, retention) when there was none.
        upkeep_interval_ms: u64 = 5_000,
        /// Time to go on reading the log after SIGTERM; the rest is read at the next start.
        drain_timeout_ms: u64 = 10_000,
    }
}

section! {
    /// Raw events and their rollups.
    EventStoreConfig {
        /// `parquet:` in the data folder, or `parquet:PATH`.
        url: String = "parquet:".to_owned(),
        /// MiB of decoded columns kept for the next question; 0 keeps none. Not set: an eighth of the machine's memory (or of the limit of its container), 1,024 at most.
        max_decoded_mib: Option<usize> = None,
        /// Most links between ids (`$identify`, `$alias`) in one app; each takes some 300 bytes of memory. Beyond, ids stay persons of their own, and `throng_store_id_links_refused_total` counts.
        max_id_links: usize = 1_000_000,
        /// The section below.
        tier: TierConfig = TierConfig::default(),
    }
}

section! {
    /// Object storage for old segments. Questions read them through a cache on the local disk; while the storage cannot be reached, answers
    /// lack them and say so (`"complete": false`), after waiting for a fifth of `query.time_limit_ms` at most. `throng check` and
    /// `throng backup` need the same section: name the file with `--config`.
    TierConfig {
        /// `file:///PATH`, or `s3://BUCKET/PREFIX` with endpoint, region and credentials from the environment: `AWS_ENDPOINT_URL`, `AWS_REGION`,
        /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ALLOW_HTTP`. A folder that is a mount point must be mounted before the start. Not set: segments stay in the data folder.
        url: Option<String> = None,
        /// A segment is moved when its newest event is older than so many days.
        after_days: u32 = 90,
        /// MiB of objects kept on the local disk; the least recently used go first.
        cache_mib: u64 = 10_240,
    }
}

section! {
    /// Live windows.
    RealtimeStoreConfig {
        /// `memory:`, with snapshots in the data folder.
        url: String = "memory:".to_owned(),
        /// MiB of windows held; beyond it the largest apps forget their oldest windows first.
        max_memory_mib: usize = 512,
    }
}

section! {
    /// Apps, keys and definitions.
    MetadataStoreConfig {
        /// `sqlite:` in the data folder, or `sqlite:PATH`.
        url: String = "sqlite:".to_owned(),
    }
}

section! {
    /// Limits of one question; a question that passes one is answered with an error that names it.
    QueryConfig {
        /// Longest time.
        time_limit_ms: u64 = 10_000,
        /// Most working memory of one question, MiB.
        max_memory_mib: usize = 1_024,
        /// Most working memory of all questions together, MiB; one that finds none beside the others is answered 503.
        max_total_memory_mib: usize = 2_048,
        /// Questions that are worked on at once; further ones wait for their turn.
        max_concurrent: usize = 4,
        /// Questions that wait for their turn at most; one more is answered 503 at once.
        max_queued: usize = 64,
        /// How far the threads of questions stand back behind ingestion for a core: 0 (not at all) to 19 (as far as can be).
        niceness: i32 = 10,
        /// Exports that run at once, of all apps together; one more is answered 503.
        max_concurrent_exports: usize = 2,
        /// How long an answer is given again to the same question of the same app.
        cache_ttl_ms: u64 = 5_000,
    }
}

section! {
    /// Answers and live push.
    ApiConfig {
        /// Streams open at once, of live numbers and of dashboards, of all apps together; one more is answered 503.
        max_live_streams: usize = 10_000,
        /// Shortest time between two pushes on a live stream.
        live_interval_ms: u64 = 250,
        /// Time from one computation of a dashboard's question to the next: with it, a change is on the page within 5 seconds.
        dashboard_interval_ms: u64 = 4_000,
        /// Distinct questions of all dashboards that are watched; an app has a quarter of them at most, and a tile beyond is told so.
        max_dashboard_questions: usize = 2_000,
        /// Questions of dashboards that are computed at the same time; ordinary questions have the other turns.
        max_dashboard_computations: usize = 2,
        /// Memory of the answers that are kept for those who watch dashboards, MiB.
        max_dashboard_answers_mib: usize = 128,
        /// One who watches a dashboard and takes nothing for so long is let go.
        dashboard_stall_limit_ms: u64 = 20_000,
    }
}
