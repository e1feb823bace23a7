//! Tests of how `templar-v2` differs from Gauntlet.

use super::*;
use crate::mechanism::testing::Alike;
use crate::mechanism::{Measured, MechanismSettings, Overlap, PeerFacts, Value};

fn network(peers: Uid) -> TemplarV2 {
    let mut mechanism = TemplarV2::new(TemplarV2Settings::default(), 3);
    (0..peers).for_each(|uid| mechanism.arrive(uid));
    mechanism
}

fn observe(mechanism: &mut TemplarV2, round: u64, arrival: impl Fn(Uid) -> Status, alike: Vec<Overlap>) {
    let peer = |uid| {
        let steps_behind = (arrival(uid) == Status::Passed).then_some(0.0);
        PeerFacts {
            uid,
            arrival: arrival(uid),
            stamp_ms: None,
            steps_behind,
            work: 1.0,
            paid: 0.0,
            same_model: true,
            states: None,
        }
    };
    let peers = mechanism.peers.keys().copied().map(peer).collect();
    mechanism.observe(&Facts { round, weights_every: 1, peers, uploads: &Alike(alike) });
}

/// Plays rounds in which peers with higher uids gain more.
fn play(mechanism: &mut TemplarV2, rounds: std::ops::Range<u64>) {
    for round in rounds {
        observe(mechanism, round, |_| Status::Passed, Vec::new());
        let wanted = mechanism.measure(round, &[]);
        let loss = |what: &Measurement| {
            let uploads = what.uploads();
            let gain = uploads.first().map_or(0.0, |uid| 0.001 * f64::from(*uid) - 0.002);
            3.0 - gain - if what.pages()[0].assigned_to().is_some() && !uploads.is_empty() { 0.01 } else { 0.0 }
        };
        let measured = wanted.into_iter().map(|what| Measured { value: Some(Value::Loss(loss(&what))), what });
        mechanism.learn(round, &[], &Results(measured.collect()));
    }
}

#[test]
fn pay_goes_by_rank_and_negative_evaluations_are_counted() {
    let mut mechanism = network(12);
    play(&mut mechanism, 0..60);
    let pay = mechanism.pay();
    assert!((pay.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-12);
    let best = mechanism.include(59, &[]).earned;
    let share = |uid: Uid| pay[usize::from(uid)].1;
    assert!(best.windows(2).all(|pair| share(pair[0]) > share(pair[1])));
    let ratio = share(*best.last().unwrap()) / share(best[0]);
    assert!((ratio - 0.5).abs() < 1e-12, "{ratio}");
    let negative = |uid| mechanism.numbers(uid, 59)[6].unwrap();
    assert_eq!((negative(0), negative(11)), (1.0, 0.0));
}

#[test]
fn an_overlap_costs_half_or_everything_or_two_hundred_rounds() {
    for (shared, score_left, status) in
        [(0.45, 0.5, Status::Copy), (0.55, 0.0, Status::Copy), (0.7, 0.0, Status::Excluded)]
    {
        let mut mechanism = network(12);
        play(&mut mechanism, 0..60);
        let later = mechanism.include(59, &[]).earned[0];
        let before = mechanism.peers[&later].score;
        let earlier = (later + 1) % 12;
        observe(&mut mechanism, 60, |_| Status::Passed, vec![Overlap { earlier, later, shared }]);
        assert_eq!(mechanism.status(later, 60), Some(status));
        assert_eq!(mechanism.peers[&later].score, score_left * before);
        observe(&mut mechanism, 61, |_| Status::Passed, Vec::new());
        let expected = if status == Status::Excluded { Status::Excluded } else { Status::Passed };
        assert_eq!(mechanism.status(later, 61), Some(expected));
        observe(&mut mechanism, 260, |_| Status::Passed, Vec::new());
        assert_eq!(mechanism.status(later, 260), Some(Status::Passed));
    }
}

#[test]
fn the_fourth_round_of_absence_makes_a_newcomer() {
    let mut mechanism = network(12);
    play(&mut mechanism, 0..60);
    let best = mechanism.include(59, &[]).earned[0];
    let before = mechanism.peers[&best].score;
    let arrival = |uid| if uid == best { Status::Absent } else { Status::Passed };
    for round in 60..63 {
        observe(&mut mechanism, round, arrival, Vec::new());
    }
    assert!((mechanism.peers[&best].score - before * 0.75f64.powi(3)).abs() < 1e-12);
    observe(&mut mechanism, 63, arrival, Vec::new());
    assert_eq!(mechanism.peers[&best].score, 0.0);
    assert_eq!(mechanism.status(best, 63), Some(Status::Absent));
}

#[test]
fn a_large_network_is_evaluated_bin_by_bin_at_random() {
    let mut mechanism = network(100);
    observe(&mut mechanism, 0, |_| Status::Passed, Vec::new());
    let chosen = |mechanism: &TemplarV2| mechanism.chosen(0);
    assert_eq!(chosen(&mechanism).len(), 15);
    // All ratings are equal, so bins are by uid.
    let bins: std::collections::BTreeSet<u16> = (0..40)
        .map(|round| {
            observe(&mut mechanism, round, |_| Status::Passed, Vec::new());
            let uids = mechanism.chosen(round);
            assert!(uids.iter().all(|uid| uid / 20 == uids[0] / 20));
            uids[0] / 20
        })
        .collect();
    assert_eq!(bins.len(), 5);
}

#[test]
fn a_saved_state_goes_on() {
    let mut straight = network(12);
    play(&mut straight, 0..30);
    let mut resumed = TemplarV2Settings::default().build(3);
    resumed.restore(&straight.save()).unwrap();
    assert_eq!(resumed.pay(), straight.pay());
    assert!(resumed.restore(b"no state").is_err());
}
