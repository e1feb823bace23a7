//! Attacks of the literature: what they do to a network, and what rules of aggregation do against them.

use gauntlet::mechanism::Status;

use super::common::{Told, finished};
use super::{goes_on, small};

/// Everybody who passes the cheap checks is aggregated, so that only the rule stands against attackers.
const OPEN: [&str; 6] = [
    "mechanism=equal",
    "protocol.top_peers=7",
    "rounds=16",
    "training.eval_every=16",
    "scheme={kind='dense', inner_steps=4}",
    "training.lr=5e-3",
];

/// Five honest peers and two that are one operator with this behaviour.
fn loss(behaviour: &str, rule: &str) -> f64 {
    let rule = format!("aggregation={{rule='{rule}', dishonest=0.3}}");
    let peers = format!("[[peers]]\ncount = 5\n[[operators]]\nuids = 2\nbehaviour = {behaviour}\n");
    let told = finished(&small(&peers, &[&OPEN[..], &[rule.as_str()]].concat()));
    last_loss(&told)
}

fn last_loss(told: &Told) -> f64 {
    told.reports.last().unwrap().loss.unwrap()
}

/// The mean of honest payloads learns best where nobody attacks, and is lost where somebody does.
#[test]
fn rules_withstand_what_breaks_the_mean() {
    let alone = loss("\"honest\"", "mean");
    for attack in [
        "{ kind = \"ipm\", epsilon = 10.0 }",
        "{ kind = \"ipm\", epsilon = 10.0, knows = \"operator\" }",
        "{ kind = \"gaussian\", sigma = 30.0 }",
        "{ kind = \"alie\", z = 30.0 }",
        "{ kind = \"alie\", z = 30.0, knows = \"operator\" }",
    ] {
        let mean = loss(attack, "mean");
        assert!(mean > alone + 0.4, "{attack}: {mean} for {alone}");
        for rule in ["trimmed-mean", "median", "multi-krum"] {
            let robust = loss(attack, rule);
            assert!(robust < alone + 0.35, "{attack}, {rule}: {robust} for {alone}");
        }
    }
}

#[test]
fn labels_that_are_flipped_are_learnt() {
    let loss = |behaviour: &str| {
        let network = small(&format!("[[peers]]\ncount = 3\nbehaviour = \"{behaviour}\"\n"), &["protocol.top_peers=3"]);
        let initial = network.network.core.loss(&network.network.genesis.model, network.network.core.corpus.held_out());
        last_loss(&finished(&network)) - initial
    };
    let [honest, flipped] = ["honest", "label-flip"].map(loss);
    assert!(honest < -0.05 && flipped > 0.01, "{honest} and {flipped}");
}

/// Two of seven open it and the loss does not tell; robust rules keep it shut, and so does it stay where those that put it
/// in have left.
#[test]
fn a_backdoor_opens_and_its_success_is_told() {
    let run = |group: &str, rule: &str| {
        let peers = format!("[[peers]]\ncount = 5\n[[peers]]\ncount = 2\nbehaviour = \"backdoor\"\n{group}");
        let told = finished(&small(&peers, &[&OPEN[..], &["training.eval_every=8", rule]].concat()));
        let measured = told.reports.iter().filter_map(|report| Some((report.round, report.backdoor?)));
        (measured.collect::<Vec<_>>(), last_loss(&told))
    };
    let (open, loss) = run("", "aggregation.rule=clipped-mean");
    assert_eq!(open.iter().map(|(round, _)| *round).collect::<Vec<_>>(), [7, 15]);
    assert!(open[1].1 > 0.9, "{open:?}");
    for (group, rule) in [
        ("leaves = 1", "aggregation.rule=clipped-mean"),
        ("", "aggregation={rule='median', dishonest=0.3}"),
        ("", "aggregation={rule='multi-krum', dishonest=0.3}"),
    ] {
        let (shut, loss_without) = run(group, rule);
        assert!(shut[1].1 < 0.1, "{group}, {rule}: {shut:?}");
        assert!((loss - loss_without).abs() < 0.1, "{group}, {rule}: {loss} and {loss_without}");
    }
    let honest = finished(&small("[[peers]]\ncount = 4\n", &["rounds=4"]));
    assert!(honest.reports.iter().all(|report| report.backdoor.is_none()));
}

#[test]
fn who_mimics_sends_what_another_has_sent() {
    let peers = "[[peers]]\ncount = 4\n[[operators]]\nuids = 2\nbehaviour = { kind = \"mimic\", learn = 3 }\n";
    let network = small(peers, &["mechanism.copy_overlap_half=0.9", "mechanism.copy_overlap_zero=1.0"]);
    let told = finished(&network);
    for round in 0..14 {
        for peer in 0..6 {
            let status = told.peer(&network, peer, round).unwrap().status;
            assert_eq!(status == Status::Passed, peer < 4, "peer {peer} in round {round}: {status:?}");
        }
    }
}

/// All of them, each on its own and some as operators, over a link that loses requests.
const ATTACKERS: &str = r#"
[[peers]]
count = 3
link = { loss = 0.05 }
[[operators]]
uids = 2
behaviour = { kind = "alie", knows = "operator" }
[[peers]]
behaviour = { kind = "ipm", epsilon = 0.1 }
link = { loss = 0.05 }
[[operators]]
uids = 2
behaviour = { kind = "mimic", learn = 6 }
link = { loss = 0.05 }
[[peers]]
behaviour = { kind = "gaussian", sigma = 2.0 }
[[peers]]
behaviour = "label-flip"
[[peers]]
behaviour = { kind = "backdoor", pages = 0.5 }
[[peers]]
behaviour = { kind = "alie", colluders = 3 }
"#;

#[test]
fn attackers_go_on_from_any_checkpoint() {
    goes_on(&small(ATTACKERS, &[]));
}

#[test]
fn attacks_are_well_formed_under_every_scheme() {
    for scheme in
        ["{kind='demo', topk=4, bits=2}", "{kind='sparseloco', inner_steps=2, topk=8}", "{kind='dense', inner_steps=2}"]
    {
        let told = finished(&small(ATTACKERS, &[&format!("scheme={scheme}"), "rounds=5"]));
        for report in &told.reports {
            let failed: Vec<_> = report.peers.iter().filter(|peer| peer.status != Status::Passed).collect();
            assert!(failed.is_empty(), "{scheme}, round {}: {failed:?}", report.round);
        }
    }
}
