//! `sim doctor`: tries what a node needs of its store, its machine and its device, before it costs anything.

mod device;
mod finding;
mod machine;
mod store;
mod vectors;

use std::path::PathBuf;

use gauntlet::model::Device;
use gauntlet::plan::Plan;
use gauntlet::words::counted;
use serde_json::json;

use finding::{Finding, Verdict, table};
use machine::Needs;

use super::json::{JsonArgs, say_json};
use super::{block_on, key, say};

#[derive(clap::Args)]
pub struct Args {
    /// Bucket to try: a folder, s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH
    #[arg(long, value_name = "URL")]
    bucket: Option<String>,
    /// Device to try: cpu, cpu-f32, cpu-bf16, ndarray, or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Key file of the node that is to run here: tries what the store lets this node do [default: a key made up now]
    #[arg(long, value_name = "FILE", requires = "bucket")]
    key: Option<PathBuf>,
    /// Folder where the node is to save its state
    #[arg(long, value_name = "DIR", default_value = ".")]
    state: PathBuf,
    /// Folder of conformance vectors (tests/vectors): compares the device with them too
    #[arg(long, value_name = "DIR")]
    vectors: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArgs,
}

/// Tries all that a node needs, and prints a line for each.
///
/// # Errors
/// There is a problem.
pub fn doctor(args: Args) -> anyhow::Result<()> {
    let mut findings = Vec::new();
    let mut scenario = None;
    if let Some(url) = &args.bucket {
        let identity = args.key.as_deref().map(key::read).transpose()?;
        scenario = block_on(store::examine(url, identity.as_ref(), &mut findings));
    }
    let opened: Result<Device, String> =
        super::open::device(&args.device, format_args!("--device {}", args.device)).map_err(|error| error.to_string());
    let is_accelerator = opened.as_ref().is_ok_and(|device| *device != Device::Cpu);
    let needs = scenario.and_then(|scenario| {
        let (run, plan) = (scenario.name.clone(), Plan::new(scenario).ok()?);
        let memory = plan.peer_memory(is_accelerator).total.host;
        // Replica and momentum, each in f32.
        Some(Needs { memory, disk: 2 * 8 * plan.parameters() as u64, run })
    });
    machine::examine(&args.state, needs.as_ref(), &mut findings);
    match opened {
        Ok(device) => {
            device::examine(device, &mut findings);
            if let Some(folder) = &args.vectors {
                vectors::examine(device, folder, &mut findings);
            }
        }
        Err(told) => findings.push(Finding::told("device", &told)),
    }
    let problems = findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count();
    match args.json.json {
        true => say_json("doctor", json!({ "problems": problems, "findings": findings })),
        false => say(table(&findings)),
    }
    if problems > 0 {
        anyhow::bail!("{}; a node would not run here", counted(problems as u64, "problem"));
    }
    Ok(())
}
