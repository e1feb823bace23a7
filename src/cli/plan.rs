//! `sim plan`: estimates what a scenario needs on real devices.

use std::time::Duration;

use anyhow::bail;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use comfy_table::{CellAlignment, Table};
use gauntlet::model::{Device, Memory};
use gauntlet::plan::{MFU, MemoryPart, NEWTON_SCHULZ, Plan, RoundTime, Speed, TRAIN, data_sheets};
use gauntlet::words::counted;
use serde_json::{Value, json};

use super::check::si;
use super::json::{JsonArgs, say_json};
use super::{UsageError, bench, limits, open, say, terminal};

/// Approximate time for which each measurement is repeated.
const MEASURED_FOR: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    scenario: open::ScenarioArgs,
    /// Device of peers and validators: h100, h200, a100, b200 (by data sheet), cpu (one core), or measured,
    /// measured:cuda:N (this machine, as by `sim bench`)
    #[arg(long, default_value = "h100", add = ArgValueCandidates::new(devices))]
    device: String,
    /// Fraction of a data sheet's peak that training reaches
    #[arg(long, value_name = "FRACTION", default_value_t = MFU, value_parser = mfu)]
    mfu: f64,
    /// Price of a device in USD per hour; without it no cost is printed
    #[arg(long, value_name = "USD", value_parser = price)]
    price: Option<f64>,
    #[command(flatten)]
    json: JsonArgs,
}

fn devices() -> Vec<CompletionCandidate> {
    let sheets = data_sheets().map(|sheet| CompletionCandidate::new(sheet.name).help(Some(sheet.title.into())));
    sheets.into_iter().chain(["cpu", "measured"].map(CompletionCandidate::new)).collect()
}

fn mfu(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|mfu| *mfu > 0.0 && *mfu <= 1.0).ok_or("expected a fraction above 0, 1 at most".into())
}

fn price(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|price| (0.0..=1e6).contains(price)).ok_or("expected 0 to 1000000".into())
}

/// Prints what a scenario needs on real devices.
pub fn plan(args: Args) -> anyhow::Result<()> {
    let plan = Plan::new(args.scenario.load()?)?;
    open::examine(&plan.scenario, &plan.config)?;
    let speed = speed(&args, &plan)?;
    if args.json.json {
        let mut figures = plan.figures(&speed);
        let held = held(&plan, &speed).into_iter().map(|held| held.figures(args.price));
        figures["held"] = json!(held.collect::<Vec<_>>());
        say_json("plan", figures);
        return Ok(());
    }
    let (peer, validator) = (plan.peer_round(&speed), plan.validator_round(&speed));
    let scenario = &plan.scenario;
    let devices = match plan.peer_devices() {
        1 => "one".to_string(),
        devices => format!("{devices} x"),
    };
    say(format_args!(
        "{}: {} parameters, {} rounds of {} s, {} peers registered, {} aggregated; {devices} {} each\n",
        scenario.name,
        grouped(plan.parameters()),
        grouped(scenario.rounds as usize),
        scenario.round_seconds(),
        plan.registered(),
        scenario.protocol.top_peers,
        speed.device
    ));
    say(operations(&plan));
    say(memory(&plan, &speed));
    say(traffic(&plan, &peer, &validator));
    say(time(&plan, &peer, &validator));
    say(whole(&plan, &speed, args.price));
    say("assumed:");
    for line in plan.assumed(&speed) {
        say(format_args!("- {line}"));
    }
    say("- links are those of the first group of peers and of the first validator; devices are held for all rounds");
    Ok(())
}

