//! Saves a node's state while the node goes on: with 1.2 billion parameters it is ten gigabytes.

use std::mem::replace;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::state::StateFolder;
use crate::node::ports::NodeState;

/// Writes the states of one node, one after the other. While one is written, only the newest waits, so there are never
/// more than two in memory.
#[derive(Clone)]
pub struct Saver {
    folder: Arc<StateFolder>,
    work: Arc<Mutex<Work>>,
    /// Whether the node stands still while a state is written.
    in_place: bool,
}

#[derive(Default)]
struct Work {
    waiting: Option<(u64, NodeState)>,
    is_writing: bool,
    /// The node's saved state is to be removed.
    is_over: bool,
}

impl Saver {
    /// A saver for a node's folder.
    pub fn new(folder: StateFolder) -> Self {
        Self { folder: Arc::new(folder), work: Arc::default(), in_place: false }
    }

    /// The same one, which has written a state when it has taken it.
    pub fn in_place(self) -> Self {
        Self { in_place: true, ..self }
    }

    /// The folder to save to.
    pub fn folder(&self) -> &StateFolder {
        &self.folder
    }

    /// Takes the state before `round` and starts to write it. If that fails, the previous one is still there.
    ///
    /// # Panics
    /// Outside of a tokio runtime. A paused clock stands still until the state is written.
    pub fn save(&self, round: u64, state: NodeState) {
        let mut work = self.lock();
        work.waiting = Some((round, state));
        if replace(&mut work.is_writing, true) {
            return;
        }
        drop(work);
        if self.in_place {
            return self.write();
        }
        let saver = self.clone();
        tokio::task::spawn_blocking(move || saver.write());
    }

    fn write(&self) {
        while let Some((round, state)) = self.next() {
            if let Err(error) = self.folder.save(round, &state) {
                // It forgets to say that it does not write any more.
                #[cfg(test)]
                if crate::planted::is(crate::planted::Defect::FullDisk) {
                    return;
                }
                // The node can still catch up from the bucket.
                tracing::warn!(round, %error, "the node's state was not saved");
            }
        }
    }

    /// The next state to write. Without one, writing is over.
    fn next(&self) -> Option<(u64, NodeState)> {
        let mut work = self.lock();
        let next = work.waiting.take();
        if next.is_none() {
            work.is_writing = false;
            if work.is_over {
                self.remove();
            }
        }
        next
    }

    /// Waits until all saved states are written.
    pub async fn settle(&self) {
        while self.lock().is_writing {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Removes the state, now or once the current write ends.
    pub fn clear(&self) {
        let mut work = self.lock();
        (work.waiting, work.is_over) = (None, true);
        if !work.is_writing {
            self.remove();
        }
    }

    fn remove(&self) {
        if let Err(error) = self.folder.clear() {
            tracing::warn!(%error, "the node's state was not removed");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().expect("no panic while held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::transport::Identity;

    fn saver(folder: &std::path::Path) -> Saver {
        Saver::new(StateFolder::open(folder, Digest::of(b"run"), Identity::from_seed(1, "peer", 0).hotkey()).unwrap())
    }

    fn state(bytes: usize) -> NodeState {
        NodeState { bytes: vec![1; bytes], replicas: Vec::new(), average: None }
    }

    #[tokio::test]
    async fn the_last_state_is_the_one_that_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let saver = saver(folder.path());
        // The first write takes long enough for the others to arrive meanwhile.
        for round in 0..20 {
            saver.save(round, state(if round == 0 { 4 << 20 } else { 10 }));
        }
        saver.settle().await;
        let left = saver.folder().load(0).unwrap().unwrap();
        assert_eq!((left.round, left.bytes.len()), (19, 10));
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_node_that_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let saver = saver(folder.path());
        for is_written in [true, false] {
            saver.save(7, state(4 << 20));
            if is_written {
                saver.settle().await;
            }
            saver.clear();
            saver.settle().await;
            assert!(saver.folder().load(0).unwrap().is_none());
        }
    }
}
