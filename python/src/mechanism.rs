//! A mechanism whose hooks are methods of a Python object.

use std::sync::Arc;

use gauntlet::Uid;
use gauntlet::mechanism::{
    Column, ColumnKind, Contrast, Each, Earlier, Facts, Measurement, Mechanism, MechanismSettings, Outcome, Pages,
    Ranking, Results, Status, Value, Whose,
};
use gauntlet::settings::Findings;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use toml::Table;

use super::behaviour::saved;
use super::errors::Failure;
use super::facts::{self, Loan};
use super::kinds::Class;

/// The settings of a class that is a mechanism.
pub struct ClassMechanism {
    pub class: Arc<Class>,
    pub settings: Table,
    pub failure: Arc<Failure>,
}

impl MechanismSettings for ClassMechanism {
    fn check(&self, found: &mut Findings) {
        self.class.check(&self.failure, &self.settings, found);
    }

    fn build(&self, secret: u64) -> Box<dyn Mechanism> {
        let place = || format!("while the mechanism `{}` was made", self.class.kind);
        let object = self.failure.guard(place, |py| self.class.build(py, &self.settings, Some(secret)));
        Box::new(Judge { object, class: self.class.clone(), failure: self.failure.clone() })
    }

    fn audits(&self) -> bool {
        self.class.has("audit")
    }

    fn forward_passes(&self, pages: usize, aggregated: usize) -> f64 {
        if !self.class.has("forward_passes") {
            return 0.0;
        }
        self.class.attribute(&self.failure, &self.settings, |object| {
            let passes: f64 = object.call_method1("forward_passes", (pages, aggregated))?.extract()?;
            match passes.is_finite() && passes >= 0.0 {
                true => Ok(passes),
                false => {
                    Err(PyValueError::new_err(format!("forward_passes is {passes}; expected a number, 0 or more")))
                }
            }
        })
    }
}

/// What came of an audit, in Python.
fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Same => "same",
        Outcome::Differs => "differs",
        Outcome::NotShown => "not_shown",
    }
}

/// A validator's judge that asks a Python object.
struct Judge {
    object: Py<PyAny>,
    class: Arc<Class>,
    failure: Arc<Failure>,
}

impl Judge {
    fn ask<T>(&self, hook: &str, round: Option<u64>, ask: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> T {
        let when = round.map_or_else(String::new, |round| format!(", round {round}"));
        let place = || format!("in `{hook}` of the mechanism `{}`{when}", self.class.kind);
        self.failure.guard(place, |py| ask(self.object.bind(py)))
    }

    fn count(&self) -> usize {
        if self.class.has("columns") { self.columns().len() } else { 0 }
    }
}

/// `assigned_to`, `sample`, `stretch` and `hidden`, as `gauntlet.Measurement` and `gauntlet.Pages` have them.
type PagesFields = (Option<Uid>, f64, f64, bool);

fn fields_of(pages: &Pages) -> PagesFields {
    (pages.peer(), pages.sample, pages.stretch, pages.whose == Whose::Hidden)
}

/// `gauntlet.Pages`.
fn set_of_pages<'py>(module: &Bound<'py, PyModule>, pages: &Pages) -> PyResult<Bound<'py, PyAny>> {
    let (assigned_to, sample, stretch, hidden) = fields_of(pages);
    let (round, work) = match pages.whose {
        Whose::Earlier(Earlier { round, work, .. }) => (Some(round), work),
        _ => (None, 1.0),
    };
    module.getattr("Pages")?.call1((assigned_to, sample, stretch, hidden, round, work))
}

/// What a contrast may be taken of.
const EACH: [Each; 3] = [Each::Model, Each::Matrix, Each::Line];

/// The name of what a contrast is taken of.
fn name_of(each: Each) -> &'static str {
    match each {
        Each::Model => "model",
        Each::Matrix => "matrix",
        Each::Line => "line",
    }
}

/// `gauntlet.Measurement`, `gauntlet.Contrast` or `gauntlet.Audit`.
fn measurement<'py>(module: &Bound<'py, PyModule>, what: &Measurement) -> PyResult<Bound<'py, PyAny>> {
    match what {
        Measurement::Loss { payloads, fraction, pages } => {
            let (assigned_to, sample, stretch, hidden) = fields_of(pages);
            let class = module.getattr("Measurement")?;
            class.call1((payloads.clone(), *fraction, assigned_to, sample, stretch, hidden))
        }
        Measurement::Contrast(Contrast { uid, beside, each, pages, than }) => {
            let [pages, than] = [pages, than].map(|pages| set_of_pages(module, pages));
            module.getattr("Contrast")?.call1((*uid, pages?, than?, beside.clone(), name_of(*each)))
        }
        Measurement::Audit(uid) => module.getattr("Audit")?.call1((*uid,)),
    }
}

