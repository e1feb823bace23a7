//! Whole networks, driven by made-up losses.

use proptest::prelude::*;

use super::*;

const PASSED: FastOutcome = FastOutcome::Passed { steps_behind: 0.0 };

/// What a kind of peer shows to a validator.
#[derive(Clone, Copy)]
struct Kind {
    /// Mean relative gain on unassigned pages.
    quality: f64,
    /// How much more it gains on its own pages; 0 for who did not train on them.
    own: f64,
}

const HONEST: Kind = Kind { quality: 0.010, own: 0.004 };
const LAZY: Kind = Kind { quality: 0.007, own: 0.003 };
/// Re-posts an honest peer's work.
const COPYCAT: Kind = Kind { quality: 0.010, own: 0.0 };
const HARMFUL: Kind = Kind { quality: -0.010, own: 0.0 };

/// A number in -1..1 that is the same for the same peer and round.
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
    let mut gauntlet = Gauntlet::new(GauntletSettings::default(), 11);
    (0..kinds.len()).for_each(|uid| gauntlet.register(uid as Uid));
    gauntlet
}

fn play(gauntlet: &mut Gauntlet, kinds: &[Kind], rounds: std::ops::Range<u64>) {
    play_with(gauntlet, kinds, rounds, |_, _| PASSED);
}

fn play_with(
    gauntlet: &mut Gauntlet,
    kinds: &[Kind],
    rounds: std::ops::Range<u64>,
    outcome: impl Fn(Uid, u64) -> FastOutcome,
) {
    for round in rounds {
        let outcomes: Vec<_> = (0..kinds.len() as Uid).map(|uid| (uid, outcome(uid, round))).collect();
        gauntlet.fast_evaluation(round, &outcomes);
        let chosen = gauntlet.choose_for_evaluation(round);
        let results: Vec<_> = chosen.iter().map(|&uid| losses(kinds[usize::from(uid)], uid, round)).collect();
        gauntlet.primary_evaluation(round, &results);
        gauntlet.renew_list(round, &[]);
    }
}

fn mean_share(gauntlet: &Gauntlet, uids: std::ops::Range<Uid>) -> f64 {
    let count = uids.len() as f64;
    gauntlet.incentives().iter().filter(|(uid, _)| uids.contains(uid)).map(|(_, share)| share).sum::<f64>() / count
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
    for (uid, record) in gauntlet.peers() {
        let proof = record.proof_of_computation;
        assert!(if uid < 12 { proof > 0.6 } else { proof.abs() < 0.6 }, "{uid}: {proof}");
    }
}

#[test]
fn every_newcomer_gets_its_turn_soon() {
    let kinds = [HONEST; 250];
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..100);
    let unseen = gauntlet.peers().filter(|(_, record)| record.evaluated.is_none()).count();
    assert_eq!(unseen, 0, "500 evaluations of 250 newcomers");

    let kinds = [HONEST; 16];
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..6);
    assert!(gauntlet.peers().all(|(_, record)| record.evaluated.is_some()));
}

#[test]
fn who_does_not_pass_is_neither_evaluated_nor_aggregated() {
    let kinds = [HONEST; 8];
    let mut gauntlet = network(&kinds);
    let late = |uid: Uid, _: u64| if uid < 3 { FastOutcome::TooLate } else { PASSED };
    play_with(&mut gauntlet, &kinds, 0..30, late);
    assert!((0..3).all(|uid| gauntlet.peer(uid).unwrap().evaluated.is_none()));
    let included = gauntlet.included(29);
    assert!(included.len() >= 5 && included.iter().all(|uid| *uid >= 3), "{included:?}");
    assert!(gauntlet.included(30).is_empty(), "nobody has passed in a round that was not");
}

#[test]
fn a_desynchronised_peer_falls_and_comes_back_when_it_catches_up() {
    let kinds = [HONEST; 6];
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..100);
    let before = gauntlet.peer(0).unwrap().clone();
    let behind = |uid: Uid, _: u64| if uid == 0 { FastOutcome::of_sync(8.0, 3.0) } else { PASSED };
    play_with(&mut gauntlet, &kinds, 100..120, behind);
    let fallen = gauntlet.peer(0).unwrap();
    assert!(fallen.peer_score < 0.01 * before.peer_score && fallen.proof_of_computation < 0.01);
    assert!(!gauntlet.included(119).contains(&0));
    play(&mut gauntlet, &kinds, 120..200);
    assert!(gauntlet.peer(0).unwrap().peer_score > 0.2 * before.peer_score);
}

#[test]
fn a_list_takes_the_best_and_comes_into_force_later() {
    let kinds = [HONEST; 30];
    let mut gauntlet = network(&kinds);
    gauntlet.settings.top_peers = 8;
    play(&mut gauntlet, &kinds, 0..100);
    let old = gauntlet.included(99);
    assert_eq!(old.len(), 8);

    // One of the aggregated loses its score in the round of the renewal.
    let all = |failed: Option<Uid>| -> Vec<(Uid, FastOutcome)> {
        (0..30).map(|uid| (uid, if Some(uid) == failed { FastOutcome::Malformed } else { PASSED })).collect()
    };
    gauntlet.fast_evaluation(100, &all(Some(old[0])));
    gauntlet.renew_list(100, &[]);
    assert_eq!(gauntlet.included(100), old[1..]);
    gauntlet.fast_evaluation(101, &all(None));
    gauntlet.renew_list(101, &[]);
    assert_eq!(gauntlet.included(101), old);

    gauntlet.fast_evaluation(102, &all(None));
    let mut best: Vec<(Uid, f64)> = gauntlet.peers().map(|(uid, record)| (uid, record.peer_score)).collect();
    best.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut best: Vec<Uid> = best[..8].iter().map(|(uid, _)| *uid).collect();
    best.sort_unstable();
    assert_eq!(gauntlet.included(102), best);
    assert!(!best.contains(&old[0]));
}

