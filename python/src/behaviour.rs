//! A behaviour whose hooks are methods of a Python object. A hook that the class does not have is the honest one, and costs
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gauntlet::corpus::PageId;
use gauntlet::digest::Digest;
use gauntlet::node::behaviour::{Behaviour, BehaviourSettings, Claim, Presence, Surroundings};
use gauntlet::random::Seed;
use gauntlet::settings::Findings;
use gauntlet::training::{Labels, Poison, PseudoGradient, Trigger};
use pyo3::exceptions::{PyStopIteration, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use toml::Table;

use super::around::{Answer, Asked, Handle, Loan, claim_to_python, seconds};
use super::errors::Failure;
use super::kinds::Class;
use super::payload::{Shape, of_python, to_python};
use super::values::array;

/// The settings of a class that is a behaviour.
pub struct ClassBehaviour {
    pub class: Arc<Class>,
    pub settings: Table,
    pub failure: Arc<Failure>,
}

impl ClassBehaviour {
    /// An attribute that objects with these settings have, if the class has it at all.
    fn attribute<T>(&self, name: &str, read: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> Option<T> {
        let read = |object: &Bound<'_, PyAny>| read(&object.getattr(name)?);
        self.class.has(name).then(|| self.class.attribute(&self.failure, &self.settings, read))
    }
}

impl BehaviourSettings for ClassBehaviour {
    fn check(&self, found: &mut Findings) {
        self.class.check(&self.failure, &self.settings, found);
    }

    fn label(&self) -> Option<String> {
        self.attribute("label", |label| label.extract()).flatten()
    }

    fn renews(&self) -> Option<u64> {
        self.attribute("renews", |renews| renews.extract()).flatten()
    }

    fn trigger(&self) -> Option<Trigger> {
        self.attribute("trigger", |trigger| if trigger.is_none() { Ok(None) } else { trigger_of(trigger).map(Some) })
            .flatten()
    }

    fn build(&self) -> Box<dyn Behaviour> {
        let place = || format!("while a peer of the behaviour `{}` was made", self.class.kind);
        let object = self.failure.guard(place, |py| self.class.build(py, &self.settings, None));
        Box::new(Peer { object, class: self.class.clone(), failure: self.failure.clone() })
    }
}

/// A peer that asks a Python object.
struct Peer {
    object: Py<PyAny>,
    class: Arc<Class>,
    failure: Arc<Failure>,
}

impl Peer {
    /// Asks the object; its exception ends the run.
    fn ask<T>(
        &self,
        hook: &str,
        around: Option<&Surroundings<'_>>,
        ask: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> T {
        let place = || match around {
            Some(around) => format!(
                "in `{hook}` of the behaviour `{}`, uid {}, round {}",
                self.class.kind, around.uid, around.round
            ),
            None => format!("in `{hook}` of the behaviour `{}`", self.class.kind),
        };
        self.failure.guard(place, |py| ask(self.object.bind(py)))
    }

    /// An attribute, which the object may change from round to round.
    fn attribute<T>(&self, name: &str, honest: T, read: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> T {
        if self.class.has(name) { self.ask(name, None, |object| read(&object.getattr(name)?)) } else { honest }
    }

    /// Calls a hook that may look around but not wait.
    fn look<T>(
        &self,
        hook: &str,
        around: &Surroundings<'_>,
        read: impl FnOnce(&Bound<'_, PyAny>, Bound<'_, PyAny>) -> PyResult<T>,
    ) -> T {
        let loan = Loan::of(around);
        self.ask(hook, Some(around), |object| {
            let seen = seen(object.py(), loan.handle(around))?;
            read(object, seen)
        })
    }

    /// Calls a hook that may wait: a function, or a coroutine that asks for what it waits for.
    async fn wait<T>(
        &self,
        hook: &str,
        around: &Surroundings<'_>,
        call: impl FnOnce(&Bound<'_, PyAny>, Bound<'_, PyAny>) -> PyResult<Py<PyAny>>,
        read: impl Fn(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> T {
        let loan = Loan::of(around);
        let begun = self.ask(hook, Some(around), |object| {
            let answer = call(object, seen(object.py(), loan.handle(around))?)?.into_bound(object.py());
            // A coroutine runs when something is sent to it.
            let waits = answer.hasattr("send")? && answer.hasattr("cr_await")?;
            if waits { Ok(Step::Begins(answer.unbind())) } else { read(&answer).map(Step::Done) }
        });
        let coroutine = match begun {
            Step::Done(answer) => return answer,
            Step::Begins(coroutine) => coroutine,
        };
        let mut answer = Answer::Nothing;
        loop {
            let next = self.ask(hook, Some(around), |object| {
                let py = object.py();
                let sent = answer.into_python(py, &around.network.shape)?;
                match coroutine.bind(py).call_method1("send", (sent,)) {
                    Ok(yielded) => Asked::read(&yielded).map(Next::Waits),
                    Err(stop) if stop.is_instance_of::<PyStopIteration>(py) => {
                        read(&stop.value(py).getattr("value")?).map(Next::Returns)
                    }
                    Err(error) => Err(error),
                }
            });
            match next {
                Next::Returns(answer) => return answer,
                Next::Waits(asked) => answer = asked.answered(around).await,
            }
        }
    }
}

enum Step<T> {
    Begins(Py<PyAny>),
    Done(T),
}

enum Next<T> {
    Waits(Asked),
    Returns(T),
}

/// `gauntlet.Surroundings` over a handle.
fn seen<'py>(py: Python<'py>, handle: Handle) -> PyResult<Bound<'py, PyAny>> {
    py.import("gauntlet.behaviours")?.getattr("Surroundings")?.call1((handle,))
}

fn trigger_of(trigger: &Bound<'_, PyAny>) -> PyResult<Trigger> {
    Ok(Trigger { tokens: trigger.getattr("tokens")?.extract()?, target: trigger.getattr("target")?.extract()? })
}

fn poison_of(poison: &Bound<'_, PyAny>) -> PyResult<Poison> {
    if poison.is_none() {
        return Ok(Poison::default());
    }
    let labels = match poison.getattr("labels")?.extract::<String>()?.as_str() {
        "true" => Labels::True,
        "flipped" => Labels::Flipped,
        other => return Err(PyValueError::new_err(format!("labels={other:?}; expected \"true\" or \"flipped\""))),
    };
    let trigger = poison.getattr("trigger")?;
    let part: f64 = poison.getattr("part")?.extract()?;
    if !(0.0..=1.0).contains(&part) {
        return Err(PyValueError::new_err(format!("part={part}; expected a fraction, 0 to 1")));
    }
    let backdoor = if trigger.is_none() { None } else { Some((trigger_of(&trigger)?, part)) };
    Ok(Poison { labels, backdoor, lot: poison.getattr("lot")?.extract()? })
}

fn presence_of(answer: &Bound<'_, PyAny>) -> PyResult<Presence> {
    match answer.extract::<String>().as_deref() {
        Ok("active") => Ok(Presence::Active),
        Ok("away") => Ok(Presence::Away),
        Ok("paused") => Ok(Presence::Paused),
        _ => Err(PyValueError::new_err(format!("presence is {answer}; expected \"active\", \"away\" or \"paused\""))),
    }
}

fn claim_of(answer: &Bound<'_, PyAny>, around: &Surroundings<'_>) -> PyResult<Claim> {
    let model: String = answer.getattr("model")?.extract()?;
    let model = digest_of(&model)
        .ok_or_else(|| PyValueError::new_err(format!("claim.model is {model:?}; expected 64 hexadecimal digits")))?;
    let tensors = around.network.shape.tensors.len();
    let samples = answer.getattr("samples")?;
    let flat = samples.call_method1("reshape", (-1,)).unwrap_or_else(|_| samples.clone());
    let flat: Vec<f32> = array(&flat, "claim.samples, flattened,", "float32", 2 * tensors)?;
    let samples = flat.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
    Ok(Claim { model, samples, pages: answer.getattr("pages")?.extract().map_err(|_: PyErr| no_pages("claim.pages"))? })
}

fn no_pages(what: &str) -> PyErr {
    PyTypeError::new_err(format!("{what} is no number of pages; expected an int, 0 or more"))
}

fn digest_of(text: &str) -> Option<Digest> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(Digest(bytes))
}

#[async_trait]
impl Behaviour for Peer {
    fn presence(&mut self, _seed: Seed, _who: u64, round: u64) -> Presence {
        if !self.class.has("presence") {
            return Presence::Active;
        }
        self.ask("presence", None, |object| presence_of(&object.call_method1("presence", (round,))?))
    }

    fn trains(&self) -> bool {
        self.attribute("trains", true, |trains| trains.extract())
    }

    async fn works(&mut self, around: &Surroundings<'_>) -> bool {
        if !self.class.has("works") {
            return true;
        }
        self.wait("works", around, |object, seen| Ok(object.call_method1("works", (seen,))?.unbind()), |a| a.extract())
            .await
    }

    fn forgets(&self) -> f64 {
        self.attribute("forgets", 0.0, |part| match part.extract()? {
            part if (0.0..=1.0).contains(&part) => Ok(part),
            part => Err(PyValueError::new_err(format!("forgets is {part}; expected a bool or a fraction from 0 to 1"))),
        })
    }

    fn part_of_page(&self) -> f64 {
        self.attribute("part_of_page", 1.0, |part| match part.extract()? {
            part if part > 0.0 && part <= 1.0 => Ok(part),
            part => {
                Err(PyValueError::new_err(format!("part_of_page is {part}; expected a fraction above 0, 1 at most")))
            }
        })
    }

    fn pages(&mut self, around: &Surroundings) -> Vec<PageId> {
        if !self.class.has("pages") {
            return around.pages(around.expected);
        }
        let all = around.network.core.corpus.train_pages();
        self.look("pages", around, |object, seen| {
            let pages: Vec<PageId> = object.call_method1("pages", (seen,))?.extract().map_err(|error: PyErr| {
                PyTypeError::new_err(format!("pages returned no whole numbers: {error}; expected an array of uint64"))
            })?;
            match pages.iter().find(|page| **page >= all) {
                Some(page) => Err(PyValueError::new_err(format!("page {page}; expected pages below {all}"))),
                None if pages.is_empty() => {
                    Err(PyValueError::new_err("no pages; let `works` return False to skip a round"))
                }
                None => Ok(pages),
            }
        })
    }

    fn poison(&self, around: &Surroundings) -> Poison {
        if !self.class.has("poison") {
            return Poison::default();
        }
        self.look("poison", around, |object, seen| poison_of(&object.call_method1("poison", (seen,))?))
    }

    fn model_age(&self) -> usize {
        self.attribute("model_age", 0, |age| match age.extract()? {
            age @ 0..=1000 => Ok(age),
            age => Err(PyValueError::new_err(format!("model_age is {age}; expected rounds, 0 to 1000"))),
        })
    }

    fn mends(&self) -> bool {
        self.attribute("mends", true, |mends| mends.extract())
    }

    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        if !self.class.has("pseudo_gradient") {
            return own;
        }
        let call = |object: &Bound<'_, PyAny>, seen: Bound<'_, PyAny>| {
            let py = object.py();
            let shape = Bound::new(py, Shape(around.network.shape.clone()))?;
            let own = own.as_ref().map(|own| to_python(py, own, &shape)).transpose()?;
            Ok(object.call_method1("pseudo_gradient", (own, seen))?.unbind())
        };
        let read = |answer: &Bound<'_, PyAny>| match answer.is_none() {
            true => Ok(None),
            false => of_python(answer, &around.network.shape, "the pseudo-gradient").map(Some),
        };
        self.wait("pseudo_gradient", around, call, read).await
    }

    fn pages_said(&self, expected: usize) -> usize {
        if !self.class.has("pages_said") {
            return expected;
        }
        self.ask("pages_said", None, |object| {
            let said = object.call_method1("pages_said", (expected,))?;
            said.extract().map_err(|_: PyErr| no_pages("pages_said"))
        })
    }

    async fn claim(&self, own: Claim, around: &Surroundings<'_>) -> Claim {
        if !self.class.has("claim") {
            return own;
        }
        let call = |object: &Bound<'_, PyAny>, seen: Bound<'_, PyAny>| {
            Ok(object.call_method1("claim", (claim_to_python(object.py(), &own)?, seen))?.unbind())
        };
        self.wait("claim", around, call, |answer| claim_of(answer, around)).await
    }

    fn bytes(&self, signed: Bytes, around: &Surroundings) -> Bytes {
        if !self.class.has("bytes") {
            return signed;
        }
        self.look("bytes", around, |object, seen| {
            let sent = object.call_method1("bytes", (PyBytes::new(object.py(), &signed), seen))?;
            let sent = sent.cast::<PyBytes>().map_err(|_| PyTypeError::new_err("`bytes` returned no bytes"))?;
            Ok(Bytes::copy_from_slice(sent.as_bytes()))
        })
    }

    fn put_at(&self, around: &Surroundings) -> Duration {
        if !self.class.has("put_at") {
            return around.put_spread();
        }
        self.look("put_at", around, |object, seen| seconds(object.call_method1("put_at", (seen,))?.extract()?))
    }

    async fn key(&self, own: Bytes, around: &Surroundings<'_>) -> Option<Bytes> {
        if !self.class.has("key") {
            return Some(own);
        }
        let call = |object: &Bound<'_, PyAny>, seen: Bound<'_, PyAny>| {
            Ok(object.call_method1("key", (PyBytes::new(object.py(), &own), seen))?.unbind())
        };
        let read = |answer: &Bound<'_, PyAny>| match answer.is_none() {
            true => Ok(None),
            false => {
                let key = answer.cast::<PyBytes>();
                let key = key.map_err(|_| PyTypeError::new_err("`key` returned neither bytes nor None"))?;
                Ok(Some(Bytes::copy_from_slice(key.as_bytes())))
            }
        };
        self.wait("key", around, call, read).await
    }

    fn reveal_at(&self, around: &Surroundings) -> Duration {
        if !self.class.has("reveal_at") {
            return around.reveal_spread();
        }
        self.look("reveal_at", around, |object, seen| seconds(object.call_method1("reveal_at", (seen,))?.extract()?))
    }

    fn save(&self) -> Vec<u8> {
        self.ask("save", None, |object| saved(&object.call_method0("save")?))
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.ask("restore", None, |object| {
            object.call_method1("restore", (PyBytes::new(object.py(), saved),)).map(|_| ())
        });
        Ok(())
    }
}

/// The bytes that `save` returned.
pub fn saved(answer: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let saved = answer.cast::<PyBytes>();
    let saved = saved.map_err(|_| PyTypeError::new_err("`save` returned no bytes; expected what `restore` takes"))?;
    Ok(saved.as_bytes().to_vec())
}
