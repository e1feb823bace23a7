//! All adversaries under `coverage`: none is paid for more than its work.

use super::*;

pub const COVERAGE: &str = "mechanism={kind='coverage', evaluated_per_round=6}";

/// What two peers do, the part of an honest peer's work that it is (0 for what the network has no use for), and the most that
/// it is paid. Small networks are noisy: honest peers in the same place are paid 1.2.
pub const ADVERSARIES: &[(&str, f64, f64)] = &[
    ("{ kind = \"lazy\", fraction = 0.5 }", 0.5, 0.3),
    ("\"free-rider\"", 0.0, 0.0),
    ("{ kind = \"stale\", rounds = 8 }", 0.0, 0.2),
    ("{ kind = \"desync\", at = 20, pause = 10 }", 0.0, 0.0),
    ("{ kind = \"copycat\", of = \"best\" }", 0.0, 0.0),
    ("{ kind = \"copycat\", of = \"random\" }", 0.0, 0.0),
    ("{ kind = \"copycat\", noise = 0.3 }", 0.0, 0.0),
    ("\"late\"", 0.0, 0.0),
    ("\"noise\"", 0.0, 0.0),
    ("\"sign-flip\"", 0.0, 0.0),
    ("\"malformed\"", 0.0, 0.0),
    ("\"alie\"", 0.0, 0.0),
    ("\"ipm\"", 0.0, 0.0),
    ("\"mimic\"", 0.0, 0.0),
    ("\"gaussian\"", 0.0, 0.0),
    ("\"label-flip\"", 0.0, 0.0),
    ("\"rescaled\"", 1.0, 1.4),
    ("{ kind = \"strategy\", mix = \"now\" }", 1.0, 1.4),
    ("{ kind = \"strategy\", mix = \"past\" }", 1.0, 1.4),
    ("{ kind = \"strategy\", mix = \"now\", works = { bin-of = 2 }, idle = \"mix\" }", 0.5, 0.2),
    ("{ kind = \"strategy\", mix = \"now\", tokens = 0.25, fresh = true }", 0.25, 0.2),
    ("{ kind = \"strategy\", tokens = 0.5 }", 0.5, 0.4),
    ("{ kind = \"strategy\", layers = 0.5 }", 0.7, 0.2),
    ("{ kind = \"strategy\", blocks = 0.0, fresh = true }", 0.4, 0.2),
];

/// A gradient without momentum is not among them: where chance fails many checks of honest peers, as in networks so small
/// under SparseLoCo, it is paid more (docs/coverage.md).
fn under(scheme: &str) -> String {
    let mut table = String::from("paid  of work  what two of eight peers do\n");
    for (behaviour, work, most) in ADVERSARIES {
        let peers = format!("[[peers]]\ncount = 2\nbehaviour = {behaviour}\n");
        // Who does nothing is found out early.
        let (seeds, rounds) = if *most > 0.0 { (SEEDS, "rounds=90") } else { (ONE_SEED, "rounds=60") };
        let fared = fare_under(&[scheme, COVERAGE, rounds], &peers, seeds);
        let pay = fared.pay();
        println!("{scheme}, {behaviour}: {pay:.3}");
        assert!(pay <= *most + 0.02, "{behaviour} is paid {pay}");
        let paid = if pay < 0.25 { "none" } else { "some" };
        table += &format!("{paid:4}  {work:7}  {behaviour}\n");
    }
    table
}

#[test]
fn who_is_paid_with_demo() {
    insta::assert_snapshot!("coverage-demo", under("scheme.kind=demo"));
}

#[test]
fn who_is_paid_with_sparseloco() {
    insta::assert_snapshot!("coverage-sparseloco", under(SPARSELOCO[0]));
}