/// The speed of the device that the command line names.
fn speed(args: &Args, plan: &Plan) -> anyhow::Result<Speed> {
    let work = plan.work();
    if let Some(sheet) = data_sheets().iter().find(|sheet| sheet.name == args.device) {
        return Ok(Speed::of_sheet(sheet, args.mfu, &work));
    }
    match (args.device.as_str(), args.device.strip_prefix("measured:")) {
        ("cpu", _) => Ok(Speed::of_core(&work)),
        ("measured", _) => measured(plan, "cpu"),
        (_, Some(device)) => measured(plan, device),
        (device, None) => {
            let expected =
                "expected h100, h200, a100, b200, cpu, measured, or measured:DEVICE as `sim bench --device` takes it";
            bail!(UsageError(format!("--device {device}: {expected}")))
        }
    }
}

/// The speed of this machine's device, measured as `sim bench` does, with the scenario's model.
fn measured(plan: &Plan, name: &str) -> anyhow::Result<Speed> {
    let device = open::device(name, format_args!("--device measured:{name}"))?;
    let is_accelerator = !matches!(device, Device::Cpu);
    let batch = plan.scenario.training.micro_batch.min(plan.scenario.training.pages_per_round);
    let needed = Memory::on(&device, &plan.config, batch).total() + 12 * plan.parameters() as u64;
    if let Some(free) = limits::free_memory().filter(|free| name == "cpu" && needed > *free) {
        bail!(UsageError(format!(
            "--device measured: a gradient of this model takes {} and {} are free; use --device cpu, or a smaller \
             training.micro_batch",
            si(needed as f64, "B"),
            si(free as f64, "B")
        )));
    }
    eprintln!("measuring this model on {name}; each measurement takes some seconds, or more for a large model");
    let note = &mut |figure: bench::Figure| eprintln!("measured {}", figure.what);
    let measured = bench::measure_model(&plan.config, device, batch, MEASURED_FOR, note)?;
    let title = if is_accelerator { bench::device_name(&device) } else { "CPU core".into() };
    Ok(Speed {
        assumed: vec![format!(
            "measured now on {title}: {} tokens/s in passes of {batch} sequences, {}; DeMo's encode and \
             aggregation of 15 peers take {:.3} s and {:.3} s",
            si(measured.tokens_per_second, ""),
            si(measured.tokens_per_second * plan.work().flops_per_token, "FLOP/s"),
            measured.encode_seconds,
            measured.aggregate_seconds
        )],
        device: title,
        tokens_per_second: measured.tokens_per_second,
        encode_seconds: measured.encode_seconds,
        aggregate_seconds: measured.aggregate_seconds,
        memory: None,
        is_accelerator,
    })
}

fn operations(plan: &Plan) -> String {
    let flops = plan.flops();
    let tokens = plan.tokens_per_peer();
    let (top, all) = (plan.scenario.protocol.top_peers as f64, plan.registered() as f64);
    let rounds = plan.scenario.rounds as f64;
    let mut table = Ruled::new(&["operations", "tokens", "FLOP"]);
    let mut line = |what: &str, tokens: f64, flops: f64| table.line([what.into(), si(tokens, ""), si(flops, "")]);
    line("a token, forward and backward", 1.0, flops.token);
    line("a peer's round", tokens, flops.peer_round);
    line("a validator's round, forward only", plan.evaluated_tokens(), flops.validator_round);
    line("all rounds, one peer", tokens * rounds, flops.peer);
    line("all rounds, the aggregated peers", tokens * rounds * top, flops.aggregated);
    line("all rounds, all registered peers", tokens * rounds * all, flops.all);
    table.text()
}

