//! Processes audit one another as the simulator says.

use super::{assert_alike, column, folder};

#[test]
fn processes_are_audited_as_in_the_simulator() {
    for more in [
        &["protocol.sealed=false", "scheme=demo"],
        &["protocol.sealed=true", "scheme={kind='sparseloco', inner_steps=2}"],
    ] {
        let folder = folder();
        let folder = folder.path();
        let audit = "mechanism={kind='audit', audited_per_round=2.5}";
        let operator = "operators=[{uids=2, behaviour={kind='strategy', works={after-audit=3}, idle='last'}}]";
        let settings = ["parity.toml", "--set", audit, "--set", operator, "--set", more[0], "--set", more[1]];
        assert_alike(folder, &settings, 0);
        let [simulated, launched] =
            ["simulated", "launched"].map(|run| column(&folder.join(run), "peers.csv", "audit"));
        assert_eq!(simulated, launched);
        let of = |uid: &str| {
            launched.iter().filter(|((_, of), _)| of == uid).map(|(_, audit)| audit.as_str()).collect::<Vec<_>>()
        };
        // Honest peers pass, the copycat has nothing to show, and the operator's slots are found out.
        for uid in ["0", "1", "2", "8", "9"] {
            let audits: Vec<&str> = of(uid).into_iter().filter(|audit| !audit.is_empty()).collect();
            assert!(audits.len() >= 2 && audits.iter().all(|audit| audit.parse() == Ok(1.0)), "{uid}: {audits:?}");
        }
        let number = |uid| of(uid).into_iter().filter_map(|audit| audit.parse::<f64>().ok()).collect::<Vec<_>>();
        assert!(number("3").iter().all(|audit| *audit == 0.0), "{:?}", number("3"));
        assert!([number("6"), number("7")].concat().contains(&0.0));
        let incentive = column(&folder.join("launched"), "peers.csv", "incentive");
        assert!(incentive[&(23, "0".into())].parse::<f64>().unwrap() > 0.0);
    }
}
