//! What a behaviour sees in a round, lent to Python while a hook runs, and what a hook may wait for.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gauntlet::Uid;
use gauntlet::node::behaviour::{Claim, Surroundings};
use gauntlet::training::{PayloadShape, PseudoGradient};
use gauntlet::transport::Hotkey;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyList};

use super::payload::{Shape, to_python};
use super::random::Rng;
use super::values::bytes_of;

/// Surroundings that a hook may look at. They are gone when the hook has returned.
struct Lent(Mutex<Option<*const Surroundings<'static>>>);

// SAFETY: the pointer is read under the lock, only while the surroundings live (`Loan` clears it), and they are `Sync`.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

const _: () = {
    const fn is_sync<T: Sync>() {}
    is_sync::<Surroundings<'static>>();
};

/// The time for which surroundings are lent.
pub struct Loan<'a> {
    lent: Arc<Lent>,
    around: PhantomData<&'a ()>,
}

impl<'a> Loan<'a> {
    /// Lends surroundings until this is dropped.
    pub fn of(around: &'a Surroundings<'_>) -> Self {
        let pointer = std::ptr::from_ref(around).cast::<Surroundings<'static>>();
        Self { lent: Arc::new(Lent(Mutex::new(Some(pointer)))), around: PhantomData }
    }

    /// The handle for Python.
    pub fn handle(&self, around: &Surroundings<'_>) -> Handle {
        let seconds = |time: Duration| time.as_secs_f64();
        Handle {
            lent: self.lent.clone(),
            round: around.round,
            uid: around.uid,
            slot: around.slot,
            opens: seconds(around.window.opens),
            closes: seconds(around.window.closes),
        }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        *self.lent.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A round as a slot of a peer sees it. `gauntlet.Surroundings` wraps it.
#[pyclass(frozen, module = "gauntlet._native")]
pub struct Handle {
    lent: Arc<Lent>,
    #[pyo3(get)]
    round: u64,
    #[pyo3(get)]
    uid: Uid,
    #[pyo3(get)]
    slot: usize,
    #[pyo3(get)]
    opens: f64,
    #[pyo3(get)]
    closes: f64,
}

impl Handle {
    fn look<T>(&self, at: impl FnOnce(&Surroundings<'_>) -> PyResult<T>) -> PyResult<T> {
        let lent = self.lent.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pointer) = *lent else {
            let message = "these surroundings are of a hook that has returned; take what is needed while the hook runs";
            return Err(PyRuntimeError::new_err(message));
        };
        // SAFETY: the loan that made the pointer is alive, as it clears the pointer under this lock when it ends.
        at(unsafe { &*pointer })
    }
}

#[pymethods]
impl Handle {
    #[getter]
    fn rounds(&self) -> PyResult<u64> {
        self.look(|around| Ok(around.network.rules.rounds))
    }

    #[getter]
    fn uids(&self) -> PyResult<Vec<Option<Uid>>> {
        self.look(|around| Ok(around.uids.to_vec()))
    }

    #[getter]
    fn now(&self) -> PyResult<f64> {
        self.look(|around| Ok(around.ports.clock.now().as_secs_f64()))
    }

    /// The most pages that an upload may say; `None` where the network does not ask.
    #[getter]
    fn most_pages(&self) -> PyResult<Option<usize>> {
        self.look(|around| {
            let rules = &around.network.rules;
            let asked = rules.protocol.says_pages();
            Ok(asked.then(|| rules.protocol.pages_that_count(rules.training.pages_per_round)))
        })
    }

    #[getter]
    fn train_pages(&self) -> PyResult<u64> {
        self.look(|around| Ok(around.network.core.corpus.train_pages()))
    }

    /// Little-endian u64s.
    fn assigned<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyByteArray>> {
        self.look(|around| bytes_of(py, around.pages(around.expected).into_iter()))
    }

    fn extra<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyByteArray>> {
        self.look(|around| {
            let most = around.network.rules.training.pages_per_round.saturating_mul(100);
            if count > most {
                return Err(PyValueError::new_err(format!("extra({count}): expected {most} pages at most")));
            }
            bytes_of(py, around.further(count).into_iter())
        })
    }

    fn rng(&self, purpose: &str) -> PyResult<Rng> {
        if purpose.starts_with(gauntlet::random::KEYS) {
            return Err(PyValueError::new_err(format!("rng({purpose:?}): keys are drawn by those who know the seed")));
        }
        self.look(|around| Ok(Rng::of(around.rng(purpose))))
    }

    fn shape(&self) -> PyResult<Shape> {
        self.look(|around| Ok(Shape(around.network.shape.clone())))
    }

    /// The payloads of the operator's slots so far, `None` where a slot has none.
    fn own<'py>(&self, py: Python<'py>, shape: &Bound<'py, Shape>) -> PyResult<Bound<'py, PyList>> {
        self.look(|around| {
            let own = around.own.iter().map(|own| own.as_ref().map(|own| to_python(py, own, shape)).transpose());
            PyList::new(py, own.collect::<PyResult<Vec<_>>>()?)
        })
    }
}

/// What a hook waits for: the `what` of a `gauntlet.behaviours.Awaited`.
pub enum Asked {
    Until(Duration),
    For(Duration),
    Peers { strangers: bool },
    Upload { uid: Uid, round: Option<u64> },
    Claim { uid: Uid, round: Option<u64> },
    Aggregated { round: u64 },
}

impl Asked {
    /// Reads what a coroutine has yielded.
    pub fn read(yielded: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Ok(what) = yielded.getattr("what") else {
            let name = yielded.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "a hook awaited a {name}; in the simulated world it can await what `around` offers, and nothing of asyncio"
            )));
        };
        let name: String = what.get_item(0)?.extract()?;
        // A round before the first is one of which there is nothing.
        let round = |at: usize| -> PyResult<Option<u64>> {
            let round: Option<i64> = what.get_item(at)?.extract()?;
            Ok(round.map(|round| u64::try_from(round).unwrap_or(u64::MAX)))
        };
        let of_peer = || Ok::<_, PyErr>((what.get_item(1)?.extract()?, round(2)?));
        match name.as_str() {
            "until" => Ok(Self::Until(seconds(what.get_item(1)?.extract()?)?)),
            "for" => Ok(Self::For(seconds(what.get_item(1)?.extract()?)?)),
            "peers" => Ok(Self::Peers { strangers: what.get_item(1)?.extract()? }),
            "upload" => of_peer().map(|(uid, round)| Self::Upload { uid, round }),
            "claim" => of_peer().map(|(uid, round)| Self::Claim { uid, round }),
            "aggregated" => Ok(Self::Aggregated { round: round(1)?.unwrap_or(u64::MAX) }),
            other => Err(PyTypeError::new_err(format!("`{other}` cannot be awaited"))),
        }
    }

    /// Waits for it.
    pub async fn answered(self, around: &Surroundings<'_>) -> Answer {
        let clock = &around.ports.clock;
        match self {
            Self::Until(at) => clock.sleep_until(at).await,
            Self::For(time) => clock.sleep(time).await,
            Self::Peers { strangers } => {
                let chain = around.ports.chain.view().await;
                let peers = if strangers { around.strangers(&*chain) } else { around.others(&*chain) };
                let peer = |(uid, hotkey): (Uid, Hotkey)| (uid, hotkey.to_string(), chain.incentive(uid));
                return Answer::Peers(peers.into_iter().map(peer).collect());
            }
            Self::Upload { uid, round } => {
                let Some(hotkey) = hotkey_of(around, uid).await else { return Answer::Nothing };
                let found = around.upload_of(round.unwrap_or(around.round), uid, hotkey).await;
                return found.map_or(Answer::Nothing, Answer::Payload);
            }
            Self::Claim { uid, round } => {
                let Some(hotkey) = hotkey_of(around, uid).await else { return Answer::Nothing };
                let found = around.claim_of(round.unwrap_or(around.round), uid, hotkey).await;
                return found.map_or(Answer::Nothing, Answer::Claim);
            }
            Self::Aggregated { round } => {
                let payloads = around.aggregated(round).await;
                return Answer::Payloads(payloads.iter().map(|payload| payload.as_ref().clone()).collect());
            }
        }
        Answer::Nothing
    }
}

