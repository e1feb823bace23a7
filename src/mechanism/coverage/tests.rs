//! Tests of whole networks with made-up measurements.

use proptest::prelude::*;

use super::testing::*;
use super::*;
use crate::mechanism::{Contrast, Measured, Value, Whose};

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
    // How long ago its checks were makes no difference where a little less coverage is enough.
    let settings = CoverageSettings { all_from: 0.9, ..Default::default() };
    for rests in 0..EVERY {
        let mut coverage = network(&[HONEST; 4], settings.clone());
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
    peers[0].size = 0.6;
    peers[1].size = 2.0;
    // What is trained on has more weight where half of it is left out.
    peers[2] = Peer { size: 2.0, stretches: 0.5, ..peers[2] };
    peers[3].size = 0.97;
    let ratios = |without: Vec<Part>| {
        let settings = CoverageSettings { without, ..Default::default() };
        let paid = play(&mut network(&peers, settings), &peers, 0..1000);
        [0, 1, 2, 3].map(|uid| paid[uid] / mean(&paid[4..]))
    };
    let [cheap, large, half, nearly] = ratios(vec![]);
    assert!(cheap < 0.1 && (0.95..1.1).contains(&large) && half < 0.4, "{cheap} {large} {half}");
    assert!(nearly > 0.9, "{nearly}");
    let [by_sign, ..] = ratios(vec![Part::Strength]);
    assert!(by_sign > 0.9, "{by_sign}");
}

#[test]
fn weak_work_is_paid_in_part_once_it_is_known() {
    let mut peers = vec![HONEST; 12];
    peers[0].size = 0.8;
    peers[1].size = 0.6;
    let coverage = &mut network(&peers, CoverageSettings::default());
    let first = play(coverage, &peers, 0..12);
    let later = play(coverage, &peers, 12..500);
    let ratio = |paid: &[f64], uid: usize| paid[uid] / mean(&paid[2..]);
    assert!((0.4..0.6).contains(&ratio(&later, 0)) && ratio(&later, 1) < 0.1, "{later:?}");
    assert!(ratio(&first, 1) > ratio(&later, 1) + 0.2, "a new peer is spared: {first:?}");
}

/// Uploads without kept state are stronger. They do not say how strong a typical one is.
#[test]
fn only_those_who_keep_something_say_what_is_typical() {
    let beside = |others: Peer| {
        let mut peers = vec![Peer { size: 0.95, ..HONEST }; 11];
        peers[..5].fill(others);
        // One whose work is too weak beside honest ones.
        peers[10].size = 0.7;
        let coverage = &mut network(&peers, CoverageSettings::default());
        play(coverage, &peers, 0..100);
        let paid = play(coverage, &peers, 100..400);
        [coverage.typical().strength, paid[10] / mean(&paid[5..10])]
    };
    let [alone, weak] = beside(Peer { size: 0.95, ..HONEST });
    assert!(weak < 0.3, "{weak}");
    let [there, weak] = beside(Peer { size: 1.6, kept: 0.0, ..HONEST });
    assert!((there / alone - 1.0).abs() < 0.1 && weak < 0.4, "{there} beside them, {alone} alone, {weak}");
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
    let mut peers = vec![Peer { pages: 0.15, ..HONEST }; 12];
    peers[..3].fill(HONEST);
    let ratio = |typical_at_least: f64| {
        // They are weak, too.
        let settings = CoverageSettings { typical_at_least, without: vec![Part::Strength], ..Default::default() };
        let paid = play(&mut network(&peers, settings), &peers, 0..1000);
        mean(&paid[3..]) / mean(&paid[..3])
    };
    let (with, without) = (ratio(CoverageSettings::default().typical_at_least), ratio(0.01));
    assert!(with < 0.35 && without > 0.5, "{with} {without}");
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
    let mut asked = 0;
    for round in 0..40 {
        let away = (4..=8).contains(&round);
        let status = |uid| if uid == 1 && away { Status::Absent } else { Status::Passed };
        observe(&mut coverage, round, (0..2).map(|uid| (uid, status(uid), if uid == 1 { says(round) } else { 1.0 })));
        let earlier = match round {
            0 => None,
            4..=9 => Some(3),
            _ => Some(round - 1),
        };
        let earlier = earlier.map(|round| Earlier { uid: 1, round, work: says(round) });
        assert_eq!(coverage.known.peers[&1].before, earlier, "round {round}");
        let is_kept = coverage.kind(round) == Kind::Kept;
        let expected = if is_kept && !away { earlier } else { None };
        let measured = coverage.measure(round, &[]);
        let found = measured.iter().find_map(|what| match what.pages()[0].whose {
            Whose::Earlier(earlier) if earlier.uid == 1 => Some(earlier),
            _ => None,
        });
        assert_eq!(found, expected, "round {round}");
        asked += usize::from(found.is_some());
    }
    assert!(asked > 5, "{asked}");
}

