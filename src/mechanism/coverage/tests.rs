//! Tests of whole networks with made-up measurements.

use proptest::prelude::*;

use super::*;
use crate::mechanism::testing::Alike;
use crate::mechanism::{Contrast, Measured, PeerFacts};

/// A peer of a made-up network.
#[derive(Clone, Copy)]
struct Peer {
    /// Probability that it has trained on the pages of a check.
    pages: f64,
    /// Probability that it has trained on the stretches of a check.
    stretches: f64,
    /// The part of the model whose gradient it computes.
    matrices: f64,
    /// Probability that a matrix for which it has done the work passes.
    sharp: f64,
    /// One round in so many is worked and uploaded in.
    every: u64,
    /// The work that it says it does, relative to what is assigned.
    says: f64,
}

const HONEST: Peer = Peer { pages: 1.0, stretches: 1.0, matrices: 1.0, sharp: 1.0, every: 1, says: 1.0 };

/// Rounds between two settings of weights.
const EVERY: u64 = 5;

/// A number in 0..1, fixed for each purpose, peer and round.
fn chance(purpose: &str, uid: Uid, round: u64) -> f64 {
    (rng(5, purpose, uid.into(), round).next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn network(peers: &[Peer], settings: CoverageSettings) -> Coverage {
    let mut coverage = Coverage { settings, secret: 11, peers: BTreeMap::new() };
    (0..peers.len()).for_each(|uid| coverage.arrive(uid as Uid));
    coverage
}

fn observe(coverage: &mut Coverage, round: u64, outcomes: impl Iterator<Item = (Uid, Status, f64)>) {
    let peer =
        |(uid, arrival, work)| PeerFacts { uid, arrival, stamp_ms: None, steps_behind: Some(0.0), work, paid: 0.0 };
    let peers = outcomes.map(peer).collect();
    coverage.observe(&Facts { round, weights_every: EVERY, peers, uploads: &Alike(Vec::new()) });
}

/// Matrices of the model.
const MATRICES: usize = 8;

/// What a validator would measure.
fn contrast(peers: &[Peer], what: &Measurement, round: u64) -> f64 {
    let Measurement::Contrast(Contrast { uid, by_matrices, pages, .. }) = what else {
        unreachable!("it asks for no loss")
    };
    let (uid, peer) = (*uid, peers[usize::from(*uid)]);
    let (share, purpose) = if pages.stretch <= 0.25 { (peer.stretches, "stretch") } else { (peer.pages, "pages") };
    let trained = chance(purpose, uid, round) < share;
    let by_chance = if chance("luck", uid, round) < 0.5 { 1.0 } else { -1.0 };
    let result = |matrix: usize| {
        // Where it computes nothing, it sends nothing.
        let there = (matrix as f64) < peer.matrices * MATRICES as f64;
        let passes = chance(&format!("matrix {matrix}"), uid, round) < peer.sharp;
        let found = if !trained {
            by_chance
        } else if passes {
            1.0
        } else {
            -1.0
        };
        if there { found } else { -1.0 }
    };
    // A part of the model agrees with itself.
    if *by_matrices { mean(&(0..MATRICES).map(result).collect::<Vec<_>>()) } else { result(0) }
}

/// The pay of each peer over so many rounds.
fn play(coverage: &mut Coverage, peers: &[Peer], rounds: std::ops::Range<u64>) -> Vec<f64> {
    let mut total = vec![0.0; peers.len()];
    for round in rounds {
        let status = |every| if round % every == 0 { Status::Passed } else { Status::Absent };
        let outcomes = peers.iter().enumerate().map(|(uid, peer)| (uid as Uid, status(peer.every), peer.says));
        observe(coverage, round, outcomes);
        let measured = coverage.measure(round, &[]);
        let results = measured.into_iter().map(|what| Measured { value: Some(contrast(peers, &what, round)), what });
        coverage.learn(round, &[], &Results(results.collect()));
        coverage.pay().into_iter().for_each(|(uid, share)| total[usize::from(uid)] += share);
    }
    total
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn pay_follows_the_share_of_the_work_that_was_done() {
    let mut peers = vec![HONEST; 16];
    peers[1] = Peer { pages: 0.5, ..HONEST };
    peers[2] = Peer { stretches: 0.5, ..HONEST };
    peers[3] = Peer { every: 2, ..HONEST };
    peers[4] = Peer { pages: 0.0, stretches: 0.0, ..HONEST };
    let coverage = &mut network(&peers, CoverageSettings::default());
    play(coverage, &peers, 0..200);
    let paid = play(coverage, &peers, 200..10_200);
    let honest = mean(&paid[5..]);
    let [half_pages, half_tokens, half_time, nothing] = [1, 2, 3, 4].map(|uid| paid[uid] / honest);
    assert!(half_pages < 0.15, "{half_pages}");
    assert!(half_tokens < 0.3, "{half_tokens}");
    assert!((half_time - 0.5).abs() < 0.05, "{half_time}");
    assert!(nothing < 0.005, "{nothing}");
    let spread = paid[5..].iter().map(|paid| (paid / honest - 1.0).abs()).fold(0.0, f64::max);
    assert!(spread < 0.03, "equal peers are paid alike: {spread}");
}

/// A check of a larger claim is of a larger piece, which more than half of the time holds a page that was left out.
#[test]
fn a_claim_is_paid_as_far_as_its_work_is_found() {
    let mut peers = vec![HONEST; 16];
    peers[1] = Peer { says: 2.0, ..HONEST };
    peers[2] = Peer { says: 2.0, pages: 0.5, stretches: 0.5, ..HONEST };
    peers[3] = Peer { says: 0.5, ..HONEST };
    let coverage = &mut network(&peers, CoverageSettings::default());
    play(coverage, &peers, 0..200);
    let paid = play(coverage, &peers, 200..1200);
    let honest = mean(&paid[4..]);
    let [twice, in_words, half] = [1, 2, 3].map(|uid| paid[uid] / honest);
    assert!((twice - 2.0).abs() < 0.05 && (half - 0.5).abs() < 0.05, "{twice} {half}");
    assert!(in_words < 0.5, "{in_words}");
}

/// Weights are set once in five rounds. A peer that rests in between, and shows up for the last two, is paid for two.
#[test]
fn each_round_counts_once_whenever_weights_are_set() {
    for rests in 0..EVERY {
        let mut coverage = network(&[HONEST; 4], CoverageSettings::default());
        let mut paid = [0.0; 4];
        for round in 0..60 * EVERY {
            let works = |uid: Uid| uid > 0 || round % EVERY >= rests;
            let status = |uid| if works(uid) { Status::Passed } else { Status::Absent };
            observe(&mut coverage, round, (0..4).map(|uid| (uid, status(uid), 1.0)));
            let measured = coverage.measure(round, &[]).into_iter();
            coverage.learn(round, &[], &Results(measured.map(|what| Measured { value: Some(1.0), what }).collect()));
            if (round + 1).is_multiple_of(EVERY) && round > 50 * EVERY {
                coverage.pay().into_iter().for_each(|(uid, share)| paid[usize::from(uid)] += share);
            }
        }
        let (ratio, share) = (paid[0] / mean(&paid[1..]), (EVERY - rests) as f64 / EVERY as f64);
        assert!((ratio - share).abs() < 1e-9, "{ratio} for {share}");
    }
}

/// A peer that stops is paid for the rounds in which it worked, and no longer.
#[test]
fn a_peer_that_stops_is_not_paid_for_long() {
    let mut coverage = network(&[HONEST; 4], CoverageSettings::default());
    play(&mut coverage, &[HONEST; 4], 0..40);
    let shares: Vec<f64> = (40..40 + EVERY)
        .map(|round| {
            observe(
                &mut coverage,
                round,
                (0..4).map(|uid| (uid, if uid > 0 { Status::Passed } else { Status::Absent }, 1.0)),
            );
            coverage.pay()[0].1
        })
        .collect();
    assert!(shares.windows(2).all(|pair| pair[0] > pair[1]) && shares[4] == 0.0, "{shares:?}");
}

#[test]
fn the_gradient_of_a_part_of_the_model_is_not_enough() {
    let mut peers = vec![HONEST; 12];
    peers[0] = Peer { matrices: 0.5, ..HONEST };
    peers[1] = Peer { matrices: 0.75, ..HONEST };
    let paid = play(&mut network(&peers, CoverageSettings::default()), &peers, 0..1000);
    let honest = mean(&paid[2..]);
    for uid in [0, 1] {
        assert!(paid[uid] / honest < 0.1, "{}", paid[uid] / honest);
    }
}

#[test]
fn proofs_that_chance_spares_are_paid_little_more() {
    let mut peers = vec![Peer { sharp: 0.95, ..HONEST }; 12];
    peers[..4].fill(HONEST);
    let paid = play(&mut network(&peers, CoverageSettings::default()), &peers, 0..1000);
    let ratio = mean(&paid[..4]) / mean(&paid[4..]);
    assert!(ratio > 1.0 && ratio < 1.1, "{ratio}");
}

#[test]
fn many_that_leave_out_work_do_not_become_typical() {
    let mut peers = vec![Peer { pages: 0.25, ..HONEST }; 12];
    peers[..3].fill(HONEST);
    let paid = play(&mut network(&peers, CoverageSettings::default()), &peers, 0..1000);
    let ratio = mean(&paid[3..]) / mean(&paid[..3]);
    assert!(ratio < 0.5, "{ratio}");
}

/// What the parts are for that need uploads is to be seen in networks.
#[test]
fn without_a_part_of_the_pay_less_work_is_paid_more() {
    let half_pages = Peer { pages: 0.5, ..HONEST };
    let half_tokens = Peer { stretches: 0.5, ..HONEST };
    let half_model = Peer { matrices: 0.5, ..HONEST };
    let cases =
        [(Part::Pages, half_pages, 0.9), (Part::Stretches, half_tokens, 0.9), (Part::Matrices, half_model, 0.9)];
    for (part, peer, least) in cases {
        let mut peers = vec![HONEST; 12];
        peers[0] = peer;
        let paid = |without| {
            let settings = CoverageSettings { without, ..Default::default() };
            let paid = play(&mut network(&peers, settings), &peers, 0..1000);
            paid[0] / mean(&paid[1..])
        };
        let (with, without) = (paid(vec![]), paid(vec![part]));
        assert!(with < 0.25 && without > least, "{part:?}: {with} with it, {without} without");
    }
}

#[test]
fn without_a_typical_peer_chance_pays_those_whom_it_spares() {
    let mut peers = vec![Peer { sharp: 0.9, ..HONEST }; 12];
    peers[..4].fill(HONEST);
    let ratio = |without| {
        let paid = play(&mut network(&peers, CoverageSettings { without, ..Default::default() }), &peers, 0..1000);
        mean(&paid[..4]) / mean(&paid[4..])
    };
    let (with, without) = (ratio(vec![]), ratio(vec![Part::Typical]));
    assert!(without > with + 0.2, "{with} with it, {without} without");
}

#[test]
fn uploads_are_compared_with_those_that_are_aggregated() {
    for (without, compared) in [(vec![], 3), (vec![Part::Others], 0)] {
        let mut coverage = network(&[HONEST; 12], CoverageSettings { without, ..Default::default() });
        observe(&mut coverage, 0, (0..12).map(|uid| (uid, Status::Passed, 1.0)));
        for what in coverage.measure(0, &[2, 5, 8]) {
            let Measurement::Contrast(Contrast { beside, .. }) = what else { unreachable!("it asks for no loss") };
            assert_eq!(beside, [2, 5, 8][..compared]);
        }
    }
}

#[test]
fn something_is_checked() {
    let mut found = Findings::default();
    CoverageSettings { without: vec![Part::Pages, Part::Stretches], ..Default::default() }.check(&mut found);
    assert_eq!(found.into_vec().len(), 1);
}

#[test]
fn a_check_is_not_to_be_foreseen_from_the_last_one() {
    let peers = [HONEST; 16];
    let mut coverage = network(&peers, CoverageSettings::default());
    play(&mut coverage, &peers, 0..50);
    let (mut checked, mut again) = (0, 0);
    let mut before: Vec<Uid> = Vec::new();
    for round in 50..2050 {
        observe(&mut coverage, round, (0..16).map(|uid| (uid, Status::Passed, 1.0)));
        let now: Vec<Uid> = coverage.chosen(round).into_iter().map(|of| of.uid).collect();
        assert_eq!(now.len(), 5);
        checked += before.len();
        again += now.iter().filter(|uid| before.contains(uid)).count();
        before = now;
    }
    // As likely as for any other peer: 5 of 16.
    let rate = again as f64 / f64::from(checked as u32);
    assert!((rate - 5.0 / 16.0).abs() < 0.02, "{rate}");
}

#[test]
fn newcomers_are_sure_of_half_of_the_checks_and_have_no_pay_before_them() {
    let peers = [HONEST; 20];
    let mut coverage = network(&peers[..10], CoverageSettings { evaluated_per_round: 6, ..Default::default() });
    play(&mut coverage, &peers[..10], 0..100);
    (10..20).for_each(|uid| coverage.arrive(uid));
    observe(&mut coverage, 100, (0..20).map(|uid| (uid, Status::Passed, 1.0)));
    let chosen = coverage.chosen(100);
    assert!(chosen.iter().filter(|of| of.uid >= 10).count() >= 3, "{chosen:?}");
    assert!(coverage.pay().iter().all(|&(uid, share)| (uid < 10) == (share > 0.0)));
    // A slot with another owner starts anew.
    coverage.arrive(3);
    assert_eq!(coverage.pay().iter().find(|(uid, _)| *uid == 3).unwrap().1, 0.0);
}

#[test]
fn a_saved_state_goes_on_bit_for_bit() {
    let peers = [HONEST; 8];
    let mut whole = network(&peers, CoverageSettings::default());
    play(&mut whole, &peers, 0..40);
    let mut restored = network(&peers, CoverageSettings::default());
    restored.restore(&whole.save()).unwrap();
    assert_eq!(play(&mut whole, &peers, 40..80), play(&mut restored, &peers, 40..80));
    assert!(restored.restore(&[1, 2, 3]).is_err());
}

proptest! {
    #[test]
    fn nothing_a_peer_does_breaks_the_pay(values in proptest::collection::vec(any::<f64>(), 64), round in 0u64..9) {
        let mut coverage = network(&[HONEST; 6], CoverageSettings::default());
        for round in 0..=round {
            observe(&mut coverage, round, (0..6).map(|uid| (uid, Status::Passed, 1.0)));
            let wanted = coverage.measure(round, &[]).into_iter().enumerate();
            let measured = wanted.map(|(at, what)| Measured { value: Some(values[at % 64]), what });
            coverage.learn(round, &[], &Results(measured.collect()));
        }
        let pay = coverage.pay();
        prop_assert!(pay.iter().all(|(_, share)| (0.0..=1.0).contains(share)));
        let total: f64 = pay.iter().map(|(_, share)| share).sum();
        prop_assert!(total == 0.0 || (total - 1.0).abs() < 1e-9);
    }
}
