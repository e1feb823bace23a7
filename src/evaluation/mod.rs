//! Zero-shot tasks, as EleutherAI's lm-evaluation-harness defines them: a question, some answers, and which of them the
//! model finds most likely.
//!
//! | file | what it holds |
//! |---|---|
//! | `task` | the tasks: from a row of their data to a question |
//! | `encode` | from a question to tokens |
//! | `score` | log-likelihoods by a model |
//! | `results` | accuracies, and the harness's `results.json` |

mod encode;
mod results;
mod score;
mod task;

pub use encode::{Encoded, encode};
pub use results::{Accuracy, TaskResult, report};
pub use score::{Answer, Pass, log_likelihoods};
pub use task::{DataError, Question, Task, read_questions};
