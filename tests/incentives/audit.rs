//! All adversaries under `audit`: whoever does something else than its work is paid nothing.

use super::coverage::ADVERSARIES;
use super::*;

pub const AUDIT: &str = "mechanism={kind='audit', audited_per_round=2.0}";

/// Peers that do honest work, all of it, more or less, and say so.
const HONEST_WORK: &[(&str, f64)] = &[
    ("\"honest\"", 1.0),
    ("{ kind = \"honest\", data = 0.5 }", 0.5),
    ("{ kind = \"honest\", data = 2.0 }", 2.0),
    ("{ kind = \"strategy\", works = { every = 2 } }", 0.5),
];

fn two_audited(scheme: &str, behaviour: &str, seeds: &[u64]) -> Fared {
    let peers = format!("[[peers]]\ncount = 2\nhardware = {{ tokens_per_second = 99.0 }}\nbehaviour = {behaviour}\n");
    fare_under(&[scheme, AUDIT, "protocol.most_pages=2", "rounds=60"], &peers, seeds)
}

fn under(scheme: &str) -> String {
    let mut table = String::from("paid  what two of eight peers do\n");
    for (behaviour, work) in HONEST_WORK {
        let pay = two_audited(scheme, behaviour, SEEDS).pay();
        println!("{scheme}, {behaviour}: {pay:.3}");
        assert!((pay / work - 1.0).abs() < 0.35, "{behaviour} is paid {pay}");
        table += &format!("{work:4}  {behaviour}\n");
    }
    for (behaviour, ..) in ADVERSARIES {
        let pay = two_audited(scheme, behaviour, ONE_SEED).pay();
        assert!(pay < 0.05, "{behaviour} is paid {pay}");
        table += &format!("none  {behaviour}\n");
    }
    table
}

#[test]
fn who_is_paid_with_demo() {
    insta::assert_snapshot!("audit-demo", under("scheme.kind=demo"));
}

#[test]
fn who_is_paid_with_sparseloco() {
    insta::assert_snapshot!("audit-sparseloco", under(SPARSELOCO[0]));
}
