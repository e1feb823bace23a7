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
    for device in ["h100", "h200", "a100", "cpu", "measured", "measured:cpu-f32"] {
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
        ("plan net.toml --device v100", "--device v100: expected h100, h200, a100, cpu, measured"),
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