#[test]
fn a_slot_with_another_owner_inherits_nothing() {
    let kinds = [HONEST; 6];
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..60);
    assert!(gauntlet.lists.in_force(60).unwrap().contains(&2));
    gauntlet.reset(2);
    assert_eq!(gauntlet.peer(2).unwrap().peer_score, 0.0);
    assert!(!gauntlet.lists.in_force(60).unwrap().contains(&2));
    gauntlet.deregister(2);
    assert!(gauntlet.peer(2).is_none() && gauntlet.incentives().len() == 5);
}

#[test]
fn a_copy_loses_its_score_where_copies_are_looked_for() {
    let kinds = [HONEST; 3];
    let mut gauntlet = network(&kinds);
    play(&mut gauntlet, &kinds, 0..60);
    let indices: Vec<u16> = (0..32).map(|i| i * 100).collect();
    let uploads: Vec<Upload> = (0..2)
        .map(|uid| Upload {
            uid,
            stamp_ms: 10 - u64::from(uid),
            tensors: vec![TensorIndices { indices: &indices, per_chunk: 32, chunk_len: 4096 }],
        })
        .collect();
    let before = gauntlet.incentives();
    assert!(gauntlet.punish_copies(59, &uploads).is_empty(), "off by default");
    gauntlet.settings.copy_overlap_half = 0.4;
    assert_eq!(gauntlet.punish_copies(59, &uploads)[0].copy, 0);
    assert!(gauntlet.incentives()[0].1 < before[0].1 && gauntlet.peer(0).unwrap().peer_score > 0.0);
    gauntlet.settings.copy_overlap_zero = 0.5;
    gauntlet.punish_copies(59, &uploads);
    assert_eq!(gauntlet.peer(0).unwrap().peer_score, 0.0);
}

#[test]
fn a_saved_gauntlet_goes_on_bit_for_bit() {
    let kinds = [HONEST, LAZY, COPYCAT, HARMFUL, HONEST, HONEST, LAZY, COPYCAT];
    let mut straight = network(&kinds);
    play(&mut straight, &kinds, 0..37);
    let saved = postcard::to_allocvec(&straight).unwrap();
    let mut resumed: Gauntlet = postcard::from_bytes(&saved).unwrap();
    play(&mut straight, &kinds, 37..80);
    play(&mut resumed, &kinds, 37..80);
    assert_eq!(postcard::to_allocvec(&straight).unwrap(), postcard::to_allocvec(&resumed).unwrap());
}

fn any_outcome() -> impl Strategy<Value = FastOutcome> {
    prop_oneof![
        3 => prop::num::f64::ANY.prop_map(|steps_behind| FastOutcome::Passed { steps_behind }),
        1 => prop::num::f64::ANY.prop_map(|steps_behind| FastOutcome::OutOfSync { steps_behind }),
        1 => Just(FastOutcome::Absent),
        1 => Just(FastOutcome::TooEarly),
        1 => Just(FastOutcome::TooLate),
        1 => Just(FastOutcome::Malformed),
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
        let mut gauntlet = Gauntlet::new(GauntletSettings::default(), 5);
        (0..10).for_each(|uid| gauntlet.register(uid));
        for (round, (outcomes, losses)) in rounds.into_iter().enumerate() {
            let round = round as u64;
            gauntlet.fast_evaluation(round, &outcomes);
            let results: Vec<LossScores> = losses
                .into_iter()
                .map(|(uid, assigned_before, assigned_after, unassigned_before, unassigned_after)| {
                    LossScores { uid, assigned_before, assigned_after, unassigned_before, unassigned_after }
                })
                .collect();
            gauntlet.primary_evaluation(round, &results);
            gauntlet.renew_list(round, &[(0, f64::NAN), (1, 0.5), (99, 1.0)]);

            let incentives = gauntlet.incentives();
            let paid: f64 = incentives.iter().map(|(_, share)| share).sum();
            prop_assert!(incentives.iter().all(|(_, share)| (0.0..=1.0).contains(share)));
            prop_assert!(paid == 0.0 || (paid - 1.0).abs() < 1e-9);
            for (_, record) in gauntlet.peers() {
                prop_assert!(record.peer_score.is_finite() && record.rating.sigma > 0.0);
                prop_assert!(record.proof_of_computation.abs() <= 1.0);
            }
            for chosen in [gauntlet.included(round), gauntlet.choose_for_evaluation(round)] {
                prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen.len() <= 15);
                prop_assert!(chosen.iter().all(|uid| gauntlet.has_passed(*uid, round)));
            }
        }
    }
}
