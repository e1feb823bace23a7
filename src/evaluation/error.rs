//! Why a task's data is refused.

use std::path::PathBuf;

use thiserror::Error;

/// Why a task's data cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    /// No task has this name.
    #[error("there is no task {name:?}; expected some of {known}")]
    Unknown { name: String, known: String },
    /// A file cannot be read.
    #[error("{path}: {reason}; --data names the folder with a file TASK.jsonl for each task")]
    Unreadable { path: PathBuf, reason: String },
    /// A row does not fit the task, or cannot be encoded.
    #[error("{path}, line {line}: {problem}; --skip-bad-rows leaves such rows out")]
    Row { path: PathBuf, line: usize, problem: String },
    /// There is no row, or no usable one.
    #[error("{path}: {}", none(*.rows))]
    Empty { path: PathBuf, rows: usize },
}

fn none(rows: usize) -> String {
    match rows {
        0 => "it is empty".into(),
        1 => "its only row cannot be used".into(),
        _ => format!("none of its {rows} rows can be used"),
    }
}
