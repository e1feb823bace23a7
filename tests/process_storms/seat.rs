//! The place of a node in a storm: its present process, and how the ones before it ended.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use super::nodes::Node;
use super::skew::Skew;
use super::sky::Processes;

/// A node over all its lives.
pub struct Seat {
    pub number: usize,
    pub node: Node,
    pub is_honest: bool,
    pub life: Life,
    pub full_disks: usize,
    _clock: Skew,
    processes: Processes,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It does not live by the network's clock yet.
    Starts,
    Lives,
    /// It was killed. It stays so until the fault of this number ends, or is started at once without one.
    Killed(Option<usize>),
    /// It could not start, because the store failed.
    Refused,
    Finished,
}

impl Seat {
    /// A node that does not run yet.
    pub fn new(number: usize, node: Node, is_honest: bool, clock: Skew, processes: Processes) -> Self {
        Self { number, node, is_honest, life: Life::Refused, full_disks: 0, _clock: clock, processes }
    }

    /// Starts a process.
    pub fn start(&mut self) {
        let mut process = self.processes[self.number].lock().unwrap();
        self.node.start();
        *process = self.node.process();
        self.life = Life::Starts;
    }

    /// `kill -9`, if it runs; whether it did.
    pub fn kill(&mut self, by: Option<usize>) -> bool {
        if !matches!(self.life, Life::Starts | Life::Lives) {
            return false;
        }
        let mut process = self.processes[self.number].lock().unwrap();
        self.node.kill();
        *process = None;
        self.life = Life::Killed(by);
        true
    }

    /// Notes that its process has ended, if it has; the error is an end that no life may have. `felled` tells which fault
    /// has killed it.
    pub fn tend(&mut self, felled: impl FnOnce() -> Option<usize>) -> Result<(), String> {
        let mut process = self.processes[self.number].lock().unwrap();
        let Some(status) = self.node.ended() else { return Ok(()) };
        *process = None;
        drop(process);
        let before = self.life;
        if status.signal() == Some(libc::SIGKILL)
            && let Some(fault) = felled()
        {
            self.life = Life::Killed(Some(fault));
            return Ok(());
        }
        if status.success() {
            self.life = Life::Finished;
            return Ok(());
        }
        self.life = Life::Refused;
        match before {
            Life::Starts if status.code() == Some(1) => Ok(()),
            _ => Err(format!("{} ended while it lived: {status}", self.node.name)),
        }
    }

    /// Where a copy of its state lies, for a fault.
    pub fn beside(&self, index: usize) -> PathBuf {
        self.node.state().with_extension(format!("kept-{index}"))
    }

    /// What it may write from now on.
    pub fn limit_disk(&self) {
        if self.life == Life::Lives {
            self.node.limit_files((self.full_disks > 0).then_some(0));
        }
    }
}

/// Copies the files of a node's state, if there are any, in place of what is there.
pub fn copy_states(from: &Path, to: &Path) {
    drop(std::fs::remove_dir_all(to));
    let Ok(files) = std::fs::read_dir(from) else { return };
    std::fs::create_dir_all(to).unwrap();
    for file in files.flatten() {
        // A node that lives renames its files meanwhile.
        drop(std::fs::copy(file.path(), to.join(file.file_name())));
    }
}