async fn hotkey_of(around: &Surroundings<'_>, uid: Uid) -> Option<Hotkey> {
    let peers = around.ports.chain.view().await.peers();
    peers.into_iter().find(|(other, _)| *other == uid).map(|(_, hotkey)| Hotkey(hotkey))
}

/// Longest wait, in seconds: far beyond any round, and safe to add to a time.
const MOST_SECONDS: f64 = 1e9;

/// A time of a hook.
pub fn seconds(seconds: f64) -> PyResult<Duration> {
    if (0.0..=MOST_SECONDS).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err(PyValueError::new_err(format!("{seconds} s: expected seconds from 0 to {MOST_SECONDS:e}")))
}

/// The answer to what a hook waited for.
pub enum Answer {
    Nothing,
    Peers(Vec<(Uid, String, f64)>),
    Payload(PseudoGradient),
    Payloads(Vec<PseudoGradient>),
    Claim(Claim),
}

impl Answer {
    /// The answer for Python.
    pub fn into_python<'py>(self, py: Python<'py>, shape: &PayloadShape) -> PyResult<Bound<'py, PyAny>> {
        let shared = || Bound::new(py, Shape(shape.clone()));
        match self {
            Self::Nothing => Ok(py.None().into_bound(py)),
            Self::Peers(peers) => py.import("gauntlet.behaviours")?.getattr("_peers")?.call1((peers,)),
            Self::Payload(payload) => to_python(py, &payload, &shared()?),
            Self::Payloads(payloads) => {
                let shape = shared()?;
                let payloads = payloads.iter().map(|payload| to_python(py, payload, &shape));
                Ok(PyList::new(py, payloads.collect::<PyResult<Vec<_>>>()?)?.into_any())
            }
            Self::Claim(claim) => claim_to_python(py, &claim),
        }
    }
}

/// A claim for Python.
pub fn claim_to_python<'py>(py: Python<'py>, claim: &Claim) -> PyResult<Bound<'py, PyAny>> {
    let samples: Vec<f32> = claim.samples.iter().flatten().copied().collect();
    let samples = bytes_of(py, samples.into_iter())?;
    py.import("gauntlet.behaviours")?.getattr("_claim")?.call1((claim.model.to_string(), samples, claim.pages))
}