fn memory(plan: &Plan, speed: &Speed) -> String {
    let memory = plan.peer_memory(speed.is_accelerator);
    let devices = plan.peer_devices();
    let is_spread = speed.is_accelerator && devices > 1;
    let mut table = Ruled::new(&["memory of a peer", if is_spread { "each device" } else { "device" }, "host"]);
    let bytes = |bytes: u64| if bytes == 0 { "-".into() } else { si(bytes as f64, "B") };
    let mut line = |part: &MemoryPart| table.line([part.what.into(), bytes(part.device), bytes(part.host)]);
    memory.parts.iter().for_each(&mut line);
    line(&memory.total);
    if !is_spread {
        line(&memory.further_peer);
    }
    let mut text = table.text();
    if let Some(there) = speed.memory {
        let left = there - memory.total.device as f64;
        let (each, there) = (memory.further_peer.device as f64, si(there, "B"));
        text += &match left >= 0.0 {
            true if is_spread => format!("a peer fits on its {devices} devices of {there}\n"),
            false if is_spread => format!(
                "does NOT fit on {devices} devices of {there}: use more (peers.0.hardware.devices), or a smaller \
                 training.micro_batch\n"
            ),
            true if each > 0.0 => {
                let peers = 1 + (left / each) as u64;
                match peers {
                    1 => format!("1 peer fits on a device of {there}\n"),
                    _ => format!("{peers} peers fit on a device of {there}, where they compute one after the other\n"),
                }
            }
            true => format!("peers fit on a device of {there}; their states are on the host\n"),
            false => format!("does NOT fit on a device of {there}: use a smaller training.micro_batch\n"),
        };
    }
    text
}

fn traffic(plan: &Plan, peer: &RoundTime, validator: &RoundTime) -> String {
    let traffic = plan.traffic();
    let mut table = Ruled::new(&["bytes a round", "up", "down", "link needed, Mbit/s"]);
    let bytes = |bytes: u64| si(bytes as f64, "B");
    let least =
        |round: &RoundTime| round.least_mbps.map_or("no time left".into(), |mbps| format!("{} down", short(mbps)));
    let window = format!("{} up in the put window, {}", short(traffic.put_window_mbps), least(peer));
    table.line(["a peer".into(), bytes(traffic.upload), bytes(traffic.peer_down), window]);
    let (up, down) = (bytes(traffic.validator_up), bytes(traffic.validator_down));
    table.line(["the deciding validator".into(), up, down, least(validator)]);
    if traffic.state > 0 {
        let link = format!("{} up while states are due", short(traffic.state_mbps));
        table.line(["an audited peer, beside that".into(), bytes(traffic.state), "-".into(), link]);
    }
    let every = plan.scenario.training.checkpoint_every;
    format!(
        "{}a checkpoint of {} every {}, which each newcomer downloads\n",
        table.text(),
        bytes(traffic.checkpoint),
        if every == 1 { "round".into() } else { counted(every, "round") }
    )
}

fn time(plan: &Plan, peer: &RoundTime, validator: &RoundTime) -> String {
    let mut table = Ruled::new(&["time of a round", "peer, s", "validator, s"]);
    let find = |round: &RoundTime, what: &str| {
        let part = round.parts.iter().find(|part| part.what == what);
        part.map_or("-".into(), |part| short(part.seconds))
    };
    let only_validator = validator.parts.iter().filter(|part| peer.parts.iter().all(|other| other.what != part.what));
    for part in peer.parts.iter().chain(only_validator) {
        table.line([part.what.into(), find(peer, part.what), find(validator, part.what)]);
    }
    table.line(["needed".into(), short(peer.needed), short(validator.needed)]);
    table.line(["the round's length".into(), short(peer.length), short(validator.length)]);
    let mut text = table.text();
    for (who, round) in [("a peer", peer), ("the validator", validator)] {
        text += &match round.fits() {
            true => format!("{who} is done in {:.0} % of the round\n", 100.0 * round.needed / round.length),
            false => format!(
                "{who} does NOT fit into the round: it needs chain.blocks_per_round = {} or more, a better link, or more \
                 devices\n",
                (round.needed / plan.scenario.chain.block_seconds).ceil()
            ),
        };
    }
    let train: f64 = peer.parts.iter().filter(|part| part.what == TRAIN).map(|part| part.seconds).sum();
    let transfers = plan.transfer_seconds();
    text += &format!(
        "a peer trains for {:.1} % of the round; its own transfers take {} s, {:.1} % of training and transfers\n",
        100.0 * train / peer.length,
        short(transfers),
        100.0 * transfers / (train + transfers)
    );
    let (upload, window) = (plan.upload_seconds(), plan.scenario.protocol.put_window_seconds);
    let verdict = if upload <= window { "fits into" } else { "does NOT fit into" };
    text + &format!("an upload takes {} s: {verdict} the put window of {window} s\n", short(upload))
}

