//! Scenarios as users write them: files, overrides, and messages about mistakes.

use proptest::prelude::*;

use crate::corpus::CorpusKind;

use super::{PeerGroup, Registry, Scenario, ScenarioError, load};
use crate::settings::Kinded;

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
    assert_eq!(scenario.peers[1].behaviour, kinded("lazy", "fraction = 0.25"));
    assert_eq!(scenario.mechanism.settings["openskill"]["beta"].as_float(), Some(20.0));
    assert_eq!(scenario.validators[0].stake, 5.0);
    assert_eq!(scenario.name, "123");
    let scenario = with(&["peers.1.behaviour=copycat", "seed=1", "seed=2"]).unwrap();
    assert_eq!(scenario.peers[1].behaviour, kinded("copycat", "of = 'best'\nnoise = 0.0"), "defaults are filled in");
    assert_eq!(scenario.seed, 2);
    let malformed = with(&["peers.1.behaviour={kind='malformed', how='nan'}"]).unwrap().peers[1].behaviour.clone();
    assert_eq!(malformed, kinded("malformed", "how = 'nan'"));
    let whole = with(&["peers.1.behaviour={kind='lazy', fraction=1}"]).unwrap().peers[1].behaviour.clone();
    assert_eq!(whole.settings["fraction"].as_float(), Some(1.0), "a number keeps its type");
}

fn kinded(kind: &str, settings: &str) -> Kinded {
    Kinded { settings: toml::from_str(settings).unwrap(), ..Kinded::of(kind) }
}

#[test]
fn peers_are_called_by_what_they_do() {
    let labels = |overrides: &[&str]| {
        let scenario = with(overrides).unwrap();
        let labels = scenario.peers.iter().map(|group| scenario.label(&group.behaviour));
        labels.collect::<Vec<_>>()
    };
    assert_eq!(labels(&[]), ["honest", "lazy"]);
    assert_eq!(labels(&["peers.1.behaviour=free-rider", "peers.0.behaviour.data=2"]), ["honest x2", "free-rider"]);
    assert!(!with(&["peers.1.behaviour=noise"]).map(|s| s.behaviour(&s.peers[1].behaviour).build().trains()).unwrap());
}

