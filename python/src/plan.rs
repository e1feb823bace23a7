//! What a scenario takes on real devices, as JSON.

use std::sync::Arc;

use gauntlet::plan::{MemoryPart, Plan, RoundTime, Speed, data_sheets};
use pyo3::prelude::*;
use serde_json::{Value, json};

use super::errors::{Failure, Raised, raised};
use super::scenario::Scenario;

/// The counts of a plan on a device by data sheet (`h100`, `h200`, `a100`) or a CPU core (`cpu`).
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
        Ok(counts(&plan, &speed).to_string())
    })
}

fn counts(plan: &Plan, speed: &Speed) -> Value {
    let (flops, traffic) = (plan.flops(), plan.traffic());
    let memory = plan.peer_memory(speed.is_accelerator);
    let part = |part: &MemoryPart| json!({ "what": part.what, "device": part.device, "host": part.host });
    json!({
        "name": plan.scenario.name,
        "device": speed.device,
        "parameters": plan.parameters(),
        "rounds": plan.scenario.rounds,
        "round_seconds": plan.scenario.round_seconds(),
        "peers": plan.registered(),
        "aggregated": plan.scenario.protocol.top_peers,
        "tokens_per_peer": plan.tokens_per_peer(),
        "seconds": plan.seconds(),
        "flops": {
            "token": flops.token,
            "peer_round": flops.peer_round,
            "validator_round": flops.validator_round,
            "peer": flops.peer,
            "aggregated": flops.aggregated,
            "all": flops.all,
        },
        "memory": memory.parts.iter().map(part).collect::<Vec<_>>(),
        "memory_total": part(&memory.total),
        "memory_further_peer": part(&memory.further_peer),
        "device_memory": speed.memory,
        "traffic": {
            "upload": traffic.upload,
            "peer_down": traffic.peer_down,
            "validator_up": traffic.validator_up,
            "validator_down": traffic.validator_down,
            "checkpoint": traffic.checkpoint,
            "put_window_mbps": traffic.put_window_mbps,
        },
        "peer_round": round(&plan.peer_round(speed)),
        "validator_round": round(&plan.validator_round(speed)),
        "upload_seconds": plan.upload_seconds(),
        "assumed": speed.assumed,
    })
}

fn round(round: &RoundTime) -> Value {
    let parts = round.parts.iter().map(|part| json!({ "what": part.what, "seconds": part.seconds }));
    json!({
        "parts": parts.collect::<Vec<_>>(),
        "needed": round.needed,
        "length": round.length,
        "least_mbps": round.least_mbps,
        "fits": round.fits(),
    })
}
