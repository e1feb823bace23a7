//! Errors across the border: Rust's become Python exceptions, and the first exception of a hook ends what runs.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyType;

use super::words::in_python_words;

/// The exceptions of `gauntlet.errors`.
#[derive(Clone, Copy)]
pub enum Raised {
    /// A scenario, or a setting of a call, is wrong.
    Scenario,
    /// A run folder or the folder of an experiment cannot be used.
    Folder,
    /// A run or an experiment failed.
    Failed,
}

/// A Python exception with this message.
pub fn raised(kind: Raised, message: impl std::fmt::Display) -> PyErr {
    let name = match kind {
        Raised::Scenario => "ScenarioError",
        Raised::Folder => "RunFolderError",
        Raised::Failed => "GauntletError",
    };
    let message = in_python_words(&message.to_string());
    Python::attach(|py| {
        let class = py.import("gauntlet.errors").and_then(|module| module.getattr(name));
        match class.and_then(|class| class.cast_into::<PyType>().map_err(PyErr::from)) {
            Ok(class) => PyErr::from_type(class, message),
            Err(error) => error,
        }
    })
}

/// What unwinds when a hook has raised an exception, which [`Failure`] keeps.
struct Ended;

/// The first exception that a hook raised, and the switch that ends everything else.
#[derive(Default)]
pub struct Failure {
    first: Mutex<Option<PyErr>>,
    /// Asks a run to end after its round.
    pub interrupt: Arc<AtomicBool>,
}

impl Failure {
    /// Calls Python. An exception is kept, and ends the node that called.
    pub fn guard<R>(&self, place: impl FnOnce() -> String, call: impl FnOnce(Python<'_>) -> PyResult<R>) -> R {
        match Python::try_attach(call) {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => {
                Python::attach(|py| {
                    // A note is a help, and its own failure is none.
                    let _ = error.value(py).call_method1("add_note", (place(),));
                });
                self.end(error)
            }
            // The interpreter is shutting down, so there is nobody left to tell.
            None => resume_unwind(Box::new(Ended)),
        }
    }

    /// Ends the node. Nothing is printed: the exception is raised where the run was started.
    fn end(&self, error: PyErr) -> ! {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.interrupt.store(true, Ordering::Relaxed);
        resume_unwind(Box::new(Ended))
    }

    /// Runs work that hooks may end; `None` if one did.
    pub fn ended<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(done) => Some(done),
            Err(panic) if panic.is::<Ended>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// The exception, if a hook raised one.
    pub fn take(&self) -> Option<PyErr> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs work that may call hooks; no panic leaves it.
    pub fn caught<T>(&self, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
        let done = catch_unwind(AssertUnwindSafe(work));
        if let Some(error) = self.take() {
            return Err(error);
        }
        done.unwrap_or_else(|panic| {
            let told = panic.downcast_ref::<String>().cloned();
            let told = told.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
            Err(raised(Raised::Failed, format!("a defect of gauntlet; please report it with the scenario: {told}")))
        })
    }
}
