//! Processes with sealed uploads do as the simulator says.

use gauntlet::transport::{Identity, keys};

use super::{assert_alike, column, done, folder};

/// Beside honest peers and adversaries of other kinds, an operator with two slots and a peer that mixes what it can read.
const SEALED: [&str; 4] = [
    "--set",
    "protocol.sealed=true",
    "--set",
    "operators=[{uids=2, behaviour={kind='strategy', mix='now'}}, {uids=1, behaviour={kind='strategy', mix='past'}}]",
];

#[test]
fn processes_make_the_models_that_the_simulator_makes_of_sealed_uploads() {
    let folder = folder();
    let folder = folder.path();
    assert_alike(folder, &[&["parity.toml"][..], &SEALED].concat(), 24);
    // Peers were aggregated under the lead, and under the standby that took over from it.
    let aggregated = column(&folder.join("launched"), "rounds.csv", "aggregated");
    assert!((0..12).chain(14..24).all(|round| aggregated[&(round, String::new())] != "0"), "{aggregated:?}");
    // The copycat, number 3, has never had anything to send.
    let status = column(&folder.join("launched"), "peers.csv", "status");
    let copycat = status.iter().filter(|((_, uid), _)| uid == "3");
    assert!(copycat.clone().count() == 24 && copycat.clone().all(|(_, status)| status == "absent"), "{status:?}");
    // Keys lie beside uploads, and are removed with them.
    let there = |round| {
        let key = keys::upload_key(&Identity::from_seed(1, "peer", 0).hotkey(), round);
        folder.join("launched/bucket").join(key.to_string()).exists()
    };
    assert!(there(23) && !there(3));
    let told = String::from_utf8(done(folder, &["status", "--bucket", "launched/bucket"]).stdout).unwrap();
    assert!(told.contains("24 of 24 rounds done") && told.contains(", sealed uploads"), "{told}");
}
