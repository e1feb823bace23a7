//! What a scenario takes on real devices, as JSON.

use std::sync::Arc;

use gauntlet::plan::{Plan, Speed, data_sheets};
use pyo3::prelude::*;

use super::errors::{Failure, Raised, raised};
use super::scenario::Scenario;

/// The counts of a plan on a device by data sheet (`h100`, `h200`, `a100`, `b200`) or a CPU core (`cpu`).
#[pyfunction]
pub fn plan(scenario: &Scenario, device: &str, mfu: f64) -> PyResult<String> {
    let failure = Arc::new(Failure::default());
    failure.caught(|| {
        let plan = Plan::new(scenario.with(&failure)).map_err(|error| raised(Raised::Scenario, error))?;
        if !(mfu > 0.0 && mfu <= 1.0) {
            return Err(raised(Raised::Scenario, format!("mfu={mfu}: expected a fraction above 0, 1 at most")));
        }
        let sheets = data_sheets();
        let speed = match (device, sheets.iter().find(|sheet| sheet.name == device)) {
            ("cpu", _) => Speed::of_core(&plan.work()),
            (_, Some(sheet)) => Speed::of_sheet(sheet, mfu, &plan.work()),
            (_, None) => {
                let names: Vec<&str> = sheets.iter().map(|sheet| sheet.name).collect();
                let message = format!("device={device:?}: expected cpu or one of {}", names.join(", "));
                return Err(raised(Raised::Scenario, message));
            }
        };
        Ok(plan.figures(&speed).to_string())
    })
}
