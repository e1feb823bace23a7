//! Tests of the ledger: what it accepts, refuses and pays.

use proptest::prelude::*;

use super::*;
use crate::chain::{Objection, Refusal, commitment};
use crate::digest::Digest;
use crate::{NOBODY, Uid};

const V: Hotkey = [200; 32];
const W: Hotkey = [201; 32];

fn key(name: u8) -> Hotkey {
    [name; 32]
}

/// Rounds of 2 blocks, an epoch every 3 rounds, immunity of 2 rounds.
fn settings(slots: usize) -> ChainSettings {
    ChainSettings { slots, blocks_per_round: 2, weights_every: 3, immunity_rounds: 2, ..ChainSettings::default() }
}

fn ledger(slots: usize, peers: u8) -> Ledger {
    let genesis = Genesis { validators: vec![(V, 60.0), (W, 100.0)], peers: (0..peers).map(key).collect() };
    Ledger::new(&settings(slots), genesis).unwrap()
}

fn register(name: u8) -> Extrinsic {
    Extrinsic { hotkey: key(name), call: Call::Register }
}

fn weights(hotkey: Hotkey, weights: &[(Uid, f64)]) -> Extrinsic {
    Extrinsic { hotkey, call: Call::SetWeights(weights.to_vec()) }
}

