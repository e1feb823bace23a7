//! Texts that lie in a bucket: brought to this machine for as long as they are read.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tempfile::TempDir;

use super::CorpusError;
use crate::bucket;

/// How often an object is asked for whose bytes stop coming; requests have the client's own tries besides.
const TRIES: usize = 3;

/// Objects of a bucket as files of this machine, which are removed with it.
pub struct Fetched {
    folder: TempDir,
    /// Where each lies here, and its URL, in the order of these.
    pub files: Vec<(PathBuf, String)>,
}

/// Brings what a URL names: an object, those below a prefix whose names end so, or those of a pattern. `None` for what is
/// no URL.
///
/// # Errors
/// No such bucket or object, or a bucket or disk that fails.
pub fn fetch(url: &str, ending: &str) -> Result<Option<Fetched>, CorpusError> {
    if !url.contains("://") {
        return Ok(None);
    }
    let failed = |reason: String| CorpusError::Bucket { url: url.to_string(), reason };
    // A pattern is one from its first folder that has a wildcard.
    let wild = url.find(['*', '?', '[']).unwrap_or(url.len());
    let (parent, name) = match url[..wild].rfind('/') {
        Some(slash) if !url[..slash].ends_with('/') => (&url[..slash], url[slash + 1..].trim_end_matches('/')),
        _ => (url, ""),
    };
    let opened = bucket::open(parent, false).map_err(|error| failed(error.to_string()))?;
    if opened.folder.is_some() {
        return Err(failed("a folder; expected its path, or the URL of a bucket".into()));
    }
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let found = find(&opened.store, name, ending).await?;
            bring(&opened.store, parent, found).await
        })
    };
    // The caller may be inside of a runtime, which does not let it wait.
    let fetched = thread::scope(|scope| scope.spawn(work).join().expect("fetching does not panic"));
    let fetched = fetched.map_err(|error: io::Error| failed(error.to_string()))?;
    if fetched.files.is_empty() {
        let expected = format!("an object, a prefix with {ending} objects below it, or a pattern");
        return Err(CorpusError::NoFiles { path: url.to_string(), expected });
    }
    Ok(Some(fetched))
}

/// The objects that are meant, by name.
async fn find(store: &Arc<dyn ObjectStore>, name: &str, ending: &str) -> io::Result<Vec<ObjectMeta>> {
    if name.contains(['*', '?', '[']) {
        let pattern = glob::Pattern::new(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
        let all: Vec<ObjectMeta> = store.list(None).try_collect().await?;
        return Ok(sorted(all, |name| pattern.matches_with(name, options)));
    }
    let path = (!name.is_empty()).then(|| Path::from(name));
    if let Some(path) = &path {
        match store.head(path).await {
            Ok(meta) => return Ok(vec![meta]),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let below: Vec<ObjectMeta> = store.list(path.as_ref()).try_collect().await?;
    Ok(sorted(below, |name| name.ends_with(ending)))
}

fn sorted(found: Vec<ObjectMeta>, wanted: impl Fn(&str) -> bool) -> Vec<ObjectMeta> {
    let mut found: Vec<_> = found.into_iter().filter(|meta| wanted(meta.location.as_ref())).collect();
    found.sort_by(|a, b| a.location.cmp(&b.location));
    found
}

async fn bring(store: &Arc<dyn ObjectStore>, parent: &str, found: Vec<ObjectMeta>) -> io::Result<Fetched> {
    let folder = tempfile::Builder::new().prefix("gauntlet-corpus-").tempdir()?;
    let bytes: u64 = found.iter().map(|meta| meta.size).sum();
    tracing::info!(from = parent, objects = found.len(), bytes, "fetching the corpus");
    let mut files = Vec::with_capacity(found.len());
    for (number, meta) in found.iter().enumerate() {
        // Names of objects are anybody's; here the order is enough.
        let path = folder.path().join(format!("{number:06}"));
        let mut tries = 1;
        while let Err(error) = copy(store, meta, &path).await {
            if tries == TRIES || error.kind() == io::ErrorKind::StorageFull {
                return Err(io::Error::new(error.kind(), format!("{}: {error}", meta.location)));
            }
            tracing::warn!(object = %meta.location, %error, "not fetched; trying again");
            tries += 1;
        }
        files.push((path, format!("{parent}/{}", meta.location)));
    }
    Ok(Fetched { folder, files })
}

async fn copy(store: &Arc<dyn ObjectStore>, meta: &ObjectMeta, path: &std::path::Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut stream = store.get(&meta.location).await?.into_stream();
    let mut length = 0;
    while let Some(bytes) = stream.try_next().await? {
        file.write_all(&bytes)?;
        length += bytes.len() as u64;
    }
    if length == meta.size {
        return Ok(());
    }
    Err(io::Error::other(format!("{length} bytes instead of {}", meta.size)))
}

impl Fetched {
    /// A message about a file here, as one about the object that it is.
    pub fn named(&self, message: &str) -> String {
        let here = self.folder.path().to_string_lossy();
        if !message.contains(&*here) {
            return message.to_string();
        }
        let rename = |message: String, (path, url): &(PathBuf, String)| message.replace(&*path.to_string_lossy(), url);
        self.files.iter().fold(message.to_string(), rename)
    }
}
