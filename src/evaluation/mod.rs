//! Zero-shot tasks, as EleutherAI's lm-evaluation-harness defines them: a question, some answers, and which of them the
//! model finds most likely.
//!
//! | file | what it holds |
//! |---|---|
//! | `task`, `row` | the tasks: a row of data to a question |
//! | `python` | string methods of Python, which prepare texts |
//! | `data` | the questions of a file, and the rows left out |
//! | `encode` | a question to tokens |
//! | `score` | log-likelihoods by a model |
//! | `results` | accuracies, and the harness's `results.json` |

mod data;
mod encode;
mod error;
mod python;
mod results;
mod row;
mod score;
mod task;

pub use data::TaskData;
pub use encode::{Encoded, encode};
pub use error::DataError;
pub use results::{Accuracy, TaskResult, report};
pub use score::{Answer, Pass, log_likelihoods};
pub use task::{Question, Task};