#[test]
fn peers_of_genesis_hold_the_first_slots_and_the_highest_stake_leads() {
    let mut ledger = ledger(4, 3);
    let state = ledger.state_at(0);
    assert_eq!(state.registrations().values().map(|owner| owner.hotkey[0]).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(ChainView::validators(state), [(W, 100.0), (V, 60.0)]);
}

#[test]
fn weights_become_pay_at_the_epoch_and_are_paid_each_round() {
    let mut ledger = ledger(4, 3);
    ledger.submit(5, weights(V, &[(0, 3.0), (1, 1.0)])).unwrap();
    ledger.submit(5, weights(W, &[(0, 3.0), (1, 1.0)])).unwrap();
    assert_eq!(ledger.state_at(5).incentives.len(), 0);
    // The first epoch is at the start of round 3, block 6; rounds 0 to 2 pay nothing.
    let state = ledger.state_at(6);
    assert_eq!((state.incentive(0), state.incentive(1), state.incentive(2)), (0.75, 0.25, 0.0));
    assert_eq!((state.paid.len(), state.unpaid), (0, 3.0));
    let state = ledger.state_at(10);
    assert_eq!((state.paid[&0], state.paid_hotkeys[&key(1)], state.unpaid), (1.5, 0.5, 3.0));
    let earned: Vec<f64> = state.validators.iter().map(|validator| validator.earned).collect();
    assert!((earned[0] - 2.0 * 60.0 / 160.0).abs() < 1e-12 && (earned[1] - 2.0 * 100.0 / 160.0).abs() < 1e-12);
}

#[test]
fn weights_for_nobody_are_paid_to_nobody() {
    let mut ledger = ledger(4, 3);
    ledger.submit(5, weights(V, &[(0, 1.0)])).unwrap();
    ledger.submit(5, weights(W, &[(NOBODY, 1.0)])).unwrap();
    let state = ledger.state_at(10);
    assert_eq!((state.incentive(0), state.paid.values().sum::<f64>(), state.unpaid), (0.0, 0.0, 5.0), "they are votes");
    assert!(state.validators[1].earned > state.validators[0].earned, "whoever is out of line earns less");
    ledger.submit(11, weights(V, &[(0, 1.0), (NOBODY, 3.0)])).unwrap();
    ledger.submit(11, weights(W, &[(1, 1.0), (0, 1.0), (NOBODY, 2.0)])).unwrap();
    let state = ledger.state_at(12);
    // Half of the stake backs a quarter for slot 0, and nothing for slot 1 but the larger stake.
    let shares = [0.25, 0.25 * 100.0 / 160.0, 0.5 + 0.0];
    let total: f64 = shares.iter().sum();
    assert!((state.incentive(0) - shares[0] / total).abs() < 0.05, "{}", state.incentive(0));
    let (paid, to_nobody) = (state.incentives.values().sum::<f64>(), state.to_nobody);
    assert!(paid < 0.6 && !state.incentives.contains_key(&NOBODY));
    assert!((paid + to_nobody - 1.0).abs() < 1e-12, "{to_nobody}");
    assert!(state.paid.keys().all(|uid| *uid < 3));
}

#[test]
fn a_pushed_out_peer_keeps_only_its_past_pay() {
    let mut ledger = ledger(3, 3);
    for validator in [V, W] {
        ledger.submit(4, weights(validator, &[(0, 5.0), (1, 4.0), (2, 1.0)])).unwrap();
    }
    ledger.submit(7, register(9)).unwrap();
    let state = ledger.state_at(8);
    assert_eq!(state.uid_of(&key(9)), Some(2));
    assert_eq!((state.uid_of(&key(2)), state.incentive(2), state.paid.get(&2)), (None, 0.0, None));
    assert!((state.unpaid - 3.1).abs() < 1e-12, "nobody else gets the share of the peer pushed out: {}", state.unpaid);
    // The weights were for the previous owner, so the next epoch pays the newcomer nothing either.
    let state = ledger.state_at(12);
    assert_eq!((state.incentive(2), state.registrations()[&2].block), (0.0, 7));
    assert!((state.incentive(0) - 5.0 / 9.0).abs() < 1e-12);

    ledger.submit(12, register(2)).unwrap();
    assert_eq!(ledger.state_at(13).uid_of(&key(2)), Some(2), "a peer that was pushed out may return");
}

#[test]
fn an_invalid_call_is_refused_whole() {
    let mut ledger = ledger(4, 2);
    ledger.submit(1, weights(V, &[(0, 1.0)])).unwrap();
    let bad = [
        (weights(V, &[(1, 1.0), (3, 1.0)]), Refusal::UnknownUid(3)),
        (weights(V, &[(1, f64::NAN)]), Refusal::InvalidWeight(1)),
        (weights(V, &[(1, -0.1)]), Refusal::InvalidWeight(1)),
        (weights(V, &[(1, f64::INFINITY)]), Refusal::InvalidWeight(1)),
        (weights(V, &[(1, 1.0), (1, 1.0)]), Refusal::RepeatedUid(1)),
        (weights(key(0), &[(0, 1.0)]), Refusal::NotAValidator),
        (weights(key(77), &[(0, 1.0)]), Refusal::NotAValidator),
        (register(1), Refusal::AlreadyRegistered),
        (Extrinsic { hotkey: W, call: Call::Register }, Refusal::IsValidator),
    ];
    for (nth, (extrinsic, refusal)) in bad.into_iter().enumerate() {
        let block = 2 + nth as u64;
        let hotkey = extrinsic.hotkey;
        ledger.submit(block, extrinsic).unwrap();
        assert_eq!(ledger.state_at(block + 1).refused.last(), Some(&(block, hotkey, refusal)));
    }
    let posted = ledger.state_at(20).validators[0].posted.clone().unwrap();
    assert_eq!((posted.block, posted.weights), (1, vec![(0, 1.0)]));
    let flood: Vec<(Uid, f64)> = (0..251).map(|uid| (uid, 1.0)).collect();
    assert_eq!(ledger.submit(20, weights(V, &flood)), Err(LedgerError::TooManyWeights(251)));
}

#[test]
fn a_block_before_the_latest_view_is_over() {
    let mut ledger = ledger(4, 2);
    ledger.state_at(5);
    assert_eq!(ledger.submit(4, register(9)), Err(LedgerError::BlockOver { block: 4, present: 5 }));
    ledger.submit(5, register(9)).unwrap();
    assert_eq!(ledger.state_at(5).uid_of(&key(9)), None);
    assert_eq!(ledger.state_at(6).uid_of(&key(9)), Some(2));
    assert_eq!(ledger.state_at(5).uid_of(&key(9)), None, "an earlier block does not change");
    assert_eq!(ledger.state_at(5).block, 5);
}

#[test]
fn genesis_is_checked() {
    let try_new = |validators: Vec<(Hotkey, f64)>, peers: Vec<Hotkey>| {
        Ledger::new(&settings(2), Genesis { validators, peers }).map(|_| ()).unwrap_err()
    };
    assert_eq!(try_new(vec![], vec![]), LedgerError::NoValidator);
    assert_eq!(try_new(vec![(V, 1.0), (W, 0.0)], vec![]), LedgerError::InvalidStake(1, 0.0));
    let peers = (0..3).map(key).collect();
    assert_eq!(try_new(vec![(V, 1.0)], peers), LedgerError::TooManyPeers { peers: 3, slots: 2 });
    assert_eq!(try_new(vec![(V, 1.0)], vec![V]), LedgerError::RepeatedHotkey);
}

#[test]
fn a_saved_ledger_goes_on_bit_for_bit() {
    let mut straight = ledger(3, 3);
    straight.submit(3, weights(V, &[(0, 0.3), (1, 0.1)])).unwrap();
    straight.submit(9, register(9)).unwrap();
    straight.state_at(8);
    let saved = postcard::to_allocvec(&straight).unwrap();
    let mut resumed: Ledger = postcard::from_bytes(&saved).unwrap();
    for ledger in [&mut straight, &mut resumed] {
        ledger.submit(9, weights(W, &[(0, 0.7), (2, 0.2)])).unwrap();
        ledger.state_at(40);
    }
    assert_eq!(postcard::to_allocvec(&straight).unwrap(), postcard::to_allocvec(&resumed).unwrap());
}

fn any_extrinsic() -> impl Strategy<Value = Extrinsic> {
    let weight = prop_oneof![3 => 0.0..1.0f64, 1 => prop::num::f64::ANY];
    let posted = prop::collection::vec((0u16..5, weight), 0..5);
    prop_oneof![
        (0u8..12).prop_map(register),
        (prop_oneof![Just(V), Just(W), Just(key(3))], posted).prop_map(|(hotkey, list)| weights(hotkey, &list)),
    ]
}

proptest! {
    #[test]
    fn the_order_of_submission_inside_a_block_does_not_matter(
        calls in prop::collection::vec((0u64..30, any_extrinsic()), 0..40),
    ) {
        let mut straight = ledger(4, 2);
        for (block, call) in &calls {
            straight.submit(*block, call.clone()).unwrap();
        }
        // The same calls, node by node: only each hotkey's own order is kept.
        let mut by_node = calls.clone();
        by_node.sort_by_key(|(_, call)| std::cmp::Reverse(call.hotkey));
        let mut other = ledger(4, 2);
        for (block, call) in by_node {
            other.submit(block, call).unwrap();
        }
        prop_assert_eq!(straight.state_at(36), other.state_at(36));

        // Asking for states in between changes nothing either.
        let mut stepwise = straight.clone();
        for block in 0..36 {
            let state = stepwise.state_at(block);
            let paid: f64 = state.paid_hotkeys.values().sum();
            prop_assert!((paid + state.unpaid - (block / 2) as f64).abs() < 1e-9, "each round's 1 is paid or counted as unpaid");
            let incentives: f64 = state.incentives.values().sum();
            prop_assert!((0.0..=1.0 + 1e-9).contains(&incentives));
        }
        prop_assert_eq!(stepwise.state_at(36), straight.state_at(36));
    }
}

/// Epochs at the starts of rounds 3, 6, 9, which are blocks 6, 12, 18.
#[test]
fn weights_that_are_committed_to_count_after_the_next_epoch() {
    let settings = ChainSettings { commit_reveal: true, ..settings(4) };
    let genesis = Genesis { validators: vec![(V, 60.0), (W, 100.0)], peers: vec![key(0), key(1)] };
    let mut ledger = Ledger::new(&settings, genesis).unwrap();
    let (first, second, salt) = (vec![(0, 1.0)], vec![(1, 1.0)], Digest::of(b"salt"));
    let commits = |hotkey: Hotkey, digest| Extrinsic { hotkey, call: Call::CommitWeights(digest) };
    let reveals =
        |hotkey, weights: &Vec<_>| Extrinsic { hotkey, call: Call::RevealWeights { weights: weights.clone(), salt } };
    let digest = commitment(&V, &first, &salt);
    ledger.submit(4, weights(V, &first)).unwrap();
    ledger.submit(4, commits(V, digest)).unwrap();
    ledger.submit(4, commits(W, digest)).unwrap();
    // The other weights, and the same ones too early, after others have seen the commitment.
    ledger.submit(5, commits(V, commitment(&V, &second, &salt))).unwrap();
    ledger.submit(5, reveals(V, &first)).unwrap();
    for (block, hotkey, revealed) in [(7, V, &second), (8, V, &first), (8, W, &first), (9, V, &first)] {
        ledger.submit(block, reveals(hotkey, revealed)).unwrap();
    }
    assert!(ledger.state_at(11).weights().iter().eq([(V, first)].iter()), "who copied the digest has no weights");
    assert!(ledger.state_at(11).incentives.values().all(|share| *share == 0.0));
    assert_eq!(ledger.state_at(12).incentive(0), 1.0);
    let refused: Vec<_> = ledger.state_at(12).refused.iter().map(|(block, _, refusal)| (*block, *refusal)).collect();
    let unknown = Refusal::UnknownCommitment;
    let expected =
        [(4, Refusal::NotCommitted), (5, Refusal::CommittedBefore), (5, unknown), (7, unknown), (8, unknown)];
    assert_eq!(refused, [&expected[..], &[(9, unknown)]].concat());
}

#[test]
fn a_majority_voids_a_round_and_puts_its_author_last() {
    let validators = vec![(V, 60.0), (W, 100.0), ([202; 32], 50.0)];
    let genesis = Genesis { validators, peers: vec![key(0)] };
    let mut ledger = Ledger::new(&settings(4), genesis).unwrap();
    let objects = |hotkey, round| Extrinsic { hotkey, call: Call::Object(Objection { round, author: W, lacks: true }) };
    ledger.submit(8, objects(V, 3)).unwrap();
    assert!(ledger.state_at(9).void_rounds().is_empty());
    for (hotkey, round) in [([202; 32], 3), (key(0), 3), (V, 99)] {
        ledger.submit(9, objects(hotkey, round)).unwrap();
    }
    let state = ledger.state_at(10);
    assert_eq!(state.void_rounds(), [3, 4, 5], "those that were built on it are void too");
    let refusals: Vec<_> = state.refused.iter().map(|(_, _, refusal)| *refusal).collect();
    assert_eq!(refusals, [Refusal::NotAValidator, Refusal::RoundToCome(99)]);
    // The objection was in round 4.
    let lead = |round| state.succession(round)[0].0;
    assert_eq!([5, 6, 105, 106].map(lead), [W, V, V, W]);
    assert_eq!(state.succession(6)[2].0, W);
    assert_eq!(ChainView::validators(state)[0].0, W, "its stake is still its");
}
