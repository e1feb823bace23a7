//! Operators as processes: one node with several keys and one state.

use gauntlet::transport::Identity;

use super::{column, done, folder};

/// Two validators, and operators beside peers: one that copies, one that comes late and leaves to come back under other
/// keys, one that comes and goes.
const OPERATORS: [&str; 4] = [
    "--set",
    "operators=[{name='cartel', behaviour='copycat'}, {uids=2, joins=4, \
     behaviour={kind='strategy', leaves={after=5}}}, \
     {uids=2, behaviour={kind='offline', leave=0.2, return=0.5}}]",
    "--set",
    "mechanism.evaluated_fraction=0.5",
];

#[test]
fn an_operator_is_one_process_that_does_as_the_simulator_says() {
    let folder = folder();
    let folder = folder.path();
    let settings = [&["parity.toml", "--rounds", "16", "--quiet"][..], &OPERATORS].concat();
    done(folder, &[&["run", "--out", "simulated", "--no-baseline"], &settings[..]].concat());
    done(folder, &[&["launch", "--out", "launched", "--clock", "virtual"], &settings[..]].concat());
    for (file, name) in [("rounds.csv", "replica_digest"), ("peers.csv", "behaviour"), ("peers.csv", "status")] {
        let [simulated, launched] = ["simulated", "launched"].map(|run| column(&folder.join(run), file, name));
        assert!(!simulated.is_empty());
        assert_eq!(simulated, launched, "{name}");
    }
    let labels = column(&folder.join("launched"), "peers.csv", "behaviour");
    let in_last = |label: &str| labels.iter().filter(|((round, _), found)| *round == 15 && *found == label).count();
    assert_eq!(in_last("cartel/copycat"), 3);
    // The slots that it left in rounds 9 and 14 are still its own: nobody has pushed it out.
    assert_eq!((in_last("operator-1/strategy"), in_last("operator-2/offline")), (6, 2));
    // Two validators, eight peers and three operators: each a process with one state.
    let names = std::fs::read_dir(folder.join("launched/nodes")).unwrap().map(|node| node.unwrap());
    let states = names.filter(|node| node.path().is_dir()).count();
    assert_eq!(states, 13);
    // The state of the cartel lies under the first of its keys; its slots come after those of eight peers.
    let state = |slot| {
        let hotkey = Identity::from_seed(1, "peer", slot).hotkey().to_string();
        folder.join("launched/nodes").join(&hotkey[..12]).exists()
    };
    assert!(state(8) && !state(9) && !state(10) && state(11));
}
