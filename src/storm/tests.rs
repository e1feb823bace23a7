//! Storms over a small network, and the defects that they must find.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;

use super::fault::What;
use super::{Field, Outcome, onlooker, run, schedule};
use crate::Uid;
use crate::digest::Digest;
use crate::node::{Compute, apply};
use crate::planted::{self, Defect};
use crate::scenario::Scenario;
use crate::transport::record::{Included, RoundRecord};
use crate::transport::simulated::SimClock;
use crate::transport::wire;

/// Seeds within which a planted defect must be found.
const SEEDS: u64 = 200;

fn field() -> Field {
    let text = include_str!("../../scenarios/storm.toml");
    Field::open(Scenario::from_toml(text, "storm.toml", &[]).unwrap()).unwrap()
}

#[test]
fn a_calm_network_breaks_nothing() {
    assert_eq!(run(&field(), 1, Vec::new()).broken, []);
}

#[test]
fn a_seed_repeats_a_storm() {
    let field = field();
    let storm = |seed| run(&field, seed, schedule::draw(&field.scenario, seed, true));
    let first = storm(3);
    assert_eq!(storm(3), first);
    assert_ne!(storm(4).digest, first.digest);
}

#[test]
fn dishonest_validators_hold_less_than_half_and_come_last() {
    let scenario = field().scenario;
    let total: f64 = scenario.validators.iter().map(|validator| validator.stake).sum();
    let (mut kinds, mut together) = (BTreeSet::new(), BTreeSet::new());
    for faults in (0..300).map(|seed| schedule::draw(&scenario, seed, true)) {
        let mut stake = 0.0;
        let mut is_new = false;
        for fault in &faults {
            match &fault.what {
                What::Dishonest { node, behaviour } => {
                    stake += scenario.validators[*node].stake;
                    kinds.extend(behaviour.kind.clone());
                    is_new = true;
                }
                What::KillTogether { nodes } => {
                    together.insert(nodes.0.len());
                    is_new = true;
                }
                _ => assert!(!is_new, "the faults of older seeds keep their numbers"),
            }
            assert!(fault.index < faults.len() && fault.from_ms < fault.until_ms);
        }
        assert!(stake < total / 2.0, "{stake} of {total}");
    }
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    assert_eq!(together, BTreeSet::from([3, 15]), "validators alone, and all nodes");
}

#[test]
fn dishonest_validators_of_a_scenario_stay_what_they_are() {
    let text = include_str!("../../scenarios/storm.toml");
    let set = ["validators.1.behaviour=silent".to_string()];
    let scenario = Scenario::from_toml(text, "storm.toml", &set).unwrap();
    for seed in 0..20 {
        let faults = schedule::draw(&scenario, seed, true);
        let dishonest = faults.iter().filter_map(|fault| match &fault.what {
            What::Dishonest { node, behaviour } => Some((*node, behaviour.kind.as_deref())),
            _ => None,
        });
        assert_eq!(dishonest.collect::<Vec<_>>(), [(1, Some("silent"))]);
    }
}

/// Storms that broke something once, with the fewest faults that did.
#[test]
fn what_was_mended_stays_so() {
    let field = field();
    let mended: [(u64, &[usize]); 6] = [
        // A validator whose clock was ahead took its own record, which was early, for the round's.
        (10, &[9]),
        // A round became void, since its validators could not read its payloads.
        (67, &[0, 2, 3]),
        // A lead wrote second records while validators were away.
        (116, &[9, 10, 11, 12]),
        (104, &[8, 12]),
        // A peer whose clock was set back took the step of a round a second time.
        (619, &[12]),
        (690, &[6]),
    ];
    for (seed, kept) in mended {
        let mut faults = schedule::draw(&field.scenario, seed, true);
        faults.retain(|fault| kept.contains(&fault.index));
        assert_eq!(run(&field, seed, faults).broken, [], "seed {seed}");
    }
}

