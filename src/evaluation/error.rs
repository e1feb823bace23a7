//! What can be wrong with a task's data.

use std::path::PathBuf;

use thiserror::Error;

/// Why a task's data cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    /// A task that there is not.
    #[error("there is no task {name:?}; expected some of {known}")]
    Unknown { name: String, known: String },
    /// A file that cannot be read.
    #[error("{path}: {reason}; --data names the folder with a file TASK.jsonl for each task")]
    Unreadable { path: PathBuf, reason: String },
    /// A row that is none of the task's, or that the tokenizer makes nothing of.
    #[error("{path}, line {line}: {problem}; --skip-bad-rows leaves such rows out")]
    Row { path: PathBuf, line: usize, problem: String },
    /// No row, or none that can be used.
    #[error("{path}: no row can be used, of {rows} in all")]
    Empty { path: PathBuf, rows: usize },
}
