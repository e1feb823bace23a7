//! Long work on a thread of its own, while the calling thread shows progress and listens for Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use pyo3::prelude::*;

use super::errors::{Failure, Raised, raised};

/// Time between two looks for signals, and between two updates of a progress bar.
const TICK: Duration = Duration::from_millis(100);
/// A scenario's life takes more than a thread's usual stack when large models are in it.
const STACK: usize = 16 << 20;

/// Works, and raises what a hook raised. The first Ctrl-C asks the work to end well and waits for that; the second one
/// returns at once and leaves the thread to itself.
pub fn work<T: Send + 'static>(
    py: Python<'_>,
    failure: &Arc<Failure>,
    mut tick: impl FnMut(Python<'_>) -> PyResult<()>,
    job: impl FnOnce() -> PyResult<T> + Send + 'static,
) -> PyResult<T> {
    let (answer, mut answers) = channel();
    let guard = failure.clone();
    let thread = std::thread::Builder::new().name("gauntlet".into()).stack_size(STACK);
    let started = thread.spawn(move || {
        // Nobody waits any more after a second Ctrl-C.
        let _ = answer.send(guard.caught(job));
    });
    started.map_err(|error| raised(Raised::Failed, format!("the system starts no thread: {error}")))?;
    let mut stopped: Option<PyErr> = None;
    let done = loop {
        let answers = &mut answers;
        match py.detach(move || answers.recv_timeout(TICK)) {
            Ok(done) => break done,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(raised(Raised::Failed, "the thread is gone")),
        }
        if let Err(error) = py.check_signals().and_then(|()| tick(py)) {
            if stopped.is_some() {
                return Err(error);
            }
            failure.interrupt.store(true, Ordering::Relaxed);
            stopped = Some(error);
        }
    };
    match (done, stopped) {
        (Err(error), None) => Err(error),
        (Err(error), Some(stop)) => {
            error.set_cause(py, Some(stop));
            Err(error)
        }
        (Ok(_), Some(stop)) => Err(stop),
        (Ok(done), None) => tick(py).map(|()| done),
    }
}

/// Threads that compute: what was asked for, or all of the machine's.
pub fn threads(asked: Option<usize>) -> PyResult<usize> {
    match asked {
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        Some(threads) if (1..=1024).contains(&threads) => Ok(threads),
        Some(threads) => Err(raised(Raised::Scenario, format!("threads={threads}: expected 1 to 1024"))),
    }
}