/// All who follow a record leave out what its author had no right to include, and take the same step.
#[test]
fn payloads_that_no_peer_signed_move_nobodys_model() {
    let field = field();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(unsigned_payloads_move_nothing(&field));
}

async fn unsigned_payloads_move_nothing(field: &Field) {
    let network = field.network();
    let ports = onlooker::ports(field, Arc::new(InMemory::new()), SimClock::showing(0), Compute::in_place());
    let signer = field.scenario.validator_identity(0);
    let (genesis, hotkey) = (&network.genesis, signer.hotkey());
    let length = wire::encoded_len(network.form());
    let after = async |payloads: Vec<Bytes>| {
        let included = payloads.iter().enumerate();
        let included = included.map(|(uid, bytes)| Included { uid: uid as Uid, hotkey, payload: Digest::of(bytes) });
        let record = RoundRecord {
            run: network.run,
            round: 0,
            validator: hotkey,
            included: included.collect(),
            model_before: genesis.digest,
            model_after: genesis.digest,
        };
        apply(&network, &ports, genesis, &record, payloads).await.digest
    };
    let nothing = after(Vec::new()).await;
    let unsigned = vec![Bytes::new(), Bytes::from(vec![0; length]), Bytes::from(vec![1; length + 1])];
    assert_eq!(after(unsigned).await, nothing);
}

/// The first storm that breaks one of these, with a defect and without any.
fn found(defect: Defect, what: &[&str]) {
    let field = field();
    let storm = |seed| run(&field, seed, schedule::draw(&field.scenario, seed, false));
    let breaks = |outcome: &Outcome| outcome.broken.iter().any(|broken| what.contains(&broken.what));
    let outcome = planted::with(defect, || (0..SEEDS).map(storm).find(breaks));
    let outcome = outcome.unwrap_or_else(|| panic!("{defect:?} is not found by {SEEDS} storms"));
    println!("{defect:?}: seed {}: {}", outcome.seed, outcome.broken[0]);
    assert!(!breaks(&storm(outcome.seed)), "it breaks without the defect too");
}

const REPLICAS: &str = "honest replicas are those of the records";
const FOLLOW: &str = "records follow from one another";

#[test]
fn a_skipped_digest_is_found() {
    found(Defect::SkippedDigest, &[REPLICAS, FOLLOW]);
}

#[test]
fn a_replaced_record_is_found() {
    found(Defect::ReplacedRecord, &["one record a round", REPLICAS]);
}

#[test]
fn a_half_state_is_found() {
    found(Defect::HalfState, &["every node starts again"]);
}

#[test]
fn a_stale_state_taken_as_new_is_found() {
    found(Defect::StaleState, &[REPLICAS, FOLLOW, "no node is stuck"]);
}

#[test]
fn a_pay_that_does_not_sum_to_one_is_found() {
    found(Defect::DoublePay, &["pay sums to one"]);
}

#[test]
fn a_call_that_counts_when_it_is_seen_is_found() {
    found(Defect::LateCall, &["all honest nodes compute one ledger"]);
}

#[test]
fn a_body_that_is_read_past_its_end_is_found() {
    found(Defect::ShortBody, &["no panic"]);
}

#[test]
fn a_node_that_waits_for_a_full_disk_is_found() {
    found(Defect::FullDisk, &["no node is stuck"]);
}

#[test]
fn a_record_taken_for_ones_own_is_found() {
    found(Defect::UnreadRecord, &[REPLICAS, FOLLOW]);
}

#[test]
fn objects_that_pile_up_are_found() {
    found(Defect::NeverDeletes, &["memory is bounded"]);
}

/// After a void round a node may have the model of that round for a while, but no other.
#[test]
fn another_model_after_a_void_round_is_found() {
    found(Defect::VoidStep, &[REPLICAS]);
}

#[test]
fn a_checkpoint_put_half_is_found() {
    found(Defect::HalfCheckpoint, &["checkpoints are the models of the records"]);
}
