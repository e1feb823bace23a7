//! Scenarios as users write them: files, overrides, and what is said of wrong ones.

use proptest::prelude::*;

use crate::corpus::CorpusKind;

use super::{Behaviour, Copied, Malformation, PeerGroup, Scenario, ScenarioError, load};

const BASE: &str = "\
name = \"x\"
rounds = 9
[training]
lr = 1e-3
[[peers]]
count = 20
[[peers]]
behaviour = { kind = \"lazy\", fraction = 0.5 }
";

fn with(overrides: &[&str]) -> Result<Scenario, String> {
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    Scenario::from_toml(BASE, "x.toml", &overrides).map_err(|error| error.to_string())
}

#[test]
fn overrides_reach_every_kind_of_key() {
    let scenario = with(&[
        "training.lr=1e-2",
        "corpus.kind=text",
        "corpus.path=../a b.txt",
        "peers.0.count=17",
        "peers[1].behaviour.fraction=0.25",
        "mechanism.openskill.beta=20",
        "validators.0.stake = 5",
        "name=123",
    ])
    .unwrap();
    assert_eq!(scenario.training.lr, 1e-2);
    assert_eq!(scenario.corpus.kind, CorpusKind::Text);
    assert_eq!(scenario.corpus.path.as_deref(), Some("../a b.txt"));
    assert_eq!(scenario.peers[0].count, 17);
    assert_eq!(scenario.peers[1].behaviour, Behaviour::Lazy { fraction: 0.25 });
    assert_eq!(scenario.mechanism.settings["openskill"]["beta"].as_float(), Some(20.0));
    assert_eq!(scenario.validators[0].stake, 5.0);
    assert_eq!(scenario.name, "123");
    let scenario = with(&["peers.1.behaviour=copycat", "seed=1", "seed=2"]).unwrap();
    assert_eq!(scenario.peers[1].behaviour, Behaviour::Copycat { of: Copied::Best, noise: 0.0 });
    assert_eq!(scenario.seed, 2);
    let how = Behaviour::Malformed { how: Malformation::Nan };
    assert_eq!(with(&["peers.1.behaviour={kind='malformed', how='nan'}"]).unwrap().peers[1].behaviour, how);
}

#[test]
fn a_wrong_file_is_told_with_line_column_and_key() {
    for (text, expected) in [
        ("name = \"x\"\npeers = [\n", "x.toml:2:10: not TOML: unclosed array"),
        (
            "name = \"x\"\n[training]\n  lrr = 1\n[[peers]]\n",
            "x.toml:3:3: unknown key `lrr` in [training]; did you mean `lr`?",
        ),
        ("name = \"x\"\n[[peers]]\nrounds = 5\n", "above the first [section]?"),
        ("name = \"x\"\n", "x.toml: peers is empty (the default); expected at least one group of peers or operators"),
        (
            "name = \"x\"\n[[peers]]\ncount = -3\n",
            "x.toml:3:9: peers.0.count is -3; expected a whole number, 0 or more",
        ),
        (
            "name = \"x\"\n[[peers]]\nbehaviour = \"lasy\"\n",
            "x.toml:3:13: peers.0.behaviour is `lasy`; expected one of honest, lazy",
        ),
        ("name = \"x\"\n[[peers]]\nbehaviour = { kind = \"lazy\", fractoin = 1 }\n", "did you mean `fraction`?"),
        (
            "name = \"x\"\n[[peers]]\nbehaviour = { kind = \"lazy\", data = 1 }\n",
            "x.toml:3:13: peers.0.behaviour: `data` is not a setting",
        ),
        (
            "name = \"x\"\n[corpus]\nkind = \"txt\"\n[[peers]]\n",
            "x.toml:3:8: corpus.kind is `txt`; expected one of synthetic, text",
        ),
        ("name = \"x\"\n[training]\nlr = \"a\"\n[[peers]]\n", "x.toml:3:6: training.lr is \"a\"; expected a number"),
        ("name = \"x\"\n[[peers]]\ncount = 300\n", "x.toml:3:1: peers.0.count is 300; expected 250 peers at most"),
        ("name = \"x\"\npeers = []\n", "x.toml:2:1: peers is empty; expected at least one group of peers or operators"),
        ("name = \"x\"\nvalidators = []\n[[peers]]\ncount = 20\n", "x.toml:2:1: validators is empty"),
        ("name = \"../x\"\n[[peers]]\ncount = 20\n", "x.toml:1:1: name is \"../x\"; expected 1 to 64 letters"),
        (
            "name = \"x\"\n[[peers]]\ncount = 3\n",
            "x.toml:2:3: protocol.top_peers is 15 (the default); expected 3 at most",
        ),
        ("name = \"x\"\n[corpus]\nkind = \"text\"\n[[peers]]\ncount = 20\n", "x.toml:2:2: corpus.path is missing"),
        (
            "name = \"x\"\n[training]\nlr = nan\n[[peers]]\ncount = 20\n",
            "x.toml:3:1: training.lr is NaN; expected a finite number",
        ),
    ] {
        let message = Scenario::from_toml(text, "x.toml", &[]).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}\nlacks\n{expected}");
    }
}

