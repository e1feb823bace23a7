//! `sim bench`: measures a model on a device, or this machine.

mod data;
mod figure;
mod machine;
mod memory;
mod model;

pub use figure::Figure;
pub use model::{measure as measure_model, name as device_name};

use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::ArgValueCompleter;
use data::Data;
use figure::{LONG_BATCH, SHORT_BATCH};
use gauntlet::model::LlamaConfig;
use gauntlet::model::ModelSettings;
use serde_json::json;

use super::json::{JsonArgs, say_json};
use super::{UsageError, complete, open, say, terminal};

#[derive(clap::Args)]
pub struct Args {
    /// Scenario file, or the name of a shipped one: measure its model, and how long training waits for its data
    #[arg(add = ArgValueCompleter::new(complete::scenarios))]
    scenario: Option<PathBuf>,
    /// Replace a setting of the scenario, such as `--set corpus.path=shards`
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "scenario", add = ArgValueCompleter::new(complete::settings))]
    overrides: Vec<String>,
    /// Model to measure, if there is no scenario
    #[arg(long, default_value = "tiny", conflicts_with = "scenario")]
    preset: String,
    /// Measure this device only: cpu, cpu-f32, cpu-bf16, ndarray, or cuda:N [default: cpu, and the whole machine]
    #[arg(long)]
    device: Option<String>,
    /// Sequences per forward and backward pass [default: the scenario's; without one 8 of up to 256 tokens, else 6]
    #[arg(long, value_name = "N", value_parser = micro_batch)]
    micro_batch: Option<usize>,
    /// Threads for the measurements of the whole machine, each with its own work [default: all cores]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Repeat each measurement for about this long
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    seconds: Duration,
    /// Measure forward and backward passes only, on --device
    #[arg(long, requires = "device", conflicts_with = "scenario")]
    pass_only: bool,
    #[command(flatten)]
    json: JsonArgs,
}

fn micro_batch(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|batch| (1..=1024).contains(batch)).ok_or("expected 1 to 1024".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or("expected 0 to 3600".into())
}

/// Measures a model on a device and, with a scenario, how long training waits for its data. Without a device or a
/// scenario, measures the model on the CPU and the machine with all its threads.
pub fn bench(args: Args) -> anyhow::Result<()> {
    let name = args.device.as_deref().unwrap_or("cpu");
    let device = open::device(name, format_args!("--device {name}"))?;
    let scenario = args.scenario.as_deref().map(|path| open::load(path, &args.overrides)).transpose()?;
    let data = scenario.map(|scenario| Data::open(scenario, args.micro_batch)).transpose()?;
    let (title, config, batch) = match &data {
        Some(data) => (data.scenario.name.clone(), data.config.clone(), data.micro_batch),
        None => {
            let settings = ModelSettings { preset: args.preset.clone(), ..ModelSettings::default() };
            let config = LlamaConfig::from_settings(&settings).map_err(|error| UsageError(error.to_string()))?;
            let batch = if config.sequence_length <= 256 { SHORT_BATCH } else { LONG_BATCH };
            (args.preset.clone(), config, args.micro_batch.unwrap_or(batch))
        }
    };

    let mut figures = Vec::new();
    let mut note = |figure: Figure| {
        eprintln!("measured {}", figure.what);
        figures.push(figure);
    };
    if args.pass_only {
        model::measure_pass(&config, device, batch, args.seconds, &mut note)?;
    } else {
        model::measure(&config, device, batch, args.seconds, &mut note)?;
    }
    if let Some(data) = &data {
        data.measure(device, args.seconds, &mut note)?;
    } else if args.device.is_none() {
        machine::measure(&config, open::threads(args.threads, "cpu"), args.seconds, &mut note)?;
    }
    if args.json.json {
        say_json("bench", json!({ "model": title, "device": model::name(&device), "figures": figures }));
        return Ok(());
    }
    let title = format!("{title} on {}", model::name(&device));
    let mut table = terminal::ruled();
    table.set_header([title.as_str(), "", ""]);
    for figure in &figures {
        table.add_row([figure.what.as_str(), &digits(figure.value), figure.unit]);
    }
    say(table);
    Ok(())
}

/// A number with three significant digits.
fn digits(value: f64) -> String {
    let decimals = (2 - value.max(1e-9).log10().floor() as i32).clamp(0, 6) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn three_digits_count() {
        let written = [0.0, 0.00123, 0.5, 12.345, 999.6, 123_456.0].map(super::digits);
        assert_eq!(written, ["0.000000", "0.00123", "0.500", "12.3", "1000", "123456"]);
    }
}
