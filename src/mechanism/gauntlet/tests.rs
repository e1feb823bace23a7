//! Tests of whole networks with simulated losses.

use proptest::prelude::*;

use super::*;
use crate::mechanism::proof::LossScores;
use crate::mechanism::testing::Alike;
use crate::mechanism::{Measured, Overlap, PeerFacts, Value};

/// How a peer fares in a round, and how far behind its model is.
type Outcome = (Status, Option<f64>);

const PASSED: Outcome = (Status::Passed, Some(0.0));
const TOO_LATE: Outcome = (Status::TooLate, None);
const MALFORMED: Outcome = (Status::Malformed, None);

fn observe(gauntlet: &mut Gauntlet, round: u64, outcomes: &[(Uid, Outcome)], paid: f64, alike: Vec<Overlap>) {
    let peer = |&(uid, (arrival, steps_behind)): &(Uid, Outcome)| PeerFacts {
        uid,
        arrival,
        stamp_ms: None,
        steps_behind,
        work: 1.0,
        paid,
        same_model: true,
        states: None,
    };
    let peers = outcomes.iter().map(peer).collect();
    gauntlet.observe(&Facts { round, weights_every: 1, peers, uploads: &Alike(alike) });
}

/// The losses of an evaluation, as a validator would measure them.
fn measured(gauntlet: &Gauntlet, results: &[LossScores]) -> Results {
    let settings = &gauntlet.settings;
    let uids: Vec<Uid> = results.iter().map(|scores| scores.uid).collect();
    let loss = |what: &Measurement| {
        let peer = |uid| results.iter().find(|scores| scores.uid == uid).unwrap();
        match (&what.uploads()[..], what.pages()[0].assigned_to()) {
            ([], None) => results[0].unassigned_before,
            ([], Some(uid)) => peer(uid).assigned_before,
            ([uid], None) => peer(*uid).unassigned_after,
            ([uid], Some(_)) => peer(*uid).assigned_after,
            _ => unreachable!("only single payloads are asked for"),
        }
    };
    let wanted = if uids.is_empty() { Vec::new() } else { own_steps(settings, &uids) };
    Results(wanted.into_iter().map(|what| Measured { value: Some(Value::Loss(loss(&what))), what }).collect())
}

fn included(gauntlet: &Gauntlet, round: u64) -> Vec<Uid> {
    let Ranking { earned, others } = gauntlet.include(round, &[]);
    earned.into_iter().chain(others).collect()
}

fn peer(gauntlet: &Gauntlet, uid: Uid) -> &PeerRecord {
    &gauntlet.state.peers[&uid]
}

/// How a kind of peer performs.
#[derive(Clone, Copy)]
struct Kind {
    /// Mean relative gain on unassigned pages.
    quality: f64,
    /// How much more it gains on its own pages; 0 if it did not train on them.
    own: f64,
}

const HONEST: Kind = Kind { quality: 0.010, own: 0.004 };
const LAZY: Kind = Kind { quality: 0.007, own: 0.003 };
/// Re-posts an honest peer's work.
const COPYCAT: Kind = Kind { quality: 0.010, own: 0.0 };
const HARMFUL: Kind = Kind { quality: -0.010, own: 0.0 };

/// A number in -1..1, fixed for each peer and round.
fn noise(purpose: &str, uid: Uid, round: u64) -> f64 {
    let bits = rng(3, purpose, uid.into(), round).next_u64() >> 11;
    bits as f64 / (1u64 << 52) as f64 - 1.0
}

fn losses(kind: Kind, uid: Uid, round: u64) -> LossScores {
    let unassigned = kind.quality + 0.008 * noise("unassigned", uid, round);
    let assigned = unassigned + kind.own + 0.002 * noise("assigned", uid, round);
    LossScores {
        uid,
        assigned_before: 3.0,
        assigned_after: 3.0 * (1.0 - assigned),
        unassigned_before: 4.0,
        unassigned_after: 4.0 * (1.0 - unassigned),
    }
}

fn network(kinds: &[Kind]) -> Gauntlet {
    let mut gauntlet = Gauntlet::new(GauntletSettings::default(), Published, 11);
    (0..kinds.len()).for_each(|uid| gauntlet.arrive(uid as Uid));
    gauntlet
}

fn play(gauntlet: &mut Gauntlet, kinds: &[Kind], rounds: std::ops::Range<u64>) {
    play_with(gauntlet, kinds, rounds, |_, _| PASSED);
}

