//! What `sim plan` says, against arithmetic of its own.

use std::process::{Command, Output};

use gauntlet::chain::ChainSettings;
use gauntlet::mechanism::gauntlet::GauntletSettings;
use gauntlet::plan::{Plan, Speed, data_sheets};
use gauntlet::protocol::ProtocolSettings;
use gauntlet::scenario::load;
use gauntlet::training::TrainingSettings;
use gauntlet::training::scheme::DemoSettings;

fn sim(words: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("net.toml"), NETWORK).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.args(words.split_whitespace()).current_dir(folder.path()).env_remove("RUST_LOG").output().unwrap()
}

fn printed(words: &str) -> String {
    let output = sim(words);
    assert!(output.status.success(), "sim {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A model that is measured at once.
const NETWORK: &str = "name = 'net'\nrounds = 10\n[model]\npreset = 'nano'\n[training]\npages_per_round = 4\n\
                       micro_batch = 4\n[[peers]]\ncount = 20\n";

// Of the Templar-I run: hidden 2048, 16 layers, MLP 8192, vocabulary 32,000, sequence 2048.
const MATRICES: u64 = 2 * 32_000 * 2048 + 16 * (4 * 2048 * 2048 + 3 * 2048 * 8192);
const PARAMETERS: u64 = MATRICES + 33 * 2048;
/// Header, two samples of 147 tensors, 32 of each 4,096 values in 12 + 32 bits, 32 of each 64 of the norms in 6 + 32 bits,
/// signature.
const UPLOAD: u64 = 112 + 147 * 8 + MATRICES / 4096 * 32 * 44 / 8 + 33 * 32 * 32 * 38 / 8 + 64;

#[test]
fn templar_1b_has_the_numbers_of_the_run() {
    let scenario = load("scenarios/templar-1b.toml", &[]).unwrap();
    // The defaults are the run's.
    assert_eq!(scenario.training, TrainingSettings { eval_every: 20, ..Default::default() });
    let mechanism: GauntletSettings = scenario.mechanism.settings.clone().try_into().unwrap();
    assert_eq!(mechanism, GauntletSettings::default());
    assert_eq!(scenario.protocol, ProtocolSettings::default());
    assert_eq!(scenario.chain, ChainSettings::default());
    let demo = DemoSettings { feedback_from_round: 5, ..Default::default() };
    assert_eq!(scenario.scheme_kind(), "demo");
    assert_eq!(scenario.scheme.settings.clone().try_into::<DemoSettings>().unwrap(), demo);
    assert_eq!((scenario.rounds, scenario.peers_total(), scenario.round_seconds()), (20_000, 250, 84.0));
    let plan = Plan::new(scenario).unwrap();
    assert_eq!(plan.parameters(), 1_204_881_408);
    assert_eq!(plan.parameters() as u64, PARAMETERS);
    // The paper's AdamW was trained on 120 B tokens, the network on 100 to 200 B.
    assert_eq!(plan.tokens_per_peer() * 15.0 * 20_000.0, 117_964_800_000.0);
}

/// An audit takes the momentum: a value per parameter.
#[test]
fn states_for_audits_are_planned() {
    let set = ["mechanism={kind='audit'}".to_string()];
    let plan = Plan::new(load("scenarios/templar-1b.toml", &set).unwrap()).unwrap();
    let (without, traffic) = (Plan::new(load("scenarios/templar-1b.toml", &[]).unwrap()).unwrap(), plan.traffic());
    assert_eq!((traffic.state, without.traffic().state), (4 * PARAMETERS, 0));
    // A round of 84 s has 74 s between two put windows of 10 s; for three tenths of them states are due.
    assert!((traffic.state_mbps - 4.0 * PARAMETERS as f64 * 8e-6 / (0.3 * 74.0)).abs() < 1.0, "{}", traffic.state_mbps);
    let [memory, before] = [&plan, &without].map(|plan| plan.peer_memory(true).total);
    // And 15 uploads that hold a commitment.
    assert_eq!((memory.host - before.host, memory.device), (2 * 4 * PARAMETERS + 15 * 66, before.device));
    // Its work, and five pieces of a sixteenth of a page, forward and backward.
    assert!((plan.evaluated_tokens() / (3.0 * 2048.0 * (192.0 + 5.0 / 16.0)) - 1.0).abs() < 1e-12);
    let said = printed("plan net.toml --set mechanism.kind=audit");
    assert!(said.contains("an audited peer, beside that") && said.contains("up while states are due"), "{said}");
}

#[test]
fn templar_1b_is_planned() {
    let plan = Plan::new(load("scenarios/templar-1b.toml", &[]).unwrap()).unwrap();
    let flops = plan.flops();
    // The input embedding is looked up; scores of 2048 x 2048 in each of 16 layers.
    let token = (6 * (MATRICES - 32_000 * 2048) + 12 * 16 * 2048 * 2048) as f64;
    assert_eq!(flops.token, token);
    assert_eq!(flops.peer_round, token * 192.0 * 2048.0);
    assert_eq!(flops.all, flops.peer_round * 250.0 * 20_000.0);
    // 19 pages: unassigned ones before; of five peers unassigned ones after, assigned ones before and after.
    assert_eq!(flops.validator_round, token * 19.0 * 2048.0 * 16.0 / 3.0);

    let traffic = plan.traffic();
    assert_eq!(traffic.upload, UPLOAD);
    assert_eq!(traffic.upload, 51_931_208);
    assert_eq!(traffic.validator_down, 250 * UPLOAD);
    assert!((15 * UPLOAD..15 * UPLOAD + 8192).contains(&traffic.peer_down));
    assert!((15 * UPLOAD..15 * UPLOAD + 8192).contains(&traffic.validator_up));
    assert_eq!(traffic.put_window_mbps, UPLOAD as f64 * 8.0 / 10.0 / 1e6);
    assert!((4 * PARAMETERS..4 * PARAMETERS + 1024).contains(&traffic.checkpoint));

    let sheets = data_sheets();
    let speed = Speed::of_sheet(&sheets[0], 0.5, &plan.work());
    assert_eq!(speed.tokens_per_second, 0.5 * 989e12 / token);
    let round = plan.peer_round(&speed);
    let of = |what: &str| round.parts.iter().find(|part| part.what == what).unwrap().seconds;
    assert!((of("train") - 192.0 * 2048.0 * token / (0.5 * 989e12)).abs() < 1e-9);
    // 1,000 Mbit/s, 50 ms one way.
    assert!((of("fetch the aggregated uploads") - 0.1 - traffic.peer_down as f64 * 8e-9).abs() < 1e-9);
    assert!(round.fits() && (round.needed - round.parts.iter().map(|part| part.seconds).sum::<f64>()).abs() < 1e-9);
    // With just this link the round is full.
    let link = format!("peers.0.link={{latency_ms=0.0, bandwidth_mbps={}}}", round.least_mbps.unwrap());
    let full = Plan::new(load("scenarios/templar-1b.toml", &[link]).unwrap()).unwrap().peer_round(&speed);
    assert!((full.needed / full.length - 1.0).abs() < 1e-9, "{full:?}");

    let memory = plan.peer_memory(true);
    let of = |what: &str| memory.parts.iter().find(|part| part.what == what).unwrap();
    let model = 4 * PARAMETERS;
    assert_eq!((of("weights").device, of("weights").host), (model, model));
    assert_eq!(
        (of("further replicas").device, of("momentum").device, of("gradient").device),
        (2 * model, model, model)
    );
    // 2,097 rows of logits, in three arrays, and the head's weights and gradients.
    assert_eq!(of("logits").device, 12 * 2097 * 32_000 + 10 * 32_000 * 2048);
    assert!(of("activations").device > 16 * 6 * 2048 * 2048 * 4);
    assert_eq!((memory.further_peer.device, memory.further_peer.host), (model, model));
    // Fifteen uploads, as they came with 44 bits a coefficient and unpacked to 48, and a sign a parameter; then the
    // momentum.
    let received = 15 * (traffic.upload as u64 + traffic.upload as u64 * 48 / 44);
    assert!(of("an aggregation").host.abs_diff(received + PARAMETERS) < 1 << 20, "{memory:?}");
    assert_eq!(memory.total.host, 3 * model + of("an aggregation").host + model);
    assert!((memory.total.device as f64) < 80e9);
}

#[test]
fn sealed_uploads_are_planned_with_their_keys() {
    let plan = |set: &[&str]| {
        let set: Vec<String> = set.iter().map(|text| text.to_string()).collect();
        Plan::new(load("scenarios/templar-1b.toml", &set).unwrap()).unwrap()
    };
    let (plain, sealed) = (plan(&[]), plan(&["protocol.sealed=true"]));
    let (open, closed) = (plain.traffic(), sealed.traffic());
    // A header, a tag and a second signature; the key.
    assert_eq!(closed.upload, UPLOAD + (112 + 16 + 64) + 70);
    assert_eq!((closed.validator_down, closed.validator_up), (250 * closed.upload, open.validator_up));
    let speed = Speed::of_sheet(&data_sheets()[0], 0.5, &plain.work());
    let gathering = |plan: &Plan| {
        let parts = plan.validator_round(&speed).parts;
        parts.into_iter().find(|part| part.what.starts_with("validator: fetch all uploads")).unwrap()
    };
    let waits = gathering(&plan(&["protocol.sealed=true", "protocol.reveal_window_seconds=30"]));
    assert_eq!((waits.what, waits.seconds), ("validator: fetch all uploads, wait for keys", 30.0));
    assert!((gathering(&sealed).seconds - gathering(&plain).seconds).abs() < 0.01, "fetching takes longer anyway");
    let said = printed("check templar-1b --set protocol.sealed=true");
    assert!(said.contains("keys count for 5 s (0.42 blocks) from the end of the put window"), "{said}");
}

#[test]
fn what_is_printed_is_what_check_says() {
    let plan = printed("plan templar-1b --price 2");
    for expected in [
        "templar-1b: 1,204,881,408 parameters, 20,000 rounds of 84 s, 250 peers registered, 15 aggregated",
        "one NVIDIA H100 SXM each",
        "model FLOPs reach 0.35 of that peak",
        "989 TFLOP/s",
        "41.5 up in the put window, ",
        "all rounds: 466.7 hours, 19.4 days",
        "peers fit on a device of 80.0 GB",
        "a peer is done in ",
    ] {
        assert!(plan.contains(expected), "no {expected:?} in {plan}");
    }
    let row = |what: &str| {
        let line = plan.lines().find(|line| line.contains(&format!("| {what} "))).unwrap_or_else(|| panic!("{what}"));
        line.split('|').map(|cell| cell.trim().to_string()).filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
    };
    let check = printed("check templar-1b");
    let said = |what: &str| check.lines().find(|line| line.starts_with(what)).unwrap().to_string();
    let upload = row("a peer");
    assert_eq!(upload[1], "51.9 MB");
    assert!(said("an upload").contains(&upload[1]), "{}", said("an upload"));
    assert!(said("compute a round").contains(&row("a peer's round")[2]), "{}", said("compute a round"));
    // 20,000 rounds of 84 s are 466.67 hours, at 2 USD.
    let one = row("one peer");
    assert_eq!((one[3].as_str(), one[4].as_str()), ("467", "933"));
    assert_eq!(row("all registered peers")[4], "233,333");
    assert!(!printed("plan templar-1b").contains("933"));
}

#[test]
fn what_does_not_fit_is_said() {
    let slow = printed("plan templar-1b --device a100 --mfu 0.05");
    assert!(slow.contains("a peer does NOT fit into the round: it needs chain.blocks_per_round = "), "{slow}");
    let link = printed("plan templar-1b --set peers.0.link.bandwidth_mbps=20");
    assert!(link.contains("does NOT fit into the put window of 10 s"), "{link}");
    let large = printed("plan templar-1b --set training.micro_batch=96");
    assert!(large.contains("does NOT fit on a device of 80.0 GB: use a smaller training.micro_batch"), "{large}");
}

#[test]
fn every_device_and_scheme_is_planned() {
    for device in ["h100", "h200", "a100", "b200", "cpu", "measured", "measured:cpu-f32"] {
        let plan = printed(&format!("plan net.toml --device {device}"));
        assert!(plan.contains("all rounds: 0.2 hours") && plan.contains("assumed:"), "{plan}");
        assert_eq!(plan.contains("measured now on"), device.starts_with("measured"), "{plan}");
    }
    for scheme in ["sparseloco", "dense"] {
        let settings = format!("--set scheme={scheme} --set scheme.inner_steps=4");
        let adamw = printed(&format!("plan net.toml {settings}"));
        assert!(adamw.contains("error feedback and moments") && !adamw.contains("Newton-Schulz"), "{adamw}");
        let muon = printed(&format!("plan net.toml {settings} --set scheme.inner=muon --set baseline.optimizer=muon"));
        assert_eq!(muon.matches("| Newton-Schulz ").count(), 2, "memory and time: {muon}");
        assert!(muon.contains("central Muon alone"), "{muon}");
        let compute = |settings: &str| {
            let check = printed(&format!("check net.toml {settings}"));
            check.lines().find(|line| line.starts_with("compute a round")).unwrap().to_string()
        };
        assert_ne!(compute(&settings), compute(&format!("{settings} --set scheme.inner=muon")));
    }
    for (words, expected) in [
        ("plan net.toml --device v100", "--device v100: expected h100, h200, a100, b200, cpu, measured"),
        ("plan net.toml --device measured:gpu", "--device measured:gpu: device `gpu`"),
        ("plan net.toml --mfu 2", "expected a fraction above 0, 1 at most"),
        ("plan net.toml --price=-1", "expected 0 to 1000000"),
        ("plan nothing.toml", "no such file"),
        ("plan net.toml --set model.num_heads=5", "model.num_heads"),
    ] {
        let output = sim(words);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && told.contains(expected), "sim {words}: {told}");
    }
}

/// Of Covenant-72B: hidden 8192, 80 layers, 64 heads and 8 for keys and values, MLP 28672, vocabulary 262,144.
const COVENANT_MATRICES: u64 = 2 * 262_144 * 8192 + 80 * (2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28_672);
const COVENANT: u64 = COVENANT_MATRICES + 161 * 8192;

#[test]
fn covenant_72b_is_near_what_was_published() {
    let scenario = load("scenarios/covenant-72b.toml", &[]).unwrap();
    assert_eq!((scenario.peers_total(), scenario.round_seconds()), (20, 1272.0));
    let plan = Plan::new(scenario).unwrap();
    assert_eq!((plan.parameters() as u64, COVENANT), (COVENANT, 72_747_327_488));
    // 30 steps of 192 sequences; 1.1 T tokens in all.
    assert_eq!(plan.tokens_per_peer(), 30.0 * 192.0 * 2048.0);
    let tokens = plan.tokens_per_peer() * 20.0 * plan.scenario.rounds as f64;
    assert!((tokens / 1.1e12 - 1.0).abs() < 0.001, "{tokens}");

    // 64 of 4,096 values in 12 + 2 bits; norms in 2 bits. Samples, tables of levels and headers are small.
    let traffic = plan.traffic();
    let values = COVENANT_MATRICES / 4096 * 64 * 14 / 8 + 161 * 8192 * 2 / 8;
    assert!((values..values + values / 1000).contains(&traffic.upload), "{} of {values}", traffic.upload);
    let times_smaller = 4.0 * COVENANT as f64 / traffic.upload as f64;
    assert!((146.0..147.0).contains(&times_smaller), "published: more than 146 times; {times_smaller}");

    // One upload and 20 downloads at 4.8 Gbit/s, a round trip each.
    let transfers = plan.transfer_seconds();
    let bytes = (traffic.upload + traffic.peer_down) as f64;
    assert!((transfers - 0.2 - 8.0 * bytes / 4.8e9).abs() < 1e-6);
    assert!((transfers / 70.0 - 1.0).abs() < 0.05, "published: about 70 s; {transfers}");
    let b200 = data_sheets().into_iter().find(|sheet| sheet.name == "b200").unwrap();
    let speed = Speed::of_sheet(&b200, 0.241, &plan.work());
    let round = plan.peer_round(&speed);
    let train = round.parts.iter().find(|part| part.what == "train").unwrap().seconds;
    assert!((train / 1200.0 - 1.0).abs() < 0.01, "published: 20 minutes; {train}");
    assert!((train / (train + transfers) - 0.945).abs() < 0.002, "published: 94.5 %");
    // The wait for the validator and the host's aggregation are not in the published figure.
    assert!(!round.fits() && (0.79..0.82).contains(&(train / round.needed)), "{round:?}");
}

#[test]
fn devices_of_a_peer_share_its_model_and_its_work() {
    let plan = |devices: usize| {
        let set = ["peers.0", "validators.0"].map(|path| format!("{path}.hardware.devices={devices}"));
        Plan::new(load("scenarios/covenant-72b.toml", &set).unwrap()).unwrap()
    };
    let (one, eight) = (plan(1), plan(8));
    let speed = Speed::of_sheet(&data_sheets()[0], 0.5, &one.work());
    for (one, eight) in [
        (one.peer_round(&speed), eight.peer_round(&speed)),
        (one.validator_round(&speed), eight.validator_round(&speed)),
    ] {
        for (one, eight) in one.parts.iter().zip(&eight.parts) {
            let is_work = ["train", "aggregate", "encode", "evaluate"].iter().any(|what| one.what.ends_with(what));
            let expected = if is_work { one.seconds / 8.0 } else { one.seconds };
            assert!((eight.seconds - expected).abs() < 1e-9, "{one:?}, {eight:?}");
        }
    }

    let memory = eight.peer_memory(true);
    let of = |what: &str| memory.parts.iter().find(|part| part.what == what).unwrap();
    let model = 4 * COVENANT;
    assert_eq!((of("weights").device, of("weights").host), (model / 8, model));
    assert_eq!((of("further replicas").device, of("further replicas").host), (0, 2 * model));
    // Two moments a parameter on the devices; the error feedback on the host.
    let kept = of("error feedback and moments");
    assert_eq!((kept.device, kept.host), (2 * model / 8, model));
    assert_eq!((of("gradient").device, of("gradient").host), (model / 8, 0));
    // A device computes alone on its micro-batch.
    let alone = one.peer_memory(true);
    for what in ["activations", "logits"] {
        assert_eq!(of(what).device, alone.parts.iter().find(|part| part.what == what).unwrap().device);
    }
    let larger = of("activations").device.max(of("logits").device);
    assert!((4 * model / 8 + larger..180_000_000_000).contains(&memory.total.device), "{memory:?}");

    let printed = |words: &str| printed(&format!("plan covenant-72b {words}"));
    let said = printed("--device b200");
    assert!(said.contains("8 x NVIDIA B200 SXM each") && said.contains("a peer fits on its 8 devices of 180 GB"));
    assert!(said.contains("as FSDP does") && said.contains("| each device |"), "{said}");
    let held = said.lines().find(|line| line.starts_with("| all registered peers ")).unwrap();
    assert_eq!(held.split('|').nth(2).unwrap().trim(), "160");
    let four = printed("--device b200 --set peers.0.hardware.devices=4");
    assert!(four.contains("does NOT fit on 4 devices of 180 GB: use more (peers.0.hardware.devices)"), "{four}");
}
