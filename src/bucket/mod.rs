//! Opens the bucket that a URL names. [`untrusted`] is for access to objects that others wrote, [`probe`] tries what a store
//! promises.

mod credentials;
mod folder;
pub mod probe;
#[cfg(test)]
pub(crate) mod suite;
pub mod untrusted;
pub mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig};
use thiserror::Error;
use url::Url;

pub(crate) use folder::FolderStore;

/// The environment variable that says for how many seconds commands try again.
pub const GIVE_UP: &str = "GAUNTLET_STORE_GIVE_UP";
/// The one that says after how many seconds without an answer a request has failed.
pub const TIMEOUT: &str = "GAUNTLET_STORE_TIMEOUT";
const MOST_SECONDS: f64 = 86_400.0;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The bucket of a run.
#[derive(Clone)]
pub struct Bucket {
    pub store: Arc<dyn ObjectStore>,
    /// The URL as it was given, for messages.
    pub url: String,
    /// The store rounds stamps down to multiples of this.
    pub stamp_resolution: Duration,
    /// The path, if the bucket is a local folder.
    pub folder: Option<PathBuf>,
}

/// Why a bucket cannot be opened.
#[derive(Debug, Error)]
pub enum BucketError {
    #[error("bucket {url}: {source}")]
    Url { url: String, source: url::ParseError },
    #[error(
        "bucket {url}: expected a folder, file://, s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH; for \
         MinIO, R2 and others set AWS_ENDPOINT_URL"
    )]
    Scheme { url: String },
    #[error(
        "bucket {url}: AWS_ENDPOINT_URL = {endpoint} is not encrypted; set AWS_ALLOW_HTTP=true if that is meant, or take \
         an https:// address"
    )]
    PlainHttp { url: String, endpoint: String },
    #[error("{name} = {value:?}: expected seconds, 0 to {MOST_SECONDS}")]
    Seconds { name: &'static str, value: String },
    #[error("bucket {url}: there is no such folder; `sim genesis` and `sim launch` make it")]
    NoFolder { url: String },
    #[error("bucket {url}: {source}")]
    Folder { url: String, source: std::io::Error },
    #[error("bucket {url}: {source}")]
    Store { url: String, source: object_store::Error },
}

impl BucketError {
    /// Whether another URL or other settings of the store are needed, so that retrying is useless.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Folder { .. })
    }
}

/// Opens a bucket: a folder, by its path or a `file://` URL, or an object store by an `s3://`, `gs://` or `az://` URL,
/// with credentials from the usual environment variables and files. With `create`, a missing folder is made.
///
/// # Errors
/// The URL names no bucket, the folder does not exist, or credentials are missing or invalid.
pub fn open(url: &str, create: bool) -> Result<Bucket, BucketError> {
    // Two quick retries for a broken connection. Nodes retry themselves, and know how long it is worth the wait.
    open_with(url, create, Patience { retries: 2, give_up: Duration::from_secs(10), timeout: timeout()? })
}

/// Opens a bucket as [`open`] does, for a command that can wait: a store that is busy or does not answer is tried again
/// until [`GIVE_UP`] seconds have passed.
///
/// # Errors
/// As [`open`].
pub fn open_patiently(url: &str, create: bool) -> Result<Bucket, BucketError> {
    let give_up = seconds(GIVE_UP, 30.0)?;
    let retries = if give_up.is_zero() { 0 } else { usize::MAX };
    open_with(url, create, Patience { retries, give_up, timeout: timeout()? })
}

/// Opens a bucket that never retries a request: a wait inside one would never end while the clock is held.
///
/// # Errors
/// As [`open`].
pub fn open_without_retries(url: &str) -> Result<Bucket, BucketError> {
    open_with(url, false, Patience { retries: 0, give_up: Duration::ZERO, timeout: timeout()? })
}

/// How long requests of a store are waited for.
#[derive(Clone, Copy)]
struct Patience {
    /// So often a request is made again, at most.
    retries: usize,
    /// After so long it is not.
    give_up: Duration,
    /// A request without an answer after so long counts as failed. Large objects move in parts of 64 MiB.
    timeout: Duration,
}

fn timeout() -> Result<Duration, BucketError> {
    let least = |timeout: Duration| timeout.max(Duration::from_millis(1));
    seconds(TIMEOUT, 60.0).map(least)
}

/// Seconds that an environment variable says, or what it is without one.
fn seconds(name: &'static str, otherwise: f64) -> Result<Duration, BucketError> {
    let Ok(value) = std::env::var(name) else { return Ok(Duration::from_secs_f64(otherwise)) };
    let parsed = value.trim().parse().ok().filter(|seconds| (0.0..=MOST_SECONDS).contains(seconds));
    parsed.map(Duration::from_secs_f64).ok_or(BucketError::Seconds { name, value })
}