#[test]
fn a_wrong_override_is_told_with_its_text() {
    for (change, expected) in [
        ("training.lrr=1", "--set training.lrr=1: unknown key `lrr` in [training]; did you mean `lr`?"),
        ("trainin.lr=1", "unknown key `trainin` in the file's top level; did you mean `training`?"),
        ("training.lr", "expected key=value"),
        ("training..lr=1", "expected key=value"),
        ("training.lr=fast", "training.lr is \"fast\"; expected a number"),
        ("training.lr.x=1", "training.lr is a single value"),
        ("peers.2.count=1", "`2` is not one of peers; expected 0 to 1"),
        ("peers.first.count=1", "`first` is not one of peers"),
        ("peers.0.count=-1", "peers.0.count is -1; expected a whole number"),
        ("peers.0.count=0", "--set peers.0.count=0: peers.0.count is 0; expected 1 or more"),
        (
            "peers.0.count=300",
            "--set peers.0.count=300: peers.0.count is 300; expected 250 peers at most from the start (chain.slots), not 300",
        ),
        ("peers.0.count=2", "--set peers.0.count=2: protocol.top_peers is 15 (the default); expected 3 at most"),
        ("peers.1.behaviour=copycatt", "did you mean `copycat`?"),
        ("chain.slots=251", "chain.slots is 251; expected 1 to 250"),
        ("chain.slots=20", "--set chain.slots=20: peers.1.count is 1 (the default); expected 20"),
        ("protocol.min_peers=16", "protocol.min_peers is 16; expected 15 at most"),
        ("protocol.put_window_seconds=100", "expected 84 at most"),
        ("mechanism.evaluated_fraction=1.5", "expected a fraction above 0"),
        ("peers.1.behaviour.fraction=0", "peers.1.behaviour.fraction is 0; expected a fraction above 0"),
        ("peers.1.link.loss=1", "expected a fraction, 0 or more and below 1"),
        ("peers.1.link.latency_ms=-1", "expected 0 or more"),
        ("peers.1.hardware.tokens_per_second=0", "expected more than 0"),
        ("validators.0.stake=0", "validators.0.stake is 0; expected more than 0"),
        ("validators.0.stake=inf", "expected a finite number"),
        ("rounds=0", "rounds is 0; expected 1 or more"),
        ("training.micro_batch=0", "expected 1 or more"),
        ("scheme.chunk=65", "expected 1 to 64"),
        ("scheme.topk=4097", "expected 1 to 4096"),
        ("corpus.path=a.txt", "or set corpus.kind to \"text\""),
        ("aggregation.rule=sign-off-mean", "aggregation.rule is `sign-off-mean`; expected one of sign-of-mean"),
        ("aggregation.rule=sign-off-mean", "which the scheme `demo` sends; did you mean `sign-of-mean`?"),
        ("aggregation.rule=clipped-mean", "the rules for coefficients of the DCT, which the scheme `demo` sends"),
        ("aggregation.ruel=sign-of-mean", "unknown key `ruel` in [aggregation]; did you mean `rule`?"),
    ] {
        let message = with(&[change]).unwrap_err();
        assert!(message.starts_with("--set ") && message.contains(expected), "{message}\nlacks\n{expected}");
    }
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let text = "name = \"x\"\nrounds = 0\n[training]\nlr = -1\n[[peers]]\ncount = 20\n";
    let message = Scenario::from_toml(text, "x.toml", &[]).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn the_rule_of_aggregation_is_written_only_where_it_is_set() {
    assert!(!with(&[]).unwrap().to_toml().contains("aggregation"), "the names of runs cover the text");
    let scenario = with(&["aggregation.rule=sign-of-mean"]).unwrap();
    assert!(scenario.to_toml().contains("[aggregation]\nrule = \"sign-of-mean\""));
    with(&["scheme=dense", "scheme.inner_steps=1", "aggregation.rule=clipped-mean"]).unwrap();
}

#[test]
fn peers_are_listed_in_the_order_of_the_file() {
    let scenario = with(&[]).unwrap();
    let peers: Vec<(usize, String)> = scenario.each_uid().map(|(slot, peer)| (slot, peer.label())).collect();
    assert_eq!(scenario.peers_total(), 21);
    assert_eq!(peers.len(), 21);
    assert_eq!((&peers[19], &peers[20]), (&(19, "honest".into()), &(20, "lazy".into())));
}

#[test]
fn shipped_scenarios_are_found_without_their_files() {
    for path in ["copycat", "somewhere/copycat.toml"] {
        assert_eq!(load(path, &["rounds=7".to_string()]).unwrap().rounds, 7);
    }
    let message = load("copycat", &["rounds=0".to_string()]).unwrap_err().to_string();
    assert!(message.starts_with("--set rounds=0"), "{message}");
    let message = load("nowhere.toml", &[]).unwrap_err().to_string();
    assert!(message.starts_with("nowhere.toml: no such file") && message.contains("copycat"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, [0xff, 0xfe]).unwrap();
    assert!(matches!(load(&binary, &[]), Err(ScenarioError::Unreadable { .. })));
    assert!(matches!(load(folder.path(), &[]), Err(ScenarioError::Unreadable { .. })));
}

#[test]
fn a_file_on_disk_comes_before_a_shipped_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copycat.toml");
    std::fs::write(&file, BASE).unwrap();
    assert_eq!(load(&file, &[]).unwrap().name, "x");
}

fn behaviours() -> impl Strategy<Value = Behaviour> {
    let kinds = (0..Behaviour::KINDS.len(), 1u64..1000, 0.001f64..1.0);
    kinds.prop_map(|(kind, whole, fraction)| match kind {
        0 => Behaviour::Honest { data: fraction },
        1 => Behaviour::Lazy { fraction },
        2 => Behaviour::FreeRider,
        3 => Behaviour::Stale { rounds: whole },
        4 => Behaviour::Desync { at: whole, pause: whole + 1 },
        5 => Behaviour::Copycat { of: Copied::Random, noise: fraction },
        6 => Behaviour::Offline { leave: fraction, come_back: fraction / 3.0 },
        7 => Behaviour::Late { seconds: whole as f64 },
        8 => Behaviour::Noise,
        9 => Behaviour::SignFlip,
        10 => Behaviour::Rescaled { factor: -fraction },
        _ => Behaviour::Malformed { how: Malformation::Truncated },
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        behaviour in behaviours(),
        (lr, seed, rate) in (1e-9f64..1.0, 0u64..=i64::MAX as u64, proptest::option::of(1.0f64..1e9)),
        leaves in proptest::option::of(1u64..100),
    ) {
        let mut scenario = with(&[]).unwrap();
        scenario.training.lr = lr;
        scenario.seed = seed;
        scenario.summary = "a \"line\"\nwith ü".into();
        let mut group = PeerGroup { behaviour, leaves, ..scenario.peers[0].clone() };
        group.hardware.tokens_per_second = rate;
        scenario.peers.push(group);
        let text = scenario.to_toml();
        prop_assert_eq!(Scenario::from_toml(&text, "again.toml", &[]).unwrap(), scenario);
    }
}
