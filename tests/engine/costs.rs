//! What peers spend: tokens trained on, and bytes of their links.

use gauntlet::engine::Cost;
use gauntlet::scenario::World;

use super::common::{Told, finished};
use super::{goes_on, small};

/// What a peer spent in a round; `None` where it holds no slot.
fn cost(told: &Told, network: &World, peer: usize, round: usize) -> Option<Cost> {
    told.traffic[round].peers.get(&network.scenario.peer_identity(peer).hotkey()).copied()
}

#[test]
fn tokens_are_those_whose_gradients_a_peer_computes() {
    let peers = r#"
[[peers]]
count = 2
[[peers]]
behaviour = "lazy"
[[peers]]
behaviour = "copycat"
[[peers]]
behaviour = { kind = "strategy", tokens = 0.3, works = { every = 2 }, idle = "last" }
[[peers]]
joins = 3
[[peers]]
leaves = 6
"#;
    for scheme in ["scheme={kind='demo', topk=4}", "scheme={kind='sparseloco', inner_steps=3, topk=8}"] {
        let network = small(peers, &[scheme]);
        let told = finished(&network);
        // Four pages of sixteen tokens.
        for round in 0..14 {
            let tokens: Vec<Option<u64>> =
                (0..7).map(|peer| cost(&told, &network, peer, round).map(|cost| cost.tokens)).collect();
            let strategy = if round % 2 == 0 { 4 * 5 } else { 0 };
            let joiner = (round >= 3).then_some(64);
            let leaver = if round < 6 { 64 } else { 0 };
            let expected = [Some(64), Some(64), Some(32), Some(0), Some(strategy), joiner, Some(leaver)];
            assert_eq!(tokens, expected, "{scheme}, round {round}");
        }
    }
}

#[test]
fn bytes_are_those_of_each_link_and_an_operators_slots_share_them() {
    let network = small("[[peers]]\ncount = 2\n[[operators]]\nuids = 3\n", &["protocol.top_peers=5"]);
    let told = finished(&network);
    let mut uploads = Vec::new();
    for (round, traffic) in told.traffic.iter().enumerate() {
        let costs: Vec<Cost> = (0..5).map(|peer| cost(&told, &network, peer, round).unwrap()).collect();
        assert_eq!(costs[0].up, costs[1].up, "two honest peers send as much");
        let operator: u64 = costs[2..].iter().map(|cost| cost.up).sum();
        assert_eq!(operator, 3 * costs[0].up, "an upload for each slot");
        assert!(costs[2..].iter().all(|cost| cost.tokens == 64 && cost.up.abs_diff(costs[2].up) <= 1), "{costs:?}");
        let (up, down) = costs.iter().fold((0, 0), |(up, down), cost| (up + cost.up, down + cost.down));
        // The rest is the validator's.
        assert!(up < traffic.up || round == 0 && up <= traffic.up, "round {round}");
        assert!(down < traffic.down || round == 0 && down <= traffic.down, "round {round}");
        uploads.push(costs[0].up);
    }
    assert!(uploads.iter().all(|up| *up == uploads[0] && *up > 0), "{uploads:?}");
    // It follows the network once, not once for each slot.
    let down = |peer| -> u64 { (0..14).map(|round| cost(&told, &network, peer, round).unwrap().down).sum() };
    assert!(
        (2..5).map(down).sum::<u64>().abs_diff(down(0)) < down(0) / 10,
        "{} {}",
        (2..5).map(down).sum::<u64>(),
        down(0)
    );
}

/// A slow operator trains for a slot in a round after the one that its work is for, and takes more rounds for all of
/// them than there are between two checkpoints.
#[test]
fn costs_go_on_from_any_checkpoint_of_a_slow_operator() {
    let slow = "[[peers]]\ncount = 3\n[[operators]]\nuids = 4\nhardware = { tokens_per_second = 0.6 }\n";
    let network = small(slow, &["training.checkpoint_every=2"]);
    let expected = goes_on(&network);
    let late = (0..14).filter(|&round| cost(&expected, &network, 3, round).unwrap().tokens == 0).count();
    assert!(late > 3, "its first slot does not train in every round: {late}");
}
