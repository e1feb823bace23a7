//! The native half of the Python package `gauntlet`: runs and experiments in this process, and behaviours and mechanisms
//! whose hooks are methods of Python objects.
//!
//! | file | what it holds |
//! |---|---|
//! | `scenario`, `kinds` | a scenario, and the Python classes that it may name |
//! | `run`, `folder`, `tables` | runs, run folders, and their rows as columns |
//! | `lab`, `plan` | sweeps, searches, comparisons, plans |
//! | `behaviour`, `around`, `payload` | a peer whose hooks are Python's, and what it sees and sends |
//! | `mechanism`, `facts` | a validator's judge whose hooks are Python's |
//! | `random` | the project's generators and formulas, for Python that must draw and rate alike |
//! | `background`, `errors`, `values` | threads, exceptions and values across the border |
//! | `words` | messages in Python's words |

mod around;
mod background;
mod behaviour;
mod errors;
mod facts;
mod folder;
mod kinds;
mod lab;
mod mechanism;
mod payload;
mod plan;
mod random;
mod run;
mod scenario;
mod tables;
mod values;
mod words;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::around::Handle;
    #[pymodule_export]
    use super::facts::Uploads;
    #[pymodule_export]
    use super::folder::{Folder, load};
    #[pymodule_export]
    use super::kinds::Kind;
    #[pymodule_export]
    use super::lab::{attack, compare, sweep};
    #[pymodule_export]
    use super::payload::{Shape, mix};
    #[pymodule_export]
    use super::plan::plan;
    #[pymodule_export]
    use super::random::{Rng, openskill, ordinal, power, shares};
    #[pymodule_export]
    use super::run::{resume, run};
    #[pymodule_export]
    use super::scenario::{Scenario, shipped};
    #[pymodule_export]
    use super::words::in_python_words;
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
