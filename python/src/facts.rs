//! The facts of a round as Python sees them, and the comparisons of its uploads, lent while `observe` runs.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;

use gauntlet::Uid;
use gauntlet::mechanism::{Comparisons, Facts};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::values::bytes_of;

struct Lent(Mutex<Option<*const (dyn Comparisons + 'static)>>, ThreadId);

// SAFETY: the pointer is read under the lock, on the thread that lent it, and only while the comparisons live.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

/// The time for which comparisons are lent.
pub struct Loan<'a>(Arc<Lent>, PhantomData<&'a ()>);

impl<'a> Loan<'a> {
    /// Lends comparisons until this is dropped.
    pub fn of(uploads: &'a dyn Comparisons) -> Self {
        // SAFETY: only the lifetime changes; the pointer is cleared before the reference ends.
        let pointer = unsafe {
            std::mem::transmute::<*const (dyn Comparisons + 'a), *const (dyn Comparisons + 'static)>(uploads)
        };
        Self(Arc::new(Lent(Mutex::new(Some(pointer)), std::thread::current().id())), PhantomData)
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Compares the uploads of a round.
#[pyclass(frozen, module = "gauntlet._native")]
pub struct Uploads(Arc<Lent>);

impl Uploads {
    fn look<T>(&self, at: impl FnOnce(&dyn Comparisons) -> T) -> PyResult<T> {
        let lent = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *lent {
            // SAFETY: the loan is alive, as it clears the pointer under this lock; and this is its thread.
            Some(pointer) if std::thread::current().id() == self.0.1 => Ok(at(unsafe { &*pointer })),
            Some(_) => Err(PyRuntimeError::new_err("uploads are compared on the thread that calls `observe`")),
            None => Err(PyRuntimeError::new_err("uploads can be compared while `observe` runs; keep the results")),
        }
    }
}

#[pymethods]
impl Uploads {
    fn cosine(&self, a: Uid, b: Uid) -> PyResult<Option<f64>> {
        self.look(|uploads| uploads.cosine(a, b))
    }

    /// (earlier, later, shared) of pairs that share at least `least`.
    fn overlaps(&self, least: f64, salt: u64) -> PyResult<Vec<(Uid, Uid, f64)>> {
        let found = self.look(|uploads| uploads.overlaps(least, salt))?;
        Ok(found.into_iter().map(|pair| (pair.earlier, pair.later, pair.shared)).collect())
    }
}

/// `gauntlet.Facts`.
pub fn to_python<'py>(py: Python<'py>, facts: &Facts, loan: &Loan<'_>) -> PyResult<Bound<'py, PyAny>> {
    let peers = &facts.peers;
    let numbers =
        |of: &dyn Fn(usize) -> Option<f64>| bytes_of(py, (0..peers.len()).map(|at| of(at).unwrap_or(f64::NAN)));
    let uids = bytes_of(py, peers.iter().map(|peer| peer.uid))?;
    let arrivals: Vec<&str> = peers.iter().map(|peer| peer.arrival.name()).collect();
    let behind = numbers(&|at| peers[at].steps_behind)?;
    let stamps = numbers(&|at| peers[at].stamp_ms.map(|stamp| stamp as f64 / 1e3))?;
    let paid = numbers(&|at| Some(peers[at].paid))?;
    let work = numbers(&|at| Some(peers[at].work))?;
    let same_model: Vec<bool> = peers.iter().map(|peer| peer.same_model).collect();
    let hex = |digest: gauntlet::digest::Digest| digest.to_string();
    let states: Vec<Option<(String, String)>> =
        peers.iter().map(|peer| peer.states.map(|states| (hex(states.before), hex(states.after)))).collect();
    let uploads = Bound::new(py, Uploads(loan.0.clone()))?;
    let class = py.import("gauntlet.mechanisms")?.getattr("Facts")?;
    class.call_method1(
        "_of",
        (
            (facts.round, facts.weights_every),
            uids,
            arrivals,
            (behind, stamps, paid, work),
            (same_model, states),
            uploads,
        ),
    )
}
