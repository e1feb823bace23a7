//! Tests of whole networks with made-up measurements.

use proptest::prelude::*;

use super::*;
use crate::mechanism::testing::Alike;
use crate::mechanism::{Contrast, Measured, PeerFacts, Value, Whose};

/// A peer of a made-up network.
#[derive(Clone, Copy)]
struct Peer {
    /// Probability that it has trained on the pages of a check.
    pages: f64,
    /// Probability that it has trained on the stretches of a check.
    stretches: f64,
    /// Probability that its upload has in it what it kept of a page of the round before.
    kept: f64,
    /// The part of the model whose gradient it computes.
    matrices: f64,
    /// The margins of work that was done, relative to those of honest uploads.
    size: f64,
    /// Probability that a matrix for which it has done the work passes.
    sharp: f64,
    /// One round in so many is worked and uploaded in.
    every: u64,
    /// The work that it says it does, relative to what is assigned.
    says: f64,
}

const HONEST: Peer =
    Peer { pages: 1.0, stretches: 1.0, kept: 0.8, matrices: 1.0, size: 1.0, sharp: 1.0, every: 1, says: 1.0 };

/// Rounds between two settings of weights.
const EVERY: u64 = 5;

/// A number in 0..1, fixed for each purpose, peer and round.
fn chance(purpose: &str, uid: Uid, round: u64) -> f64 {
    (rng(5, purpose, uid.into(), round).next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn network(peers: &[Peer], settings: CoverageSettings) -> Coverage {
    let mut coverage = Coverage { settings, secret: 11, known: Known::default() };
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
/// The margin of an honest check.
const MARGIN: f64 = 0.1;

/// What a validator would measure.
fn contrast(peers: &[Peer], what: &Measurement, round: u64) -> Value {
    let Measurement::Contrast(Contrast { uid, by_matrices, pages, .. }) = what else {
        unreachable!("it asks for no loss")
    };
    let (uid, peer) = (*uid, peers[usize::from(*uid)]);
    let (share, purpose) = match pages.whose {
        Whose::Earlier(_) => (peer.kept, "kept"),
        _ if pages.stretch <= 0.25 => (peer.stretches, "stretch"),
        _ => (peer.pages, "pages"),
    };
    let trained = chance(purpose, uid, round) < share;
    let by_chance = if chance("luck", uid, round) < 0.5 { MARGIN } else { -MARGIN };
    let margin = |matrix: usize| {
        // Where it computes nothing, it sends nothing.
        let there = (matrix as f64) < peer.matrices * MATRICES as f64;
        let passes = chance(&format!("matrix {matrix}"), uid, round) < peer.sharp;
        let value = match (there, trained, passes) {
            (false, ..) => 0.0,
            (true, false, _) => by_chance,
            (true, true, true) => peer.size * MARGIN,
            (true, true, false) => -MARGIN,
        };
        Margin { weights: 1.0, value }
    };
    // A part of the model agrees with itself.
    Value::Margins(if *by_matrices { (0..MATRICES).map(margin).collect() } else { vec![margin(0)] })
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
    peers[4] = Peer { pages: 0.0, stretches: 0.0, kept: 0.0, ..HONEST };
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
            coverage.learn(
                round,
                &[],
                &Results(
                    measured.map(|what| Measured { value: Some(contrast(&[HONEST; 4], &what, round)), what }).collect(),
                ),
            );
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
fn gradients_that_are_cheaper_all_over_are_paid_less_and_larger_proofs_are_not_paid_more() {
    let mut peers = vec![Peer { sharp: 0.95, ..HONEST }; 16];
    peers[0].size = 0.65;
    peers[1].size = 2.0;
    // What is trained on has more weight where half of it is left out.
    peers[2] = Peer { size: 2.0, stretches: 0.5, ..peers[2] };
    let ratios = |without: Vec<Part>| {
        let settings = CoverageSettings { without, ..Default::default() };
        let paid = play(&mut network(&peers, settings), &peers, 0..1000);
        [0, 1, 2].map(|uid| paid[uid] / mean(&paid[3..]))
    };
    let [cheap, large, half] = ratios(vec![]);
    assert!(cheap < 0.3 && (0.95..1.1).contains(&large) && half < 0.3, "{cheap} {large} {half}");
    let [by_sign, ..] = ratios(vec![Part::Sizes]);
    assert!(by_sign > 0.9, "{by_sign}");
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

#[test]
fn a_peer_that_keeps_nothing_is_found_out_and_one_that_keeps_less_is_not() {
    let mut peers = vec![HONEST; 12];
    peers[0] = Peer { kept: 0.0, ..HONEST };
    peers[1] = Peer { kept: 0.6, ..HONEST };
    let paid = |without: Vec<Part>| {
        let coverage = &mut network(&peers, CoverageSettings { without, ..Default::default() });
        let first = play(coverage, &peers, 0..200);
        let paid = play(coverage, &peers, 200..1200);
        [first[0] / mean(&first[2..]), paid[0] / mean(&paid[2..]), paid[1] / mean(&paid[2..])]
    };
    let [first, nothing, less] = paid(vec![]);
    assert!((0.05..0.6).contains(&first), "it takes a while: {first}");
    assert!(nothing < 0.2 && less > 0.8, "{nothing} {less}");
    assert!(paid(vec![Part::Kept]).into_iter().all(|paid| (paid - 1.0).abs() < 0.05));
}

/// Not every scheme keeps something.
#[test]
fn where_nobody_keeps_anything_nobody_has_to() {
    let peers = [Peer { kept: 0.0, ..HONEST }; 12];
    let paid = play(&mut network(&peers, CoverageSettings::default()), &peers, 0..1000);
    assert!(paid.iter().all(|&one| (one / mean(&paid) - 1.0).abs() < 0.1), "{paid:?}");
}

#[test]
fn what_was_kept_is_that_of_the_last_round_in_which_the_peer_passed() {
    let mut coverage = network(&[HONEST; 2], CoverageSettings::default());
    // Peer 1 says that it does twice as much in every second round, and is away from round 4 to 8.
    let says = |round: u64| if round.is_multiple_of(2) { 2.0 } else { 1.0 };
    for round in 0..40 {
        let away = (4..=8).contains(&round);
        let status = |uid| if uid == 1 && away { Status::Absent } else { Status::Passed };
        observe(&mut coverage, round, (0..2).map(|uid| (uid, status(uid), if uid == 1 { says(round) } else { 1.0 })));
        let earlier = coverage
            .measure(round, &[])
            .iter()
            .filter_map(|what| match what.pages()[0].whose {
                Whose::Earlier(earlier) if earlier.uid == 1 => Some(earlier),
                _ => None,
            })
            .collect::<Vec<_>>();
        if coverage.kind(round) != Kind::Kept {
            assert!(earlier.is_empty());
            continue;
        }
        let expected = match round {
            // In round 9 its last round is too long ago.
            0 | 4..=9 => vec![],
            _ => vec![Earlier { uid: 1, round: round - 1, work: says(round - 1) }],
        };
        assert_eq!(earlier, expected, "round {round}");
    }
    assert!((0..40).filter(|round| coverage.kind(*round) == Kind::Kept).any(|round| (10..40).contains(&round)));
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
    let round = (100..).find(|round| coverage.kind(*round) != Kind::Kept).unwrap();
    observe(&mut coverage, round, (0..20).map(|uid| (uid, Status::Passed, 1.0)));
    let chosen = coverage.chosen(round);
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
            let margin = |at: usize| Margin { weights: 1.0, value: values[at % 64] };
            let margins = |at: usize| Some(Value::Margins((at..at + 8).map(margin).collect()));
            let measured = wanted.map(|(at, what)| Measured { value: margins(at), what });
            coverage.learn(round, &[], &Results(measured.collect()));
        }
        let pay = coverage.pay();
        prop_assert!(pay.iter().all(|(_, share)| (0.0..=1.0).contains(share)));
        let total: f64 = pay.iter().map(|(_, share)| share).sum();
        prop_assert!(total == 0.0 || (total - 1.0).abs() < 1e-9);
    }
}
