//! Storms over a small network, and the defects that they must find.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::fault::What;
use super::{Field, Outcome, onlooker, run, schedule};
use crate::Uid;
use crate::digest::Digest;
use crate::node::behaviour::Surroundings;
use crate::node::ports::Ports;
use crate::node::{Compute, apply, fetch_payloads};
use crate::planted::{self, Defect};
use crate::scenario::Scenario;
use crate::transport::record::{Included, RoundRecord};
use crate::transport::simulated::SimClock;
use crate::transport::wire::{self, Expected};
use crate::transport::{bundle, envelope, keys};

/// Seeds within which a planted defect must be found.
const SEEDS: u64 = 200;

fn field_with(set: &[String]) -> Field {
    let text = include_str!("../../scenarios/storm.toml");
    Field::open(Scenario::from_toml(text, "storm.toml", set).unwrap()).unwrap()
}

fn field() -> Field {
    field_with(&[])
}

#[test]
fn a_calm_network_breaks_nothing() {
    assert_eq!(run(&field(), 1, Vec::new()).broken, []);
}

#[test]
fn a_seed_repeats_a_storm() {
    let field = field();
    let storm = |seed| run(&field, seed, schedule::draw(&field.scenario, seed));
    let first = storm(3);
    assert_eq!(storm(3), first);
    assert_ne!(storm(4).digest, first.digest);
}

#[test]
fn dishonest_validators_hold_less_than_half_and_come_last() {
    let scenario = field().scenario;
    let total: f64 = scenario.validators.iter().map(|validator| validator.stake).sum();
    let (mut kinds, mut together) = (BTreeSet::new(), BTreeSet::new());
    for faults in (0..300).map(|seed| schedule::draw(&scenario, seed)) {
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
        let faults = schedule::draw(&scenario, seed);
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
    // The mechanism that the scenario had when these were found.
    let fields = [field(), field_with(&[r#"mechanism={kind="coverage",evaluated_per_round=2}"#.into()])];
    let mended: [(u64, &[usize]); 15] = [
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
        // The check, not the nodes, was wrong of these: a stamp was off, payloads of a late record were not looked for, and an
        // honest author had gone on from a record that its author replaced later.
        (49, &[15, 16]),
        (815, &[9, 18, 19]),
        (656, &[11, 15]),
        // The check did not know what records lead to from a checkpoint whose model follows from payloads that nobody has.
        (201_144_151_137_310, &[3, 8, 13, 14]),
        // Nor did it follow second records that nobody but their author had followed, until it put a checkpoint.
        (201_144_151_137_345, &[17, 23]),
        // A validator that lied about the model in every round made the others replay until there was nothing left to.
        (434, &[3, 6, 7, 12]),
        // A validator objected before it posted its weights in the same block, and who saw the one first never listed the other.
        (179_389_810_860_651, &[2, 4, 5, 16, 17]),
        // A validator that started over in a round audited the peers that it had drawn before, on its new model.
        (474, &[2, 14, 22]),
        (731, &[7, 20]),
    ];
    for (field, (seed, kept)) in fields.iter().flat_map(|field| mended.map(|storm| (field, storm))) {
        let mut faults = schedule::draw(&field.scenario, seed);
        faults.retain(|fault| kept.contains(&fault.index));
        assert_eq!(run(field, seed, faults).broken, [], "seed {seed}");
    }
}

/// All who follow a record leave out what its author had no right to include, and take the same step.
#[test]
fn payloads_that_no_peer_signed_move_nobodys_model() {
    let field = field();
    in_time(unsigned_payloads_move_nothing(&field));
}

/// Runs it on a paused clock.
fn in_time(what: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(what);
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

/// Nobody but the lead sees the upload, because it is in a bucket that others cannot read, or because its key was shown to
/// the lead only. They take the payload from the lead's bundle, and nothing but what the record names.
#[test]
fn what_only_the_lead_has_seen_is_in_its_bundle() {
    in_time(bundle_stands_in(&field(), false));
    in_time(bundle_stands_in(&field_with(&["protocol.sealed=true".into()]), true));
}

async fn bundle_stands_in(field: &Field, sealed: bool) {
    let (network, bucket) = (field.network(), Arc::new(InMemory::new()));
    let ports = onlooker::ports(field, bucket.clone(), SimClock::showing(0), Compute::in_place());
    let (lead, operator) =
        (field.scenario.validator_identity(0).hotkey(), field.scenario.each_operator().next().unwrap());
    let peer = field.scenario.all_identities(&operator).remove(0);
    let (hotkey, plain) = (peer.hotkey(), Bytes::from(vec![1; wire::encoded_len(network.form())]));
    if sealed {
        let of = Expected { run: network.run, round: 0, uid: 0, hotkey };
        let (envelope, _) = envelope::seal(&plain, &of, &peer);
        bucket.put(&keys::upload(&hotkey, 0), envelope.into()).await.unwrap();
    }
    let record = RoundRecord {
        run: network.run,
        round: 0,
        validator: lead,
        included: vec![Included { uid: 0, hotkey, payload: Digest::of(&plain) }],
        model_before: network.genesis.digest,
        model_after: network.genesis.digest,
    };
    assert_eq!(fetch_payloads(&network, &ports, &record, true).await, None, "there is no bundle yet");
    let another = Bytes::from(vec![2; plain.len()]);
    for (bundled, expected) in [(another, None), (plain.clone(), Some(vec![plain.clone()]))] {
        bucket.put(&keys::bundle(&lead, 0), bundle::encode(&[bundled]).into()).await.unwrap();
        assert_eq!(fetch_payloads(&network, &ports, &record, true).await, expected);
    }
}

/// An honest key comes when nobody's upload can count any more: not by a stamp that was rounded down, and not by a clock
/// that is a little ahead.
#[test]
fn a_key_waits_for_stamps_of_whole_seconds_and_for_clocks() {
    let field = field_with(&["protocol.sealed=true".into()]);
    let second = Duration::from_secs(1);
    in_time(async {
        let ports = onlooker::ports(&field, Arc::new(InMemory::new()), SimClock::showing(0), Compute::in_place());
        let ports = Ports { clock: ports.clock.clone().with_stamp_resolution(second), ..ports };
        let network = field.network();
        for round in 0..50 {
            let window = ports.clock.put_window(round);
            let (uids, own, expected) = (&[Some(0)][..], &[][..], 1);
            let around =
                Surroundings { network: &network, ports: &ports, uid: 0, slot: 0, uids, own, round, window, expected };
            assert!(around.reveal_spread() >= window.closes + second + Duration::from_millis(250));
            assert!(around.reveal_spread() < ports.clock.reveal_window(round).closes);
        }
    });
}

/// The first storm that breaks one of these, with a defect and without any.
fn found(defect: Defect, what: &[&str]) {
    let field = field();
    let storm = |seed| run(&field, seed, schedule::draw(&field.scenario, seed));
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
fn work_on_other_pages_is_found_by_audits() {
    found(Defect::EarlyPages, &["honest work comes out the same"]);
}

#[test]
fn a_checkpoint_put_half_is_found() {
    found(Defect::HalfCheckpoint, &["checkpoints are the models of the records"]);
}
