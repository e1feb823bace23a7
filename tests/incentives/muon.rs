//! The same with Muon inside of SparseLoCo: adversaries fare no better, and the bounds are those of AdamW inside.

use super::*;

const MUON: &[&str] = &["scheme={kind='sparseloco', inner='muon', inner_steps=4, topk=256, bits=2}"];

/// Two peers of this behaviour.
fn two_under_muon(behaviour: &str, seeds: &[u64]) -> Fared {
    fare_under(MUON, &format!("[[peers]]\ncount = 2\nbehaviour = {behaviour}\n"), seeds)
}

#[test]
fn copycat() {
    let fared = as_in_snapshot("muon-copycat", two_under_muon("\"copycat\"", ONE_SEED));
    assert!(fared.pay() < 0.25 && fared.learns());
}

#[test]
fn lazy() {
    let fared = as_in_snapshot("muon-lazy", two_under_muon("\"lazy\"", SEEDS));
    assert!(fared.pay() < 0.25);
}

#[test]
fn stale() {
    let fared = as_in_snapshot("muon-stale", two_under_muon("{ kind = \"stale\", rounds = 5 }", ONE_SEED));
    assert!(fared.pay() < 0.01);
}

#[test]
fn rescaled() {
    let fared = as_in_snapshot("muon-rescaled", two_under_muon("\"rescaled\"", ONE_SEED));
    assert!(fared.pay() < 0.01 && fared.learns());
}

#[test]
fn byzantine() {
    let attackers = ["\"noise\"", "{ kind = \"rescaled\", factor = -1e6 }"];
    let attackers: String = attackers.iter().map(|kind| format!("[[peers]]\nbehaviour = {kind}\n")).collect();
    let fared = as_in_snapshot("muon-byzantine", fare_under(MUON, &attackers, ONE_SEED));
    assert!(fared.pay() < 0.05 && fared.learns());
}

/// Thieves that average what others upload take no larger part of all pay than with AdamW inside and its other settings
/// the same. They are paid far too much under both, as under DeMo.
#[test]
fn averaging_inside_the_window() {
    let adamw =
        "scheme={kind='sparseloco', inner_steps=4, topk=256, bits=2, beta2=0.999, weight_decay=0.02, clip_norm=1e9}";
    let averaging = "[[peers]]\ncount = 2\nbehaviour = { kind = \"strategy\", mix = \"now\", own = 0.5 }\n";
    let part = |fared: &Fared| 2.0 * fared.pay() / (2.0 * fared.pay() + HONEST as f64);
    let adamw = part(&fare_under(&[adamw], averaging, SEEDS));
    let muon = part(&as_in_snapshot("muon-averaging", fare_under(MUON, averaging, SEEDS)));
    assert!(muon < adamw + 0.03, "{muon:.3} of all pay, with AdamW {adamw:.3}");
}

/// An honest peer is 0 steps behind, and one round behind is told from two. The unit is measured on `tiny`; here a round
/// is nearly two steps.
#[test]
fn a_step_behind_is_a_round_behind() {
    let stale = |rounds: u64| format!("[[peers]]\nbehaviour = {{ kind = \"stale\", rounds = {rounds} }}\n");
    let fared = fare_under(MUON, &[stale(1), stale(2)].concat(), ONE_SEED);
    let behind = |peer: usize| {
        let reports = fared.reports(peer..peer + 1, 10);
        mean(reports.into_iter().filter_map(|report| report.steps_behind))
    };
    assert_eq!((0..HONEST).map(behind).collect::<Vec<_>>(), [0.0; HONEST]);
    let (one, two) = (behind(HONEST), behind(HONEST + 1));
    assert!((0.5..2.5).contains(&one) && (1.5 * one..2.5 * one).contains(&two), "{one} and {two}");
}
