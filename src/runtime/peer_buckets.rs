//! Buckets of peers' own, which they name when they register. Who may write to such a bucket is between a peer and its
//! store.
//!
//! A node reads only buckets whose URLs begin as the run's settings allow (`chain.peer_buckets`). A peer could name any
//! machine, and the owner of a store decides what its stamps say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use object_store::ObjectStore;

use super::bucket;
use super::chain::allows;
use super::counted::CountedStore;
use super::metrics::NodeMetrics;
use crate::chain::ChainSettings;
use crate::node::ports::PeerBuckets;
use crate::transport::retry::{Backoff, RetryStore};

/// Number of buckets to keep open: more than there are slots.
const KEPT: usize = 1000;

/// The buckets that a node has opened.
pub struct OpenBuckets {
    settings: ChainSettings,
    metrics: NodeMetrics,
    /// By URL; `None` for a URL that is no bucket.
    opened: Mutex<BTreeMap<String, Option<Arc<dyn ObjectStore>>>>,
}

impl OpenBuckets {
    /// No bucket is open yet; for a run with these settings.
    pub fn new(settings: ChainSettings, metrics: NodeMetrics) -> Self {
        Self { settings, metrics, opened: Mutex::default() }
    }
}

impl PeerBuckets for OpenBuckets {
    fn open(&self, url: &str) -> Option<Arc<dyn ObjectStore>> {
        if !allows(&self.settings, url) {
            return None;
        }
        let mut opened = self.opened.lock().expect("no panic while held");
        if let Some(known) = opened.get(url) {
            return known.clone();
        }
        let found = bucket::open(url, false).inspect_err(|error| tracing::warn!(%error, "a peer's own bucket")).ok();
        let store = found.map(|found| {
            let counted = Arc::new(CountedStore::new(found.store, self.metrics.clone()));
            Arc::new(RetryStore::new(counted, Backoff::default())) as Arc<dyn ObjectStore>
        });
        if opened.len() == KEPT {
            opened.clear();
        }
        opened.insert(url.into(), store.clone());
        store
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Metrics;
    use crate::transport::Identity;

    #[test]
    fn only_what_the_run_allows_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            url::Url::from_file_path(path).unwrap().to_string()
        };
        let settings = ChainSettings { peer_buckets: vec![at("peers") + "/"], ..ChainSettings::default() };
        let hotkey = Identity::from_seed(1, "validator", 0).hotkey();
        let buckets = OpenBuckets::new(settings, Metrics::default().of_node(&hotkey));
        assert!(buckets.open(&at("peers/a")).is_some());
        assert!(buckets.open(&at("secret")).is_none());
        assert!(buckets.open(&at("peers-of-others/a")).is_none());
        assert!(buckets.open(&(at("peers") + "/nothing")).is_none());
        for way_out in ["../secret", "a/../../secret", "%2e%2e/secret", ".%2E/secret", ".\t./secret", "..\\secret"] {
            assert!(buckets.open(&(at("peers") + "/" + way_out)).is_none(), "{way_out}");
        }
    }
}