fn open_with(url: &str, create: bool, patience: Patience) -> Result<Bucket, BucketError> {
    let named = || url.to_string();
    // A scheme without its slashes is no folder's name.
    let scheme = ["s3:", "gs:", "az:", "file:", "http:", "https:"].iter().any(|scheme| url.starts_with(scheme));
    if url.trim().is_empty() || (scheme && !url.contains("://")) {
        return Err(BucketError::Scheme { url: named() });
    }
    if !url.contains("://") {
        return open_folder(url, PathBuf::from(url), create);
    }
    let parsed = Url::parse(url).map_err(|source| BucketError::Url { url: named(), source })?;
    let (scheme, path) = ObjectStoreScheme::parse(&parsed).map_err(|_| BucketError::Scheme { url: named() })?;
    if scheme == ObjectStoreScheme::Local {
        let folder = parsed.to_file_path().map_err(|()| BucketError::Scheme { url: named() })?;
        return open_folder(url, folder, create);
    }
    if matches!(scheme, ObjectStoreScheme::AmazonS3)
        && !allows_http()
        && let Some(endpoint) = credentials::endpoint().filter(|endpoint| endpoint.starts_with("http://"))
    {
        return Err(BucketError::PlainHttp { url: named(), endpoint });
    }
    let store = open_remote(scheme, url, patience).map_err(|source| BucketError::Store { url: named(), source });
    let store = store.and_then(|store| store.ok_or(BucketError::Scheme { url: named() }))?;
    // The `Last-Modified` header has whole seconds.
    let stamp_resolution = Duration::from_secs(1);
    Ok(Bucket { store: below(store, path), url: named(), stamp_resolution, folder: None })
}

fn open_remote(
    scheme: ObjectStoreScheme,
    url: &str,
    patience: Patience,
) -> object_store::Result<Option<Arc<dyn ObjectStore>>> {
    // A program that uses this crate may have chosen another one, which then stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = ClientOptions::new().with_timeout(patience.timeout).with_connect_timeout(CONNECT_TIMEOUT);
    let retry = RetryConfig {
        max_retries: patience.retries,
        retry_timeout: patience.give_up,
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: (patience.give_up / 10).max(Duration::from_secs(1)),
            base: 2.0,
        },
    };
    Ok(Some(match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let builder = credentials::from_files(AmazonS3Builder::from_env());
            Arc::new(builder.with_url(url).with_client_options(s3_client(client)).with_retry(retry).build()?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(url);
            Arc::new(builder.with_client_options(client).with_retry(retry).build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(url);
            Arc::new(builder.with_client_options(client).with_retry(retry).build()?)
        }
        _ => return Ok(None),
    }))
}

/// Setting client options replaces those from the environment, so plain HTTP, for a server on the same machine, is set
/// here again.
fn s3_client(client: ClientOptions) -> ClientOptions {
    client.with_allow_http(allows_http())
}

fn allows_http() -> bool {
    std::env::var("AWS_ALLOW_HTTP").is_ok_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
}

fn open_folder(url: &str, folder: PathBuf, create: bool) -> Result<Bucket, BucketError> {
    let failed = |source| BucketError::Folder { url: url.into(), source };
    if create {
        std::fs::create_dir_all(&folder).map_err(failed)?;
    }
    if !folder.is_dir() {
        return Err(BucketError::NoFolder { url: url.into() });
    }
    let folder = std::path::absolute(folder).map_err(failed)?;
    let files = LocalFileSystem::new_with_prefix(&folder).map_err(|source| failed(std::io::Error::other(source)))?;
    let store = FolderStore::new(files.with_automatic_cleanup(true));
    let stamp_resolution = Duration::ZERO;
    Ok(Bucket { store: Arc::new(store), url: url.into(), stamp_resolution, folder: Some(folder) })
}

fn below(store: Arc<dyn ObjectStore>, path: Path) -> Arc<dyn ObjectStore> {
    if path.as_ref().is_empty() { store } else { Arc::new(PrefixStore::new(store, path)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_by_path_or_url() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/bucket");
        assert!(matches!(open(path.to_str().unwrap(), false), Err(BucketError::NoFolder { .. })));
        let made = open(path.to_str().unwrap(), true).unwrap();
        assert_eq!(made.folder.as_deref(), Some(path.as_path()));
        let url = Url::from_file_path(&path).unwrap();
        assert_eq!(open(url.as_str(), false).unwrap().folder, made.folder);
    }

    #[test]
    fn what_is_no_bucket_is_told() {
        for wrong in ["http://example.org/bucket", "ftp://x", "memory://", "", " ", "s3:/bucket/run", "gs:bucket"] {
            assert!(matches!(open(wrong, true), Err(BucketError::Scheme { .. })), "{wrong}");
        }
        assert!(matches!(open("s3://[", true), Err(BucketError::Url { .. })));
    }

    #[test]
    fn seconds_that_are_none_are_told() {
        assert_eq!(seconds("GAUNTLET_NOT_SET", 1.5).unwrap(), Duration::from_millis(1500));
        let error = BucketError::Seconds { name: GIVE_UP, value: "long".into() };
        assert_eq!(error.to_string(), "GAUNTLET_STORE_GIVE_UP = \"long\": expected seconds, 0 to 86400");
    }
}
