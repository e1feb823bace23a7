//! The place of a node in a storm: its present life, its link, its disk.

use std::path::{Path, PathBuf};

use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};

use crate::node::ports::{Clock, Ports};
use crate::transport::simulated::SimLink;

/// The place of a node, over all its lives.
pub struct Seat {
    pub is_honest: bool,
    pub ports: Vec<Ports>,
    /// How its last life ended, if it has.
    pub end: Option<End>,
    /// Ends that no life may have, of all lives.
    pub wrong_ends: Vec<End>,
    pub link: SimLink,
    pub folder: PathBuf,
    pub clock: Option<Clock>,
    pub living: Option<Living>,
    /// The fault that killed it, if it is dead.
    pub killed_by: Option<usize>,
    pub full_disks: usize,
}

/// A life under way.
pub struct Living {
    pub life: watch::Sender<bool>,
    pub task: JoinHandle<End>,
}

/// How a life ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Killed,
    Finished,
    /// It could not be started.
    Refused(String),
    Panicked(String),
}

impl Seat {
    /// How its last life ended, if it has.
    pub async fn settle(&mut self) -> Option<End> {
        if let Some(living) = self.living.take_if(|living| living.task.is_finished()) {
            self.note(ended(living.task.await));
        }
        self.end.clone()
    }

    /// Waits for the end of a life that is over. Nothing of it is left but what it wrote.
    pub async fn bury(&mut self) {
        self.ports.clear();
        self.clock = None;
        if let Some(living) = self.living.take() {
            self.note(ended(living.task.await));
        }
    }

    /// Notes how a life ended.
    pub fn note(&mut self, end: End) {
        if matches!(end, End::Refused(_) | End::Panicked(_)) {
            self.wrong_ends.push(end.clone());
        }
        self.end = Some(end);
    }

    /// Where its state lies now.
    pub fn place(&self) -> PathBuf {
        if self.full_disks > 0 { self.folder.with_extension("full") } else { self.folder.clone() }
    }

    /// Where a copy of its state lies, for a fault.
    pub fn beside(&self, index: usize) -> PathBuf {
        self.folder.with_extension(format!("kept-{index}"))
    }

    /// From now on nothing can be written: the folder is not where the node writes.
    pub fn fill_disk(&mut self) {
        drop(std::fs::rename(&self.folder, self.folder.with_extension("full")));
    }

    pub fn free_disk(&mut self) {
        drop(std::fs::rename(self.folder.with_extension("full"), &self.folder));
    }
}

fn ended(joined: Result<End, JoinError>) -> End {
    match joined {
        Ok(end) => end,
        Err(error) if error.is_panic() => {
            let panic = error.into_panic();
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            End::Panicked(text.unwrap_or_else(|| "without a message".into()))
        }
        Err(_) => End::Killed,
    }
}

/// Copies the files of a node's state, if there are any.
pub fn copy_states(from: &Path, to: &Path) {
    let Ok(files) = std::fs::read_dir(from) else { return };
    drop(std::fs::create_dir_all(to));
    for file in files.flatten() {
        drop(std::fs::copy(file.path(), to.join(file.file_name())));
    }
}