fn pages_of(asked: &Bound<'_, PyAny>) -> PyResult<Pages> {
    let number = |name: &str| -> PyResult<f64> { asked.getattr(name)?.extract() };
    let (sample, stretch) = (number("sample")?, number("stretch")?);
    if !((0.0..=1.0).contains(&sample) && stretch > 0.0 && stretch <= 1.0) {
        return refused(asked, "a sample of 0 to 1, and a stretch above 0, 1 at most");
    }
    let whole = Pages::whole(asked.getattr("assigned_to")?.extract()?, sample);
    let is_hidden: bool = asked.getattr("hidden")?.extract()?;
    let whose = if is_hidden { Whose::Hidden } else { whole.whose };
    Ok(Pages { whose, stretch, ..whole })
}

/// The pages of a `gauntlet.Pages`, which may be of an earlier round.
fn pages_of_any_round(asked: &Bound<'_, PyAny>, now: u64) -> PyResult<Pages> {
    let pages = pages_of(asked)?;
    let (Some(uid), Some(round)) = (pages.assigned_to(), asked.getattr("round")?.extract()?) else { return Ok(pages) };
    if round >= now {
        return refused(asked, &format!("a round before {now}"));
    }
    let work: f64 = asked.getattr("work")?.extract()?;
    if !(work > 0.0 && work.is_finite()) {
        return refused(asked, "a finite amount of work above 0");
    }
    Ok(Pages { whose: Whose::Earlier(Earlier { uid, round, work }), ..pages })
}

fn measurement_of(asked: &Bound<'_, PyAny>, now: u64) -> PyResult<Measurement> {
    let module = asked.py().import("gauntlet.mechanisms")?;
    if !asked.is_instance(&module.getattr("Contrast")?)? {
        let pages = pages_of(asked)?;
        let fraction: f64 = asked.getattr("fraction")?.extract()?;
        if !fraction.is_finite() {
            return refused(asked, "a finite fraction");
        }
        let payloads = asked.getattr("payloads")?.try_iter()?.map(|pair| pair?.extract()).collect::<PyResult<_>>()?;
        return Ok(Measurement::Loss { payloads, fraction, pages });
    }
    let each: String = asked.getattr("each")?.extract()?;
    let Some(each) = EACH.into_iter().find(|of| name_of(*of) == each) else {
        return refused(asked, "each to be \"model\", \"matrix\" or \"line\"");
    };
    let (uid, beside) = (asked.getattr("uid")?.extract()?, asked.getattr("beside")?.extract()?);
    let [pages, than] = ["pages", "than"].map(|name| pages_of_any_round(&asked.getattr(name)?, now));
    Ok(Measurement::Contrast(Contrast { uid, beside, each, pages: pages?, than: than? }))
}

/// A loss, a list of `gauntlet.Margin`, what came of an audit, or `None`.
fn value<'py>(module: &Bound<'py, PyModule>, found: Option<&Value>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = module.py();
    Ok(match found {
        None => None,
        Some(Value::Loss(loss)) => Some(loss.into_pyobject(py)?.into_any()),
        Some(Value::Audit(found)) => Some(outcome(*found).into_pyobject(py)?.into_any()),
        Some(Value::Margins(margins)) => {
            let class = module.getattr("Margin")?;
            let margins = margins.iter().map(|margin| class.call1((margin.weights, margin.value)));
            Some(PyList::new(py, margins.collect::<PyResult<Vec<_>>>()?)?.into_any())
        }
    })
}

fn refused<T>(asked: &Bound<'_, PyAny>, expected: &str) -> PyResult<T> {
    Err(PyValueError::new_err(format!("{}; expected {expected}", asked.repr()?)))
}

fn ranking_of(answer: &Bound<'_, PyAny>) -> PyResult<Ranking> {
    if answer.hasattr("earned")? {
        let list = |name: &str| answer.getattr(name)?.extract();
        return Ok(Ranking { earned: list("earned")?, others: list("others")? });
    }
    Ok(Ranking { earned: answer.extract()?, others: Vec::new() })
}

fn column_of(column: &Bound<'_, PyAny>) -> PyResult<Column> {
    let text = |name: &str| -> PyResult<String> { column.getattr(name)?.extract() };
    let kind = match text("kind")?.as_str() {
        "score" => ColumnKind::Score,
        "standing" => ColumnKind::Standing,
        "measured" => ColumnKind::Measured,
        other => {
            let message =
                format!("the kind of a column is {other:?}; expected \"score\", \"standing\" or \"measured\"");
            return Err(PyValueError::new_err(message));
        }
    };
    let made = Column::new(&text("name")?, &text("label")?, kind);
    let spread: Option<String> = column.getattr("spread")?.extract()?;
    Ok(match spread {
        Some(spread) => made.with_spread(&spread),
        None => made,
    })
}