#[test]
fn a_behaviour_can_be_said_alone() {
    let said = |text| Registry::default().behaviour(text).map(|settings| settings.label());
    assert_eq!(said("lazy"), Ok(None));
    assert_eq!(said("{ data = 0.5 }"), Ok(Some("honest x0.5".into())));
    for (text, expected) in [
        ("lasy", "behaviour is `lasy`; expected one of honest, lazy,"),
        ("{ kind = \"lazy\", fraction = 3 }", "behaviour.fraction is 3; expected a fraction above 0, 1 at most"),
        ("{ kind = \"lazy\", fraction = nan }", "behaviour.fraction is NaN; expected a finite number"),
        ("{ kind = \"lazy\", fractoin = 3 }", "did you mean `fraction`?"),
        ("{ kind = 3 }", "behaviour is 3; expected a string"),
        ("{ kind = ", "unclosed inline table"),
    ] {
        let error = said(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_name_that_is_nearly_a_shipped_one_is_suggested() {
    let told = |name: &str| load(name, &[]).unwrap_err().to_string();
    let near = "no such file, and no shipped scenario has this name; did you mean";
    for (name, meant) in
        [("copycta", "copycat"), ("COPYCAT", "copycat"), ("nowhere/real_text.toml", "real-text"), ("honset", "honest")]
    {
        assert_eq!(told(name), format!("{name}: {near} `{meant}`?"));
    }
    assert!(told("something").contains("; shipped are honest, sparseloco, "), "{}", told("something"));
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
            "x.toml:3:30: peers.0.behaviour: `data` is not a setting of the behaviour `lazy`, which has fraction",
        ),
        (
            "name = \"x\"\n[[peers]]\nbehaviour = { kind = \"noise\", x = 1 }\n",
            "x.toml:3:31: peers.0.behaviour: `x` is not a setting of the behaviour `noise`, which has none",
        ),
        (
            "name = \"x\"\n[[peers]]\n[[peers]]\n[peers.behaviour]\nkind = \"lasy\"\n",
            "x.toml:5:8: peers.1.behaviour.kind is `lasy`; expected one of honest, lazy",
        ),
        (
            "name = \"x\"\n[[peers]]\nbehaviour = { kind = \"stale\", rounds = -5 }\n",
            "x.toml:3:40: peers.0.behaviour.rounds is -5; expected a whole number, 0 or more",
        ),
        (
            "name = \"x\"\n[[peers]]\nbehaviour = { kind = \"malformed\", how = \"nam\" }\n",
            "x.toml:3:41: peers.0.behaviour.how is `nam`; expected one of shape, index, nan, oversized, truncated, any",
        ),
        (
            "name = \"x\"\n[[peers]]\nbehaviour = 3\n",
            "x.toml:3:13: peers.0.behaviour is 3; expected a name, or a table",
        ),
        (
            "name = \"x\"\nmechanism = \"gauntlt\"\n[[peers]]\n",
            "x.toml:2:13: mechanism is `gauntlt`; expected one of gauntlet, templar-v2",
        ),
        (
            "name = \"x\"\n[mechanism]\ntop_peers = 3\n[[peers]]\n",
            "x.toml:3:1: mechanism: `top_peers` is not a setting of the mechanism `gauntlet`; did you mean `protocol.top_peers`?",
        ),
        (
            "name = \"x\"\n[mechanism.openskill]\nbetta = 3\n[[peers]]\n",
            "x.toml:3:1: unknown key `betta` in [mechanism.openskill]; did you mean `beta`?",
        ),
        (
            "name = \"x\"\n[corpus]\nkind = \"txt\"\n[[peers]]\n",
            "x.toml:3:8: corpus.kind is `txt`; expected one of synthetic, words, text",
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
        ("peers.2.count=1", "`2` is not one of peers; expected 0 to 1, or `+` for one more"),
        ("peers.+=copycat", "peers.2 is \"copycat\"; expected a table"),
        (
            "peers.+.behaviour=copycatt",
            "--set peers.+.behaviour=copycatt: peers.2.behaviour is `copycatt`; expected one of",
        ),
        ("peers.+.cuont=3", "unknown key `cuont` in [peers.2]; did you mean `count`?"),
        ("operators.0.uids=3", "operators has no group; `operators.+` adds one"),
        ("operators.last.uids=3", "operators has no group; `operators.+` adds one"),
        ("training.+=3", "unknown key `+` in [training]"),
        ("peers.first.count=1", "`first` is not one of peers"),
        ("peers.0.count=-1", "peers.0.count is -1; expected a whole number"),
        ("peers.0.count=0", "--set peers.0.count=0: peers.0.count is 0; expected 1 or more"),
        (
            "peers.0.count=300",
            "--set peers.0.count=300: peers.0.count is 300; expected 250 peers at most from the start (chain.slots), not 300",
        ),
        ("peers.0.count=2", "--set peers.0.count=2: protocol.top_peers is 15 (the default); expected 3 at most"),
        ("peers.1.behaviour=copycatt", "peers.1.behaviour is `copycatt`; expected one of honest, lazy"),
        ("peers.1.behaviour=copycatt", "did you mean `copycat`?"),
        ("peers.1.behaviour.kind=copycatt", "peers.1.behaviour.kind is `copycatt`; expected one of honest, lazy"),
        (
            "peers.1.behaviour.fractoin=1",
            "peers.1.behaviour: `fractoin` is not a setting of the behaviour `lazy`; did you",
        ),
        ("peers.1.behaviour.fraction=a", "peers.1.behaviour.fraction is \"a\"; expected a number"),
        ("peers.0.behaviour.fraction=1", "`fraction` is not a setting of the behaviour `honest`, which has data"),
        ("peers.1.behaviour.kind=stale", "`fraction` is not a setting of the behaviour `stale`, which has rounds"),
        (
            "peers.0.behaviour={kind='backdoor', target=70000}",
            "peers.0.behaviour.target is 70000; expected tokens below 256, the size of the model's vocabulary",
        ),
        (
            "operators=[{uids=2000, joins=1, behaviour={kind='strategy', leaves={after=1}}}]",
            "operators.0.behaviour is a behaviour with 16000 keys in 9 rounds; expected 10000 keys at most",
        ),
        ("mechanism=gauntlt", "--set mechanism=gauntlt: mechanism is `gauntlt`; expected one of gauntlet"),
        ("chain.slots=251", "chain.slots is 251; expected 1 to 250"),
        ("chain.slots=20", "--set chain.slots=20: peers.1.count is 1 (the default); expected 20"),
        ("protocol.min_peers=16", "protocol.min_peers is 16; expected 15 at most"),
        ("protocol.put_window_seconds=100", "expected 84 at most"),
        ("protocol.reveal_window_seconds=1.5", "protocol.reveal_window_seconds is 1.5; expected 2 or more"),
        (
            "protocol={sealed=true, reveal_window_seconds=80, put_window_seconds=10}",
            "protocol.reveal_window_seconds is 80; expected 74 at most, the seconds of a round that \
             protocol.put_window_seconds leaves",
        ),
        ("protocol={sealed=true, put_window_seconds=80}", "protocol.reveal_window_seconds is 5; expected 4 at most"),
        ("mechanism.evaluated_fraction=1.5", "expected a fraction above 0"),
        ("peers.1.behaviour.fraction=0", "peers.1.behaviour.fraction is 0; expected a fraction above 0"),
        ("peers.1.link.loss=1", "expected a fraction, 0 or more and below 1"),
        ("peers.1.link.latency_ms=-1", "expected 0 or more"),
        ("peers.1.hardware.tokens_per_second=0", "expected more than 0"),
        ("peers.1.hardware.devices=0", "expected 1 to 65536"),
        ("validators.0.stake=0", "validators.0.stake is 0; expected more than 0"),
        ("validators.0.stake=inf", "expected a finite number"),
        ("rounds=0", "rounds is 0; expected 1 or more"),
        ("training.micro_batch=0", "expected 1 or more"),
        ("scheme.chunk=65", "expected 1 to 64"),
        ("scheme.topk=4097", "expected 1 to 4096"),
        ("corpus.path=a.txt", "or set corpus.kind to \"text\""),
        ("aggregation.rule=sign-off-mean", "aggregation.rule is `sign-off-mean`; expected one of sign-of-mean"),
        ("aggregation.rule=sign-off-mean", "which the scheme `demo` sends; did you mean `sign-of-mean`?"),
        ("peers.1.inner_steps=4", "peers.1.inner_steps is 4; expected nothing: with this scheme a round is one step"),
        ("aggregation.weights=token", "aggregation.weights is `token`; expected one of equal, tokens"),
        ("aggregation.weights=tokens", "expected equal, unless uploads say how many pages they are from"),
        ("aggregation.rule=clipped-mean", "the rules for coefficients of the DCT, which the scheme `demo` sends"),
        (
            "aggregation.ruel=sign-of-mean",
            "aggregation: `ruel` is not a setting of the rule `sign-of-mean`; did you mean `rule`?",
        ),
    ] {
        let message = with(&[change]).unwrap_err();
        assert!(message.starts_with("--set ") && message.contains(expected), "{message}\nlacks\n{expected}");
    }
}

#[test]
fn schemes_are_chosen_by_name_and_their_defaults_fit_the_round() {
    let scheme = |overrides: &[&str]| with(overrides).unwrap().scheme;
    assert_eq!(scheme(&[]).kind.as_deref(), Some("demo"), "the default is told");
    assert_eq!(scheme(&["scheme.topk=8"]).settings["topk"].as_integer(), Some(8));
    assert_eq!(scheme(&["scheme.topk=8", "scheme=demo"]).settings["topk"].as_integer(), Some(32));
    for (pages, steps) in [("training.pages_per_round=192", 30), ("training.pages_per_round=4", 4)] {
        for kind in ["scheme=sparseloco", "scheme=dense"] {
            assert_eq!(scheme(&[kind, pages]).settings["inner_steps"].as_integer(), Some(steps), "{kind}, {pages}");
        }
        assert!(scheme(&[pages]).settings.get("inner_steps").is_none());
    }
    let message = with(&["scheme=sparseloco", "training.pages_per_round=4", "scheme.inner_steps=5"]).unwrap_err();
    assert_eq!(message, "--set scheme.inner_steps=5: scheme.inner_steps is 5; expected 1 to 4, the pages of a round");
}

#[test]
fn a_wrong_scheme_is_told_with_its_key() {
    for (scheme, expected) in [
        ("\"dmeo\"", "x.toml:2:10: scheme is `dmeo`; expected one of demo, sparseloco, dense; did you mean `demo`?"),
        ("{ topkk = 5 }", "x.toml:2:12: scheme: `topkk` is not a setting of the scheme `demo`; did you mean `topk`?"),
        ("{ kind = \"dense\", beta3 = 5 }", "`beta3` is not a setting of the scheme `dense`; did you mean `beta1`?"),
        ("{ topk = \"a\" }", "x.toml:2:19: scheme.topk is \"a\"; expected a whole number"),
        ("{ bits = 3 }", "x.toml:2:12: scheme.bits is 3; expected 2, 4, 8 or 32"),
        ("{ kind = \"dense\", update = \"adam\" }", "scheme.update is `adam`; expected one of gradient, adamw"),
        (
            "{ kind = \"sparseloco\", inner = \"moun\" }",
            "x.toml:2:41: scheme.inner is `moun`; expected one of adamw, muon",
        ),
        (
            "{ kind = \"sparseloco\", momentum = 0.9 }",
            "scheme.momentum is 0.9; expected nothing, because it is for scheme.inner = \"muon\"",
        ),
        ("{ kind = \"sparseloco\", inner = \"muon\", matrix_lr = 0.0 }", "scheme.matrix_lr is 0; expected more than 0"),
        ("{ kind = \"dense\", inner = \"muon\", update = \"adamw\" }", "scheme.inner is muon; expected adamw, unless"),
        ("3", "x.toml:2:10: scheme is 3; expected a name, or a table"),
    ] {
        let text = format!("name = \"x\"\nscheme = {scheme}\n[[peers]]\ncount = 20\n");
        let message = Scenario::from_toml(&text, "x.toml", &[]).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}\nlacks\n{expected}");
    }
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let text = "name = \"x\"\nrounds = 0\n[training]\nlr = -1\n[[peers]]\ncount = 20\n";
    let message = Scenario::from_toml(text, "x.toml", &[]).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 2, "{message}");
    let text = "name = \"x\"\nmechanism = \"x\"\n[[peers]]\nbehaviour = \"x\"\n[[peers]]\nbehaviour = { x = 1 }\n";
    let message = Scenario::from_toml(text, "x.toml", &[]).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 3, "{message}");
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

fn behaviours() -> impl Strategy<Value = Kinded> {
    (0usize..12, 1u64..1000, 0.001f64..1.0).prop_map(|(kind, whole, fraction)| {
        let (kind, settings) = match kind {
            0 => ("honest", format!("data = {fraction:?}")),
            1 => ("lazy", format!("fraction = {fraction:?}")),
            2 => ("free-rider", String::new()),
            3 => ("stale", format!("rounds = {whole}")),
            4 => ("desync", format!("at = {whole}\npause = {}", whole + 1)),
            5 => ("copycat", format!("of = 'random'\nnoise = {fraction:?}")),
            6 => ("offline", format!("leave = {fraction:?}\nreturn = {:?}", fraction / 3.0)),
            7 => ("late", format!("seconds = {:?}", whole as f64)),
            8 => ("noise", String::new()),
            9 => ("sign-flip", String::new()),
            10 => ("rescaled", format!("factor = {:?}", -fraction)),
            _ => ("malformed", "how = 'truncated'".to_string()),
        };
        kinded(kind, &settings)
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