#[test]
fn a_small_round_does_not_show_what_a_large_one_keeps() {
    let mut peers = vec![HONEST; 8];
    let coverage = &mut network(&peers, CoverageSettings::default());
    let mut paid = [0.0; 8];
    for round in 0..1000 {
        // Its large upload keeps nothing; its small one is what the large one should have kept.
        let large = round % 2 == 0;
        peers[1] = Peer { says: if large { 2.0 } else { 0.125 }, kept: if large { 0.0 } else { 1.0 }, ..HONEST };
        let pay = play(coverage, &peers, round..round + 1);
        paid.iter_mut().zip(pay).for_each(|(paid, pay)| *paid += pay);
    }
    let ratio = paid[1] / mean(&paid[2..]);
    assert!(ratio < 0.3, "{ratio}");
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
    let sizes = [0.75, 0.82, 0.9, 1.0, 1.0, 1.0, 1.1, 1.3];
    let peers = sizes.map(|size| Peer { size, sharp: 0.95, ..HONEST });
    let mut whole = network(&peers, CoverageSettings::default());
    play(&mut whole, &peers, 0..40);
    let saved = whole.save();
    let mut restored = network(&peers, CoverageSettings::default());
    restored.restore(&saved).unwrap();
    assert_eq!(play(&mut whole, &peers, 40..80), play(&mut restored, &peers, 40..80));
    assert!(restored.restore(&[&saved[..], &[0]].concat()).is_err());
    assert!(restored.restore(&[1, 2, 3]).is_err());
}

proptest! {
    #[test]
    fn nothing_a_peer_does_breaks_the_pay(
        values in proptest::collection::vec(proptest::num::f64::ANY, 64),
        does in proptest::collection::vec((0usize..4, 1u8..17), 40 * 6),
    ) {
        let mut coverage = network(&[HONEST; 6], CoverageSettings::default());
        let status = |which| [Status::Passed, Status::Passed, Status::Absent, Status::Malformed][which];
        for (round, does) in (0..).zip(does.chunks(6)) {
            let peers = (0..).zip(does).map(|(uid, (which, work))| (uid, status(*which), f64::from(*work) / 8.0));
            observe(&mut coverage, round, peers);
            let wanted = coverage.measure(round, &[]).into_iter().enumerate();
            let margin = |at: usize| Margin { weights: 1.0, value: values[at % 64] };
            let margins = |at: usize| Some(Value::Margins((at..at + 8).map(|at| margin(at + round as usize)).collect()));
            let measured = wanted.map(|(at, what)| Measured { value: margins(at), what });
            coverage.learn(round, &[], &Results(measured.collect()));
            if round % 7 == 6 {
                let saved = coverage.save();
                coverage.restore(&saved).unwrap();
                coverage.arrive(round as Uid % 6);
            }
            let pay = coverage.pay();
            prop_assert!(pay.iter().all(|(_, share)| (0.0..=1.0).contains(share)));
            let total: f64 = pay.iter().map(|(_, share)| share).sum();
            prop_assert!(total == 0.0 || (total - 1.0).abs() < 1e-9);
        }
    }
}
