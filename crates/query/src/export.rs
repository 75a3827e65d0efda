//! Files of raw events, written while they are read: by a thread of their own, into a channel that waits for whoever takes the pieces.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use event_store::{EventRow, EventSource, MemoryBudget, MemoryPool, QueryContext, QueryError, Scan, ScanStats};
use export::{Encoder, FileFormat, FileOptions, PropertyColumns};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::calendar;
use crate::failure::{FailureKind, QueryFailure};
use crate::options::{AppSettings, QueryOptions};
use crate::request::ExportRequest;
use crate::threads::QueryThreads;

/// A piece of a file is about so large; a few of them wait for a slow client.
const PIECE_BYTES: usize = 256 << 10;
const WAITING_PIECES: usize = 4;
/// An export that takes longer is ended, since the files it reads cannot be deleted meanwhile.
const MAX_TIME: Duration = Duration::from_secs(24 * 3_600);

/// A file of raw events that is being written.
pub struct Export {
    /// Its media type.
    pub content_type: &'static str,
    /// A name for it: plain ASCII without spaces, quotes or slashes.
    pub file_name: String,
    /// Stored events that cannot be read and are not in it; only where the request allows for that.
    pub missing: Vec<String>,
    /// What is in it.
    pub pieces: ExportPieces,
}

/// The bytes of a file. Dropping it ends the export.
pub struct ExportPieces {
    messages: mpsc::Receiver<Message>,
    failure: LastWord,
    has_ended: bool,
    _end_when_dropped: DropGuard,
}

impl ExportPieces {
    /// The next bytes, `None` after the last ones of a whole file.
    ///
    /// # Errors
    /// Why the file ends before it is whole; what came so far must not be taken for the file. `None` follows.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, QueryFailure>> {
        if self.has_ended {
            return None;
        }
        match self.messages.recv().await {
            Some(Message::Piece(bytes)) => return Some(Ok(bytes)),
            Some(Message::Whole) => self.has_ended = true,
            Some(Message::Begun(_)) | None => {
                self.has_ended = true;
                return Some(Err(why_it_ended(&self.failure)));
            }
        }
        None
    }
}

/// Why a file was not finished: told beside the channel, which may be full when it is known.
type LastWord = Arc<OnceLock<QueryFailure>>;

fn why_it_ended(failure: &LastWord) -> QueryFailure {
    let unsaid = || QueryFailure::internal("the export ended without saying why; this is a defect");
    failure.get().cloned().unwrap_or_else(unsaid)
}

enum Message {
    /// The file begins, without these stored events.
    Begun(Vec<String>),
    Piece(Vec<u8>),
    Whole,
}

/// Writes files, a bounded number at a time.
pub(crate) struct Exporter {
    source: Arc<dyn EventSource>,
    permits: Arc<Semaphore>,
    max_concurrent: usize,
    stall_limit: Duration,
    memory_bytes: usize,
    memory: MemoryPool,
    threads: QueryThreads,
}

impl Exporter {
    /// An exporter on `source`, whose memory is part of what queries have together.
    pub(crate) fn new(source: Arc<dyn EventSource>, options: &QueryOptions, memory: &MemoryPool) -> Self {
        Self {
            source,
            permits: Arc::new(Semaphore::new(options.max_concurrent_exports)),
            max_concurrent: options.max_concurrent_exports,
            stall_limit: options.export_stall_limit,
            memory_bytes: options.memory_bytes_per_query,
            memory: memory.clone(),
            threads: QueryThreads::start(options.max_concurrent_exports, options.niceness),
        }
    }

    /// Begins a file; when this returns, the first events are being read.
    ///
    /// # Errors
    /// Busy where as many exports run as may; `incomplete` where stored events are damaged and the request does not allow for it.
    pub(crate) async fn begin(&self, app: &AppSettings, request: ExportRequest, scan: Scan) -> Result<Export, QueryFailure> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            QueryFailure::busy(format!("{} exports are running already: try again when one of them has ended", self.max_concurrent))
        })?;
        let cancel = CancellationToken::new();
        let end_when_dropped = cancel.clone().drop_guard();
        let (sender, mut messages) = mpsc::channel(WAITING_PIECES);
        let failure = LastWord::default();
        let file_name = file_name(app, &request);
        let content_type = request.file.format.content_type();
        let work = Work {
            source: Arc::clone(&self.source),
            context: QueryContext {
                deadline: Instant::now() + MAX_TIME,
                limit_ms: MAX_TIME.as_millis() as u64,
                cancel,
                memory: MemoryBudget::within(self.memory_bytes, &self.memory),
                max_groups: 0,
            },
            scan,
            file: request.file,
            incomplete: request.incomplete,
            outlet: Outlet { sender, runtime: Handle::current(), stall_limit: self.stall_limit },
            failure: Arc::clone(&failure),
            _permit: permit,
        };
        self.threads.run(move || work.run());
        let Some(Message::Begun(missing)) = messages.recv().await else { return Err(why_it_ended(&failure)) };
        let pieces = ExportPieces { messages, failure, has_ended: false, _end_when_dropped: end_when_dropped };
        Ok(Export { content_type, file_name, missing, pieces })
    }
}

