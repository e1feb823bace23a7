//! The models that the records lead to. The onlooker computes them from the payloads, whatever a record says of itself: its
//! author may lie.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::course::Course;
use super::records::{Records, Seen};
use crate::chain::ChainView;
use crate::digest::Digest;
use crate::node::ports::Ports;
use crate::node::{Network, apply};
use crate::training::Replica;
use crate::transport::Hotkey;
use crate::transport::record::RoundRecord;

/// Rounds for which a node may not know that a round is void, or that others follow another record: as long as a fault
/// lasts, and one more.
const UNAWARE_ROUNDS: u64 = 6;

/// Models before each round.
pub struct Led {
    /// The agreed ones, up to the first round without a record.
    pub agreed: Vec<Digest>,
    /// The record that counts, of each round that is not void.
    pub counts: BTreeMap<u64, RoundRecord>,
    /// Those that nodes may have had beside them: some record that lay in the bucket led there.
    aside: BTreeMap<u64, BTreeSet<Digest>>,
    /// Rounds in which a node may have had one of those.
    excused: BTreeSet<u64>,
}

impl Led {
    /// Whether a node that does what it should may have had this model before a round.
    pub fn allows(&self, round: u64, model: &str) -> bool {
        let is_agreed = self.agreed.get(round as usize).is_some_and(|agreed| agreed.to_string() == model);
        let is_aside = || self.aside.get(&round).is_some_and(|aside| aside.iter().any(|of| of.to_string() == model));
        is_agreed || self.excused.contains(&round) && is_aside()
    }
}

/// Computes models from the records.
struct Steps<'a> {
    records: &'a Records,
    network: &'a Arc<Network>,
    ports: &'a Ports,
    replicas: BTreeMap<Digest, Arc<Replica>>,
}

impl Steps<'_> {
    /// The model that a record leads to; `None` if its payloads could never be had.
    async fn step(&mut self, from: &Digest, seen: &Seen) -> Option<Digest> {
        let (replica, payloads) = (self.replicas.get(from)?.clone(), seen.payloads.clone()?);
        let after = apply(self.network, self.ports, &replica, &seen.record, payloads).await;
        let digest = after.digest;
        self.replicas.insert(digest, after);
        Some(digest)
    }
}

/// What the records of a storm lead to, and which other models nodes may have had for a while.
///
/// Those are the models that some record in the bucket led to from a model that a node had: of a void round, whose step
/// nodes take back when they learn of it, and of a round in which a dishonest validator has written another one.
pub async fn led(
    course: &Course<'_>,
    records: &Records,
    (ports, chain): (&Ports, &dyn ChainView),
    is_honest: impl Fn(&Hotkey) -> bool,
) -> Led {
    let network = course.networks.last().expect("of whoever comes after");
    let genesis = network.genesis.clone();
    let replicas = BTreeMap::from([(genesis.digest, genesis)]);
    let mut steps = Steps { records, network, ports, replicas };
    let void = chain.void_rounds();
    let rounds = course.field.scenario.rounds;

    let in_turn = |round: u64| {
        let all = records.all_of(round);
        let in_turn = all.iter().filter(|seen| records.is_in_turn(seen, &void, chain, &ports.clock));
        let in_turn: Vec<&Seen> = in_turn.collect();
        if in_turn.is_empty() { all.last().into_iter().collect() } else { in_turn }
    };
    let (mut agreed, mut counts) = (vec![network.genesis.digest], BTreeMap::new());
    for round in 0..rounds {
        let before = agreed[round as usize];
        if void.contains(&round) {
            agreed.push(before);
            continue;
        }
        // If its author has replaced it, the one counts on which the next record is built.
        let next = (round + 1..rounds).find(|next| !void.contains(next)).map(in_turn).unwrap_or_default();
        let mut counting = None;
        for seen in in_turn(round) {
            let after = steps.step(&before, seen).await.unwrap_or(seen.record.model_after);
            let goes_on = next.iter().any(|next| next.record.model_before == after);
            if counting.is_none() || goes_on {
                counting = Some((seen, after));
                if goes_on {
                    break;
                }
            }
        }
        let Some((seen, after)) = counting else { break };
        counts.insert(round, seen.record.clone());
        agreed.push(after);
    }

    let mut excused = BTreeSet::new();
    let late = UNAWARE_ROUNDS + course.field.scenario.training.checkpoint_every;
    for round in 0..rounds {
        let is_other = |seen: &Seen| Some(&seen.record) != counts.get(&round) && !is_honest(&seen.record.validator);
        if void.contains(&round) {
            excused.extend(round + 1..=round + UNAWARE_ROUNDS);
        } else if records.all_of(round).iter().any(is_other) {
            excused.extend(round + 1..=round + late);
        }
    }
    let aside = aside(course, &mut steps, &agreed, (&void, &excused)).await;
    Led { agreed, counts, aside, excused }
}

/// The models beside the agreed ones that nodes told of, as far as records led there.
async fn aside(
    course: &Course<'_>,
    steps: &mut Steps<'_>,
    agreed: &[Digest],
    (void, excused): (&[u64], &BTreeSet<u64>),
) -> BTreeMap<u64, BTreeSet<Digest>> {
    let mut told: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for (_, round, model) in course.watch.told().models.iter().flatten() {
        told.entry(*round).or_default().insert(model.clone());
    }
    let (records, mut aside) = (steps.records, BTreeMap::<u64, BTreeSet<Digest>>::new());
    for round in excused.iter().copied() {
        let before = round - 1;
        let mut from = aside.get(&before).cloned().unwrap_or_default();
        // A void round leaves every model as it is.
        if void.contains(&before) {
            aside.entry(round).or_default().extend(from.iter().copied());
        }
        from.extend(agreed.get(before as usize));
        for seen in records.all_of(before) {
            for model in &from {
                let Some(after) = steps.step(model, seen).await else { continue };
                if told.get(&round).is_some_and(|told| told.contains(&after.to_string())) {
                    aside.entry(round).or_default().insert(after);
                }
            }
        }
    }
    aside
}