fn whole(plan: &Plan, speed: &Speed, price: Option<f64>) -> String {
    let hours = plan.seconds() / 3600.0;
    let title = format!("all rounds: {hours:.1} hours, {:.1} days", hours / 24.0);
    let mut table =
        Ruled::new(&[&title, "devices", "device-hours computing", "device-hours held", "cost of those held, USD"]);
    for Held { who, devices, computing, held } in held(plan, speed) {
        let cost = price.map_or("- (--price)".into(), |price| grouped((price * held).round() as usize));
        table.line([who, format!("{devices}"), short(computing), short(held), cost]);
    }
    table.text()
}

/// Devices that somebody holds for all rounds, in device-hours.
struct Held {
    who: String,
    devices: f64,
    computing: f64,
    held: f64,
}

impl Held {
    fn figures(&self, price: Option<f64>) -> Value {
        json!({
            "who": self.who,
            "devices": self.devices,
            "computing_hours": self.computing,
            "held_hours": self.held,
            "cost_usd": price.map(|price| price * self.held),
        })
    }
}

fn held(plan: &Plan, speed: &Speed) -> Vec<Held> {
    let (hours, rounds) = (plan.seconds() / 3600.0, plan.scenario.rounds as f64);
    let mut all = Vec::new();
    let mut line = |who: &str, devices: f64, computing: f64, held: f64| {
        all.push(Held { who: who.into(), devices, computing, held });
    };
    let peer = plan.peer_round(speed).parts;
    let own = ["aggregate", TRAIN, NEWTON_SCHULZ, "encode"];
    let busy: f64 = peer.iter().filter(|part| own.contains(&part.what)).map(|part| part.seconds).sum();
    let busy = busy * rounds / 3600.0;
    for (who, peers) in [
        ("one peer", 1),
        ("the aggregated peers", plan.scenario.protocol.top_peers),
        ("all registered peers", plan.registered()),
    ] {
        let devices = (peers * plan.peer_devices()) as f64;
        line(who, devices, busy * devices, hours * devices);
    }
    let validator = plan.validator_round(speed).parts.into_iter();
    let busy = validator.filter(|part| ["validator: aggregate", "validator: evaluate"].contains(&part.what));
    let busy = busy.map(|part| part.seconds).sum::<f64>() * rounds / 3600.0;
    let validators = plan.scenario.validators.iter().map(|validator| validator.hardware.devices as f64).sum::<f64>();
    line("validators", validators, busy * validators, hours * validators);
    let tokens = (plan.scenario.baseline_pages() * plan.config.sequence_length) as f64 * rounds;
    let alone = tokens / speed.tokens_per_second / 3600.0;
    line(&format!("central {} alone", plan.scenario.baseline.optimizer.name()), 1.0, alone, alone);
    all
}

/// A number with about three digits.
fn short(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => grouped(value.round() as usize),
    }
}

/// A whole number with separators for thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A table with words in its first column and numbers in all others.
struct Ruled(Table);

impl Ruled {
    fn new(titles: &[&str]) -> Self {
        let mut table = terminal::ruled();
        table.set_header(titles);
        table.column_iter_mut().skip(1).for_each(|column| {
            column.set_cell_alignment(CellAlignment::Right);
        });
        Self(table)
    }

    fn line<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells);
    }

    fn text(self) -> String {
        format!("{}\n", self.0)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1000, 1_204_881_408].map(super::grouped), ["0", "999", "1,000", "1,204,881,408"]);
    }
}