fn play_with(
    gauntlet: &mut Gauntlet,
    kinds: &[Kind],
    rounds: std::ops::Range<u64>,
    outcome: impl Fn(Uid, u64) -> Outcome,
) {
    for round in rounds {
        let outcomes: Vec<_> = (0..kinds.len() as Uid).map(|uid| (uid, outcome(uid, round))).collect();
        observe(gauntlet, round, &outcomes, 0.0, Vec::new());
        let results: Vec<_> =
            gauntlet.chosen(round).iter().map(|&uid| losses(kinds[usize::from(uid)], uid, round)).collect();
        let losses = measured(gauntlet, &results);
        gauntlet.learn(round, &[], &losses);
    }
}

fn mean_share(gauntlet: &Gauntlet, uids: std::ops::Range<Uid>) -> f64 {
    let count = uids.len() as f64;
    gauntlet.pay().iter().filter(|(uid, _)| uids.contains(uid)).map(|(_, share)| share).sum::<f64>() / count
}

#[test]
fn honest_peers_earn_most_and_copycats_next_to_nothing() {
    let kinds = [&[HONEST; 8][..], &[LAZY; 4], &[COPYCAT; 4], &[HARMFUL; 4]].concat();
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..300);
    let (honest, lazy) = (mean_share(&gauntlet, 0..8), mean_share(&gauntlet, 8..12));
    let (copycat, harmful) = (mean_share(&gauntlet, 12..16), mean_share(&gauntlet, 16..20));
    assert!(honest > 1.5 * lazy && lazy > 0.0, "{honest} {lazy}");
    assert!(copycat < 0.1 * honest, "{honest} {copycat}");
    assert!(harmful < 0.001, "{harmful}");
    for (&uid, record) in &gauntlet.state.peers {
        let proof = record.proof_of_computation;
        assert!(if uid < 12 { proof > 0.6 } else { proof.abs() < 0.6 }, "{uid}: {proof}");
    }
}

#[test]
fn every_newcomer_gets_its_turn_soon() {
    let kinds = [HONEST; 250];
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..100);
    let unseen = gauntlet.state.peers.iter().filter(|(_, record)| record.evaluated.is_none()).count();
    assert_eq!(unseen, 0, "500 evaluations of 250 newcomers");

    let kinds = [HONEST; 16];
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..6);
    assert!(gauntlet.state.peers.iter().all(|(_, record)| record.evaluated.is_some()));
}

#[test]
fn peers_that_fail_are_neither_evaluated_nor_aggregated() {
    let kinds = [HONEST; 8];
    let mut gauntlet = network(&kinds);
    let late = |uid: Uid, _: u64| if uid < 3 { TOO_LATE } else { PASSED };
    play_with(&mut gauntlet, &kinds, 0..30, late);
    assert!((0..3).all(|uid| peer(&gauntlet, uid).evaluated.is_none()));
    let included_29 = included(&gauntlet, 29);
    assert!(included_29.len() == 5 && included_29.iter().all(|uid| *uid >= 3), "{included_29:?}");
    assert!(included(&gauntlet, 30).is_empty(), "nobody passed in a round that was not observed");
}

#[test]
fn a_desynchronised_peer_falls_and_comes_back_when_it_catches_up() {
    let kinds = [HONEST; 6];
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..100);
    let before = peer(&gauntlet, 0).clone();
    let behind = |uid: Uid, _: u64| if uid == 0 { (Status::Passed, Some(8.0)) } else { PASSED };
    play_with(&mut gauntlet, &kinds, 100..120, behind);
    let fallen = peer(&gauntlet, 0);
    assert!(fallen.peer_score < 0.01 * before.peer_score && fallen.proof_of_computation < 0.01);
    assert!(!included(&gauntlet, 119).contains(&0));
    play(&mut gauntlet, &kinds, 120..200);
    assert!(peer(&gauntlet, 0).peer_score > 0.2 * before.peer_score);
}

#[test]
fn peers_with_a_score_come_first_and_excepted_ones_are_left_out() {
    let kinds = [HONEST; 30];
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..100);
    let ranking = gauntlet.include(99, &[]);
    let scores: Vec<f64> = ranking.earned.iter().map(|&uid| peer(&gauntlet, uid).peer_score).collect();
    assert!(scores.len() > 15 && scores.windows(2).all(|pair| pair[0] >= pair[1] && pair[1] > 0.0));
    assert_eq!(ranking.earned.len() + ranking.others.len(), 30);
    let best = ranking.earned[0];
    assert_eq!(gauntlet.include(99, &[best]).earned, ranking.earned[1..]);

    // The best peer fails the next round and loses its score.
    let outcomes: Vec<_> = (0..30).map(|uid| (uid, if uid == best { MALFORMED } else { PASSED })).collect();
    observe(&mut gauntlet, 100, &outcomes, 0.0, Vec::new());
    assert!(!included(&gauntlet, 100).contains(&best));
    assert_eq!(peer(&gauntlet, best).peer_score, 0.0);
}