fn columns_of(columns: &Bound<'_, PyAny>) -> PyResult<Vec<Column>> {
    let columns: Vec<Column> = columns.try_iter()?.map(|column| column_of(&column?)).collect::<PyResult<_>>()?;
    if Column::are_safe_to_write(&columns) {
        return Ok(columns);
    }
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    Err(PyValueError::new_err(format!(
        "the columns {}; expected {} at most, each with another name of a to z, 0 to 9 and _, and a label of one line",
        names.join(", "),
        Column::MOST
    )))
}

fn pay_of(answer: &Bound<'_, PyAny>) -> PyResult<Vec<(Uid, f64)>> {
    let pairs = match answer.cast::<PyDict>() {
        Ok(dict) => dict.iter().map(|(uid, share)| Ok((uid.extract()?, share.extract()?))).collect::<PyResult<_>>()?,
        Err(_) => answer.extract::<Vec<(Uid, f64)>>()?,
    };
    match pairs.iter().find(|(_, share)| !(0.0..=1.0 + 1e-9).contains(share)) {
        Some((uid, share)) => Err(PyValueError::new_err(format!(
            "the pay of uid {uid} is {share}; expected shares of 0 to 1 that sum to 1 (gauntlet.shares makes them)"
        ))),
        None => Ok(pairs),
    }
}

impl Mechanism for Judge {
    fn arrive(&mut self, uid: Uid) {
        self.ask("arrive", None, |object| object.call_method1("arrive", (uid,)).map(|_| ()));
    }

    fn leave(&mut self, uid: Uid) {
        self.ask("leave", None, |object| object.call_method1("leave", (uid,)).map(|_| ()));
    }

    fn observe(&mut self, facts: &Facts) {
        let loan = Loan::of(facts.uploads);
        self.ask("observe", Some(facts.round), |object| {
            object.call_method1("observe", (facts::to_python(object.py(), facts, &loan)?,)).map(|_| ())
        });
    }

    fn include(&self, round: u64, except: &[Uid]) -> Ranking {
        self.ask("include", Some(round), |object| {
            ranking_of(&object.call_method1("include", (round, PyList::new(object.py(), except)?))?)
        })
    }

    fn audit(&mut self, round: u64) -> Vec<Uid> {
        if !self.class.has("audit") {
            return Vec::new();
        }
        self.ask("audit", Some(round), |object| {
            object.call_method1("audit", (round,))?.try_iter()?.map(|uid| uid?.extract()).collect()
        })
    }

    fn measure(&mut self, round: u64, aggregated: &[Uid]) -> Vec<Measurement> {
        if !self.class.has("measure") {
            return Vec::new();
        }
        self.ask("measure", Some(round), |object| {
            let asked = object.call_method1("measure", (round, PyList::new(object.py(), aggregated)?))?;
            asked.try_iter()?.map(|asked| measurement_of(&asked?, round)).collect()
        })
    }

    fn learn(&mut self, round: u64, aggregated: &[Uid], results: &Results) {
        if !self.class.has("learn") {
            return;
        }
        self.ask("learn", Some(round), |object| {
            let py = object.py();
            let (told, module) = (PyDict::new(py), py.import("gauntlet.mechanisms")?);
            for measured in &results.0 {
                let what = measurement(&module, &measured.what)?;
                if !told.contains(&what)? {
                    told.set_item(what, value(&module, measured.value.as_ref())?)?;
                }
            }
            object.call_method1("learn", (round, PyList::new(py, aggregated)?, told)).map(|_| ())
        });
    }

    fn pay(&self) -> Vec<(Uid, f64)> {
        self.ask("pay", None, |object| pay_of(&object.call_method0("pay")?))
    }

    fn status(&self, uid: Uid, round: u64) -> Option<Status> {
        self.ask("status", Some(round), |object| {
            let answer = object.call_method1("status", (uid, round))?;
            if answer.is_none() {
                return Ok(None);
            }
            let name: String = answer.extract()?;
            let expected = || Status::ALL.map(Status::name).join(", ");
            let unknown =
                || PyValueError::new_err(format!("the status {name:?}; expected None or one of {}", expected()));
            Status::named(&name).map(Some).ok_or_else(unknown)
        })
    }

    fn columns(&self) -> Vec<Column> {
        if !self.class.has("columns") {
            return Vec::new();
        }
        self.ask("columns", None, |object| columns_of(&object.getattr("columns")?))
    }

    fn numbers(&self, uid: Uid, round: u64) -> Vec<Option<f64>> {
        let count = self.count();
        if count == 0 || !self.class.has("numbers") {
            return vec![None; count];
        }
        self.ask("numbers", Some(round), |object| {
            let numbers: Vec<Option<f64>> =
                object.call_method1("numbers", (uid, round))?.extract().map_err(|_: PyErr| {
                    PyTypeError::new_err(
                        "`numbers` returned no list of numbers; expected a float or None for each column",
                    )
                })?;
            match numbers.len() == count {
                true => Ok(numbers),
                false => Err(PyValueError::new_err(format!(
                    "`numbers` returned {} numbers; expected {count}, one for each of `columns`",
                    numbers.len()
                ))),
            }
        })
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