/// `APP-2026-01-01-to-2026-01-31.csv`; the ids of apps are plain.
fn file_name(app: &AppSettings, request: &ExportRequest) -> String {
    let (period, extension) = (&request.period, request.file.format.name());
    if period.is_all {
        return format!("{}.{extension}", app.app);
    }
    let (first, last) = (calendar::date_of(&period.zone, period.from_ms), calendar::date_of(&period.zone, period.to_ms - 1));
    format!("{}-{first}-to-{last}.{extension}", app.app)
}

/// Where messages go.
struct Outlet {
    sender: mpsc::Sender<Message>,
    runtime: Handle,
    stall_limit: Duration,
}

impl Outlet {
    /// Waits for room, but not for ever.
    fn send(&self, message: Message) -> Result<(), Stop> {
        // The timer is made within the runtime: this thread is not one of its own.
        let sending = async { tokio::time::timeout(self.stall_limit, self.sender.send(message)).await };
        match self.runtime.block_on(sending) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Stop::ClientLeft),
            Err(_) => Err(Stop::Failed(QueryFailure::limit(
                "export_stalled",
                format!("the client took no data for {} s, so the export was ended: run it again", self.stall_limit.as_secs()),
            ))),
        }
    }
}

/// Why writing ends early.
enum Stop {
    /// Nobody reads any more.
    ClientLeft,
    Failed(QueryFailure),
}

/// One export on its thread.
struct Work {
    source: Arc<dyn EventSource>,
    context: QueryContext,
    scan: Scan,
    file: FileOptions,
    incomplete: bool,
    outlet: Outlet,
    failure: LastWord,
    /// Given back when the thread is free again, also when nobody waits any more.
    _permit: OwnedSemaphorePermit,
}

impl Work {
    fn run(self) {
        match self.write().and_then(|()| self.outlet.send(Message::Whole)) {
            Ok(()) | Err(Stop::ClientLeft) => {}
            // Closing the channel is what makes the client's side look for it.
            Err(Stop::Failed(failure)) => drop(self.failure.set(failure)),
        }
    }

    fn write(&self) -> Result<(), Stop> {
        self.context.memory.grow(encoder_bytes(self.file.format)).map_err(failed)?;
        let columns = if self.file.format.has_property_columns() {
            let schema = self.source.schema(&self.scan.app, &self.context).map_err(failed)?;
            PropertyColumns::of(&schema.properties)
        } else {
            PropertyColumns::default()
        };
        let mut writing =
            Writing { work: self, encoder: Encoder::new(self.file, columns).map_err(|error| defect(&error))?, missing_at_begin: None };
        // Why a visit ended the export, which the store's error cannot say.
        let mut stop = None;
        let read = self.source.export(&self.scan, &self.context, &mut |rows, stats| {
            writing.visit(&rows, stats).map_err(|reason| {
                stop = Some(reason);
                QueryError::Cancelled
            })
        });
        match (stop, read) {
            (Some(stop), _) => Err(stop),
            (None, Err(error)) => Err(failed(error)),
            (None, Ok(stats)) => writing.finish(&stats),
        }
    }
}

/// About what an encoder and the pieces that wait for a client hold.
fn encoder_bytes(format: FileFormat) -> usize {
    const PIECES: usize = (WAITING_PIECES + 2) * PIECE_BYTES;
    match format {
        FileFormat::JsonLines | FileFormat::Csv => 2 * PIECES,
        FileFormat::Parquet => PIECES + (64 << 20),
    }
}

/// A file under way.
struct Writing<'w> {
    work: &'w Work,
    encoder: Encoder,
    /// How many reasons for missing events the file began with; `None` before it began.
    missing_at_begin: Option<usize>,
}

impl Writing<'_> {
    fn visit(&mut self, rows: &[EventRow], stats: &ScanStats) -> Result<(), Stop> {
        self.check_complete(stats)?;
        for row in rows {
            self.encoder.push(row).map_err(|error| defect(&error))?;
            if self.encoder.ready_bytes() >= PIECE_BYTES {
                self.work.outlet.send(Message::Piece(self.encoder.take()))?;
            }
        }
        Ok(())
    }

    /// Begins the file at the first call; afterwards, damage that its beginning did not tell of ends it.
    fn check_complete(&mut self, stats: &ScanStats) -> Result<(), Stop> {
        match self.missing_at_begin {
            Some(known) if stats.missing.len() <= known => Ok(()),
            None if stats.missing.is_empty() || self.work.incomplete => {
                self.missing_at_begin = Some(stats.missing.len());
                self.work.outlet.send(Message::Begun(stats.missing.clone()))
            }
            _ => Err(Stop::Failed(incomplete(&stats.missing))),
        }
    }

    fn finish(mut self, stats: &ScanStats) -> Result<(), Stop> {
        self.check_complete(stats)?;
        let rest = self.encoder.finish().map_err(|error| defect(&error))?;
        if rest.is_empty() { Ok(()) } else { self.work.outlet.send(Message::Piece(rest)) }
    }
}

fn incomplete(missing: &[String]) -> QueryFailure {
    let message = format!(
        "some stored events cannot be read ({}): run `throng check`, ask for a range without them, or send \"incomplete\": true for a file of the others",
        missing.join("; ")
    );
    QueryFailure { code: "incomplete", message, field: Some("incomplete".to_owned()), kind: FailureKind::Limit }
}

fn failed(error: QueryError) -> Stop {
    Stop::Failed(error.into())
}

fn defect(error: &export::ExportError) -> Stop {
    Stop::Failed(QueryFailure::internal(error.to_string()))
}
