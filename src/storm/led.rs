//! The models that the records lead to. The onlooker computes them from the payloads, whatever a record says of itself: its
//! author may lie.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::checkpoints::Checkpoints;
use super::course::Course;
use super::onlooker::Onlooker;
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
    /// Whether the honest author of a record may have written it: about the model that the rounds before left, or about one
    /// that a node may have had instead.
    pub fn follows(&self, record: &RoundRecord) -> bool {
        let (before, after) = (record.round, record.round + 1);
        if self.agreed.get(before as usize) == Some(&record.model_before) {
            return self.agreed.get(after as usize) == Some(&record.model_after);
        }
        self.allows(before, &record.model_before.to_string()) && self.allows(after, &record.model_after.to_string())
    }

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
    checkpoints: &'a Checkpoints,
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

/// A model that nodes may have before a round.
struct Branch {
    model: Digest,
    /// The place of the model before, among those of the round before.
    from: usize,
    /// The record that leads here, unless the round is void.
    by: Option<RoundRecord>,
}

/// The models that nodes told of.
struct Told {
    /// By any node: the round, and the model before it.
    all: BTreeSet<(u64, String)>,
    /// By how many honest nodes.
    honest: BTreeMap<(u64, String), usize>,
}

impl Told {
    fn counts(&self, round: u64, model: &Digest) -> usize {
        self.honest.get(&(round, model.to_string())).copied().unwrap_or(0)
    }
}

fn told(course: &Course<'_>) -> Told {
    let told = course.watch.told();
    let (mut all, mut honest) = (BTreeSet::new(), BTreeMap::new());
    for (models, seat) in told.models.iter().zip(&course.seats) {
        let of_node: BTreeSet<(u64, String)> = models.iter().map(|(_, round, model)| (*round, model.clone())).collect();
        if seat.is_honest {
            of_node.iter().for_each(|told| *honest.entry(told.clone()).or_default() += 1);
        }
        all.extend(of_node);
    }
    Told { all, honest }
}

/// The line that ends where most honest nodes are: its models, and its records.
fn walk_back(line: &[Vec<Branch>], told: &Told) -> (Vec<Digest>, BTreeMap<u64, RoundRecord>) {
    let (last, ends) = (line.len() as u64 - 1, line.last().expect("genesis at least"));
    // The first of equals: most likely what its author put first.
    let most = |at: &usize| (told.counts(last, &ends[*at].model), std::cmp::Reverse(*at));
    let mut at = (0..ends.len()).max_by_key(most).unwrap_or(0);
    let (mut agreed, mut counts) = (Vec::new(), BTreeMap::new());
    for (round, branches) in line.iter().enumerate().rev() {
        let branch = &branches[at];
        agreed.push(branch.model);
        if let Some(record) = &branch.by {
            counts.insert(round as u64 - 1, record.clone());
        }
        at = branch.from;
    }
    agreed.reverse();
    (agreed, counts)
}

/// What the records of a storm lead to, and which other models nodes may have had for a while.
///
/// Those are the models that some record in the bucket led to from a model that a node had: of a void round, whose step
/// nodes take back when they learn of it, and of a round in which a dishonest validator has written another one.
pub async fn led(
    course: &Course<'_>,
    Onlooker { records, checkpoints, .. }: &Onlooker,
    (ports, chain): (&Ports, &dyn ChainView),
    is_honest: impl Fn(&Hotkey) -> bool,
) -> Led {
    let network = course.networks.last().expect("of whoever comes after");
    let genesis = network.genesis.clone();
    // Nodes may go on from a checkpoint whose model nobody else can compute.
    let replicas = checkpoints.models().chain([(genesis.digest, genesis)]).collect();
    let mut steps = Steps { records, checkpoints, network, ports, replicas };
    let void = chain.void_rounds();
    let rounds = course.field.scenario.rounds;

    let told = told(course);
    let mut line = vec![vec![Branch { model: network.genesis.digest, from: 0, by: None }]];
    for round in (0..rounds).take_while(|round| void.contains(round) || !records.all_of(*round).is_empty()) {
        let before = line[round as usize].iter().map(|of| of.model).enumerate();
        if void.contains(&round) {
            line.push(before.map(|(from, model)| Branch { model, from, by: None }).collect());
            continue;
        }
        let all = records.all_of(round);
        let in_turn = all.iter().filter(|seen| records.is_in_turn(seen, &void, chain, &ports.clock));
        let mut in_turn: Vec<&Seen> = in_turn.collect();
        if in_turn.is_empty() {
            in_turn.extend(all.last());
        }
        let mut after: Vec<Branch> = Vec::new();
        for (from, model) in before {
            for seen in &in_turn {
                let model = steps.step(&model, seen).await.unwrap_or(seen.record.model_after);
                let is_known = after.iter().any(|branch| branch.model == model);
                // A branch on which nobody is leads nowhere. Where only a dishonest validator is, others may follow it later, by
                // its checkpoint.
                if after.is_empty() || !is_known && told.all.contains(&(round + 1, model.to_string())) {
                    after.push(Branch { model, from, by: Some(seen.record.clone()) });
                }
            }
        }
        line.push(after);
    }
    let (agreed, counts) = walk_back(&line, &told);

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
    let aside = aside((&told, &mut steps), &agreed, (&void, &excused), is_honest).await;
    Led { agreed, counts, aside, excused }
}

/// The models beside the agreed ones that nodes told of, as far as records led there.
async fn aside(
    (told, steps): (&Told, &mut Steps<'_>),
    agreed: &[Digest],
    (void, excused): (&[u64], &BTreeSet<u64>),
    is_honest: impl Fn(&Hotkey) -> bool,
) -> BTreeMap<u64, BTreeSet<Digest>> {
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
            // Its author may have put a checkpoint of the model that it names, and its record vouches for that.
            let named = seen.record.model_after;
            if !is_honest(&seen.record.validator)
                && steps.checkpoints.has(round, &named)
                && told.all.contains(&(round, named.to_string()))
            {
                aside.entry(round).or_default().insert(named);
            }
            for model in &from {
                let Some(after) = steps.step(model, seen).await else { continue };
                if told.all.contains(&(round, after.to_string())) {
                    aside.entry(round).or_default().insert(after);
                }
            }
        }
    }
    aside
}