#[test]
fn a_slot_with_another_owner_inherits_nothing() {
    let kinds = [HONEST; 6];
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..60);
    assert!(peer(&gauntlet, 2).peer_score > 0.0);
    gauntlet.arrive(2);
    assert_eq!(*peer(&gauntlet, 2), PeerRecord::newcomer(&gauntlet.settings));
    gauntlet.leave(2);
    assert!(!gauntlet.state.peers.contains_key(&2) && gauntlet.pay().len() == 5);
}

#[test]
fn a_copy_loses_its_score_if_copies_are_compared() {
    let kinds = [HONEST; 3];
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..60);
    let alike = vec![Overlap { earlier: 1, later: 0, shared: 0.8 }];
    let outcomes: Vec<_> = (0..3).map(|uid| (uid, PASSED)).collect();
    let before = peer(&gauntlet, 0).peer_score;
    observe(&mut gauntlet, 60, &outcomes, 0.0, alike.clone());
    assert_eq!(gauntlet.status(0, 60), Some(Status::Passed), "off by default");
    gauntlet.settings.copy_overlap_half = 0.4;
    observe(&mut gauntlet, 61, &outcomes, 0.0, alike.clone());
    assert_eq!(gauntlet.status(0, 61), Some(Status::Copy));
    assert_eq!(peer(&gauntlet, 0).peer_score, 0.5 * before);
    gauntlet.settings.copy_overlap_zero = 0.5;
    observe(&mut gauntlet, 62, &outcomes, 0.0, alike);
    assert_eq!(peer(&gauntlet, 0).peer_score, 0.0);
}

#[test]
fn a_saved_gauntlet_goes_on_bit_for_bit() {
    let kinds = [HONEST, LAZY, COPYCAT, HARMFUL, HONEST, HONEST, LAZY, COPYCAT];
    let mut straight = network(&kinds);
    play(&mut straight, &kinds, 0..37);
    let mut resumed = Gauntlet::new(GauntletSettings::default(), Published, 11);
    resumed.restore(&straight.save()).unwrap();
    play(&mut straight, &kinds, 37..80);
    play(&mut resumed, &kinds, 37..80);
    assert_eq!(straight.save(), resumed.save());
    assert!(resumed.restore(b"no state").is_err());
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => prop::num::f64::ANY.prop_map(|steps| (Status::Passed, Some(steps))),
        1 => Just((Status::Absent, None)),
        1 => Just((Status::TooEarly, None)),
        1 => Just(TOO_LATE),
        1 => Just(MALFORMED),
    ]
}

fn any_loss() -> impl Strategy<Value = f64> {
    prop_oneof![prop::num::f64::ANY, 0.0..10.0f64]
}

proptest! {
    #[test]
    fn nothing_a_peer_does_breaks_the_pay(
        rounds in prop::collection::vec(
            (
                prop::collection::vec((0u16..12, any_outcome()), 0..12),
                prop::collection::vec((0u16..12, any_loss(), any_loss(), any_loss(), any_loss()), 0..12),
            ),
            1..20,
        )
    ) {
        let mut gauntlet = Gauntlet::new(GauntletSettings::default(), Published, 5);
        (0..10).for_each(|uid| gauntlet.arrive(uid));
        for (round, (outcomes, losses)) in rounds.into_iter().enumerate() {
            let round = round as u64;
            observe(&mut gauntlet, round, &outcomes, f64::NAN, Vec::new());
            let results: Vec<LossScores> = losses
                .into_iter()
                .map(|(uid, assigned_before, assigned_after, unassigned_before, unassigned_after)| {
                    LossScores { uid, assigned_before, assigned_after, unassigned_before, unassigned_after }
                })
                .collect();
            let losses = measured(&gauntlet, &results);
            gauntlet.learn(round, &[], &losses);

            let incentives = gauntlet.pay();
            let paid: f64 = incentives.iter().map(|(_, share)| share).sum();
            prop_assert!(incentives.iter().all(|(_, share)| (0.0..=1.0).contains(share)));
            prop_assert!(paid == 0.0 || (paid - 1.0).abs() < 1e-9);
            for record in gauntlet.state.peers.values() {
                prop_assert!(record.peer_score.is_finite() && record.rating.sigma > 0.0);
                prop_assert!(record.proof_of_computation.abs() <= 1.0);
            }
            for mut uids in [included(&gauntlet, round), gauntlet.chosen(round)] {
                uids.sort_unstable();
                prop_assert!(uids.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(uids.iter().all(|uid| gauntlet.passed_in(*uid, round)));
            }
        }
    }
}
