//! Takes a URL such as `file:///srv/old-events` or `s3://bucket/prefix`.
//! Gives object storage for the segments of an event store, through the `object_store` crate, which no other crate sees.
//! Knows nothing of what a segment holds, or of when one is moved.

mod local;

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use event_store_parquet::{SegmentTier, TierError};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as ObjectPath;
use object_store::{BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart};
use tokio::runtime::Runtime;

/// Bytes of a part of an upload; a smaller file is uploaded at once.
const PART_BYTES: usize = 8 << 20;
/// Parts of one upload under way at once: bounds its memory.
const MAX_PARTS_UNDER_WAY: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Of one request, such as a part of an upload.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_RETRIES: usize = 2;

/// Object storage behind a URL.
pub struct ObjectTier {
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    /// Where the objects are files.
    folder: Option<PathBuf>,
    max_read_wait: Duration,
    /// Callers block, `object_store` does not: it runs here.
    runtime: Option<Runtime>,
}

impl ObjectTier {
    /// Opens `file:///PATH` (made where it is missing) or `s3://BUCKET/PREFIX`. Endpoint, region and credentials of S3 come from the
    /// environment, as the `object_store` crate reads it: `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`, `AWS_ALLOW_HTTP`, `AWS_VIRTUAL_HOSTED_STYLE_REQUEST`. Nothing is sent yet.
    /// A read that takes longer than `max_read_wait` fails, retries included: a question waits for it, also where the storage takes a
    /// request and never answers.
    ///
    /// # Errors
    /// [`TierError::Unreachable`] when the URL is not one of these, or the folder or the settings cannot be used.
    pub fn open(url: &str, max_read_wait: Duration) -> Result<Self, TierError> {
        let mut folder = None;
        let (store, prefix) = match url.split_once("://") {
            Some(("file", path)) => {
                folder = Some(PathBuf::from(path));
                (local::open(path)?, "")
            }
            Some(("s3", rest)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                (s3(bucket)?, prefix)
            }
            _ => return Err(unusable(format!("{url:?} is not file:///PATH or s3://BUCKET/PREFIX"))),
        };
        let prefix = ObjectPath::parse(prefix).map_err(|error| unusable(format!("{url}: {error}")))?;
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("tier").enable_all().build();
        let runtime = threads.map_err(|error| unusable(error.to_string()))?;
        Ok(Self { store, prefix, folder, max_read_wait, runtime: Some(runtime) })
    }

    fn path(&self, key: &str) -> ObjectPath {
        key.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn run<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, TierError> {
        let Some(runtime) = &self.runtime else { return Err(unusable("it is closed".to_owned())) };
        runtime.block_on(work).map_err(|error| failure(&error))
    }

    fn run_within_wait<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, TierError> {
        let Some(runtime) = &self.runtime else { return Err(unusable("it is closed".to_owned())) };
        // The timer is made within the runtime.
        match runtime.block_on(async { tokio::time::timeout(self.max_read_wait, work).await }) {
            Ok(result) => result.map_err(|error| failure(&error)),
            Err(_) => Err(unusable(format!("it did not answer within {} ms", self.max_read_wait.as_millis()))),
        }
    }

    /// The key of an object of this place.
    fn key(&self, path: &ObjectPath) -> Option<String> {
        let parts: Vec<_> = path.prefix_match(&self.prefix)?.map(|part| part.as_ref().to_owned()).collect();
        Some(parts.join("/"))
    }
}

impl SegmentTier for ObjectTier {
    fn put(&self, key: &str, file: &Path) -> Result<(), TierError> {
        let unreadable = |error: std::io::Error| TierError::File(format!("{}: {error}", file.display()));
        let mut opened = File::open(file).map_err(unreadable)?;
        let bytes = opened.metadata().map_err(unreadable)?.len();
        let path = self.path(key);
        if bytes <= PART_BYTES as u64 {
            let mut content = Vec::with_capacity(bytes as usize);
            opened.read_to_end(&mut content).map_err(unreadable)?;
            return self.run(self.store.put(&path, content.into())).map(|_| ());
        }
        self.run(async {
            let upload = self.store.put_multipart(&path).await?;
            let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
            match send(&mut opened, &mut writer).await {
                Ok(()) => writer.finish().await.map(|_| ()),
                Err(error) => {
                    // A part that cannot be deleted either is the bucket's lifecycle rule to delete.
                    let _ = writer.abort().await;
                    Err(error)
                }
            }
        })
    }

    fn length(&self, key: &str) -> Result<u64, TierError> {
        self.run_within_wait(self.store.head(&self.path(key))).map(|found| found.size)
    }

    fn read(&self, key: &str, range: Range<u64>) -> Result<Bytes, TierError> {
        let wanted = range.end.saturating_sub(range.start);
        let bytes = self.run_within_wait(self.store.get_range(&self.path(key), range))?;
        match bytes.len() as u64 == wanted {
            true => Ok(bytes),
            false => Err(unusable(format!("{key}: {} bytes came instead of {wanted}", bytes.len()))),
        }
    }

    fn delete(&self, key: &str) -> Result<(), TierError> {
        if let Some(folder) = &self.folder {
            local::delete_cut_off(&folder.join(key));
        }
        match self.run(self.store.delete(&self.path(key))) {
            Err(TierError::Missing(_)) => Ok(()),
            other => other,
        }
    }

    fn list(&self, folder: &str, each: &mut dyn FnMut(String)) -> Result<(), TierError> {
        let mut folders = vec![self.path(folder.trim_end_matches('/'))];
        while let Some(folder) = folders.pop() {
            let listed = match self.run(self.store.list_with_delimiter(Some(&folder))) {
                Ok(listed) => listed,
                // A folder that was never made.
                Err(TierError::Missing(_)) => continue,
                Err(error) => return Err(error),
            };
            listed.objects.iter().filter_map(|object| self.key(&object.location)).for_each(&mut *each);
            folders.extend(listed.common_prefixes);
        }
        Ok(())
    }
}

impl Drop for ObjectTier {
    fn drop(&mut self) {
        // Waiting for it is not allowed where the last owner is an asynchronous task.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn send(file: &mut File, writer: &mut WriteMultipart) -> Result<(), Error> {
    let mut buffer = vec![0; PART_BYTES];
    loop {
        writer.wait_for_capacity(MAX_PARTS_UNDER_WAY).await?;
        let read = file.read(&mut buffer).map_err(|error| Error::Generic { store: "segment", source: error.into() })?;
        if read == 0 {
            return Ok(());
        }
        writer.write(&buffer[..read]);
    }
}

fn s3(bucket: &str) -> Result<Arc<dyn ObjectStore>, TierError> {
    if bucket.is_empty() {
        return Err(unusable("s3://BUCKET/PREFIX names no bucket".to_owned()));
    }
    // One provider for the process; another part may have chosen the same one before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT };
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry);
    // What the environment says of plain HTTP is kept: options given here replace those read from it.
    let allow_http = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    let client = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(REQUEST_TIMEOUT).with_allow_http(allow_http);
    let store = builder.with_client_options(client).build().map_err(|error| unusable(error.to_string()))?;
    Ok(Arc::new(store))
}

fn unusable(reason: String) -> TierError {
    TierError::Unreachable(reason)
}

fn failure(error: &Error) -> TierError {
    match error {
        Error::NotFound { path, .. } => TierError::Missing(path.clone()),
        other => TierError::Unreachable(other.to_string()),
    }
}
