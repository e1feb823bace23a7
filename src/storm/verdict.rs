//! What must hold after a storm, whatever happened in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::join_all;
use object_store::ObjectStore;

use super::broken::Broken;
use super::course::{Course, dishonest};
use super::fault::{Fault, What};
use super::led::{Led, led};
use super::onlooker;
use super::schedule::calm_from;
use super::seat::End;
use crate::Uid;
use crate::chain::ChainView;
use crate::digest::Digest;
use crate::node::ports::Ports;
use crate::node::{Agreed, KEPT_UPLOADS, fetch_record, follow_record, get_checkpoint};
use crate::training::Replica;
use crate::transport::{Hotkey, keys};

/// Blocks after the storm in which unreadable calls are tried again, and every node sees all.
const SETTLE_BLOCKS: u64 = 192;
/// Times that nodes look at the chain meanwhile.
const LOOKS: u64 = 12;
/// Sums of shares may be off by their rounding.
const ROUNDING: f64 = 1e-9;
/// Objects that a life of a node may leave behind in its rounds, besides those that it keeps.
const LEFT_A_LIFE: usize = 8;

type Found = Vec<Broken>;

fn broken(what: &'static str, detail: String) -> Broken {
    Broken { what, detail }
}

/// Checks everything. The network stands still afterwards.
pub async fn check(course: &mut Course<'_>) -> Found {
    let mut found = ends(course);
    let onlooker = course.onlooker.clone().lock_owned().await;
    let records = &onlooker.records;
    let ports = reader(course);
    let chain = ports.chain.view().await;
    let void = chain.void_rounds();
    let dishonest = dishonest(course.field, &course.seats);
    let is_honest = |validator: &Hotkey| !dishonest.contains(validator);
    found.extend(records.broken(&*chain, &ports.clock, is_honest));
    let led = led(course, &onlooker, (&ports, &*chain), is_honest).await;
    found.extend(follow_from_one_another(course, &led, &void, is_honest));
    found.extend(models(course, &led));
    found.extend(pay_reported(course));
    found.extend(audits(course));
    found.extend(memory(course).await);
    found.extend(replay(course, &led, is_honest).await);
    found.extend(ledger(course).await);
    found
}

/// No node panics, refuses to start, or is stuck.
fn ends(course: &Course<'_>) -> Found {
    let told = course.watch.told();
    let mut found = Vec::new();
    for (node, seat) in course.seats.iter().enumerate() {
        found.extend(seat.wrong_ends.iter().filter_map(|end| match end {
            End::Panicked(why) => Some(broken("no panic", format!("node {node}: {why}"))),
            End::Refused(why) => Some(broken("every node starts again", format!("node {node}: {why}"))),
            End::Killed | End::Finished => None,
        }));
        if seat.is_honest && seat.wrong_ends.is_empty() && seat.end != Some(End::Finished) {
            let round = told.begun.get(&node).copied().unwrap_or(0);
            let detail = format!("node {node} has begun round {round}, and does not come to its end");
            found.push(broken("no node is stuck", detail));
        }
    }
    found
}

/// Every round is decided once, by a validator. An honest one decides about a model that it may have had, and names the one
/// that its payloads lead to.
fn follow_from_one_another(course: &Course<'_>, led: &Led, void: &[u64], is_honest: impl Fn(&Hotkey) -> bool) -> Found {
    let mut found = Vec::new();
    for round in (0..course.field.scenario.rounds).filter(|round| !void.contains(round)) {
        let Some(record) = led.counts.get(&round) else {
            found.push(broken("one record a round", format!("round {round} has none")));
            return found;
        };
        if is_honest(&record.validator) && !led.follows(record) {
            let (before, after) = (led.agreed[round as usize], led.agreed[round as usize + 1]);
            let (is_about, names) = (record.model_before, record.model_after);
            let detail = format!("round {round} leads from {before} to {after}, its record from {is_about} to {names}");
            found.push(broken("records follow from one another", detail));
        }
    }
    found
}

/// Every model of an honest node is one that the records lead to.
fn models(course: &Course<'_>, led: &Led) -> Found {
    let told = course.watch.told();
    let last = led.counts.last_key_value().map_or(0, |(round, _)| *round);
    let mut found = Vec::new();
    for (node, models) in told.models.iter().enumerate().filter(|(node, _)| course.seats[*node].is_honest) {
        for (at_ms, round, model) in models {
            if !led.allows(*round, model) {
                let detail = format!("node {node} had {model} before round {round}, at {:.3} s", *at_ms as f64 / 1e3);
                found.push(broken("honest replicas are those of the records", detail));
            }
        }
        // Who has seen the end of the calm must have the last models. Void rounds make none.
        let newest = models.iter().map(|(_, round, _)| *round).max().unwrap_or(0);
        if newest + 1 < last {
            let detail = format!("node {node} has no model after that of round {newest}");
            found.push(broken("no node is stuck", detail));
        }
    }
    found
}

/// Shares of a round's pay that validators report are at most the whole.
fn pay_reported(course: &Course<'_>) -> Found {
    let told = course.watch.told();
    let wrong = told.pay.iter().filter(|(node, _, _)| course.seats[*node].is_honest);
    let wrong = wrong.filter(|(_, _, sum)| !(sum.is_finite() && *sum <= 1.0 + ROUNDING && *sum >= 0.0));
    wrong.map(|(node, round, sum)| broken("pay sums to one", format!("node {node}, round {round}: {sum}"))).collect()
}

/// What an honest peer has uploaded comes out when an honest validator does its work again.
fn audits(course: &Course<'_>) -> Found {
    let told = course.watch.told();
    let field = course.field;
    let honest = (0..course.seats.len()).filter(|node| course.seats[*node].is_honest);
    let identities = honest.flat_map(|node| field.plan(node, &course.weather.faults).identities);
    let honest: BTreeSet<Hotkey> = identities.map(|identity| identity.hotkey()).collect();
    let wrong = told.differs.iter().filter(|(node, _, peer)| course.seats[*node].is_honest && honest.contains(peer));
    let detail = |(node, round, peer): &(usize, u64, Hotkey)| format!("node {node}, round {round}: {peer}");
    wrong.map(|wrong| broken("honest work comes out the same", detail(wrong))).collect()
}

/// No node lets objects pile up.
async fn memory(course: &Course<'_>) -> Found {
    let mut found = Vec::new();
    let training = &course.field.scenario.training;
    for node in 0..course.seats.len() {
        let lives = course.weather.faults.iter();
        let ends = |fault: &&Fault| match &fault.what {
            What::Kill { node: of, .. } => *of == node,
            What::KillTogether { nodes } => nodes.has(node),
            _ => false,
        };
        let lives = 1 + lives.filter(ends).count();
        let plan = course.field.plan(node, &course.weather.faults);
        let is_validator = node < course.field.scenario.validators.len();
        let kept = if is_validator {
            (training.kept_rounds() + 2 * training.checkpoint_every) as usize
                + course.field.scenario.rounds as usize / 2
        } else {
            KEPT_UPLOADS as usize + 2
        };
        let most = plan.identities.len() * (kept + LEFT_A_LIFE * lives);
        let mut objects = 0;
        for identity in &plan.identities {
            objects += course.objects(&keys::rounds(&identity.hotkey())).await.1;
        }
        if objects > most && course.seats[node].is_honest {
            let detail =
                format!("node {node} has {objects} objects of its rounds in the bucket, {most} at most are expected");
            found.push(broken("memory is bounded", detail));
        }
    }
    found
}

/// Somebody who comes after the storm gets every model from the bucket. From rounds that a dishonest validator has decided
/// nobody may be able to go on, and has to take the next checkpoint.
async fn replay(course: &Course<'_>, led: &Led, is_honest: impl Fn(&Hotkey) -> bool) -> Found {
    let ports = reader(course);
    let network = course.networks.last().expect("of whoever comes after");
    let rounds = course.field.scenario.rounds;
    let void = ports.chain.view().await.void_rounds();
    let mut found = Vec::new();
    let mut starts: BTreeMap<u64, Arc<Replica>> = BTreeMap::new();
    if fetch_record(network, &ports, 0).await.is_some() {
        starts.insert(0, network.genesis.clone());
    }
    let parameters = network.core.layout.total();
    for (validator, _) in &course.field.run.genesis.validators {
        let listed = ports.bucket.list(Some(&keys::checkpoints(validator))).try_collect::<Vec<_>>().await;
        for at in listed.unwrap_or_default().iter().filter_map(|meta| keys::number(&meta.location)) {
            let Some(before) = at.checked_sub(1) else { continue };
            // Without its record nobody takes it. That of a void round does not count.
            if void.contains(&before) {
                continue;
            }
            let Some(record) = fetch_record(network, &ports, before).await else { continue };
            let key = keys::checkpoint(validator, at);
            match get_checkpoint(&ports.bucket, &key, &network.run, parameters, (at, record.model_after)).await {
                Some(read) => drop(starts.entry(at).or_insert_with(|| network.core.replica(read.theta))),
                None if !(is_honest(validator) && is_honest(&record.validator)) => {}
                None => found.push(broken("checkpoints are the models of the records", key.to_string())),
            }
        }
    }
    let Some((&first, start)) = starts.first_key_value() else {
        found.push(broken("every agreed round can be replayed", "there is nothing to begin with".into()));
        return found;
    };
    // Older rounds are removed once a checkpoint stands for them.
    let kept_from = rounds.saturating_sub(course.field.scenario.training.kept_rounds());
    let is_needed = |round: u64| {
        let is_sound = led.counts.get(&round).is_none_or(|record| is_honest(&record.validator));
        is_sound && (round >= kept_from || starts.range(round + 1..).next().is_none())
    };
    let mut replica = Some(start.clone());
    let agreed = Agreed::default();
    for round in first..rounds {
        replica = starts.get(&round).cloned().or(replica);
        if void.contains(&round) {
            continue;
        }
        let Some(before) = replica.take() else { continue };
        let lost = match fetch_record(network, &ports, round).await {
            None => "has no record".to_string(),
            Some(record) => {
                let mut followed = follow_record(network, &ports, (&before, &agreed), &record, false).await;
                if followed.is_none() {
                    followed = follow_record(network, &ports, (&before, &agreed), &record, true).await;
                }
                match followed.map(|followed| followed.replica) {
                    None => "has no payloads".to_string(),
                    Some(after) if led.agreed.get(round as usize + 1) == Some(&after.digest) => {
                        replica = Some(after);
                        continue;
                    }
                    Some(_) if !is_honest(&record.validator) => "has another record".to_string(),
                    Some(after) => {
                        let detail = format!("round {round} leads to {}, not {}", after.digest, record.model_after);
                        found.push(broken("every agreed round can be replayed", detail));
                        return found;
                    }
                }
            }
        };
        if is_needed(round) {
            found.push(broken("every agreed round can be replayed", format!("round {round} {lost}")));
        }
    }
    found
}

/// Ports of somebody who comes after the storm, and only reads.
fn reader(course: &Course<'_>) -> Ports {
    onlooker::ports(course.field, Arc::new(course.reader()), course.clock, course.compute.clone())
}

/// What a node sees of the chain.
#[derive(Debug, PartialEq)]
struct Books {
    peers: Vec<(Uid, Hotkey)>,
    incentives: Vec<(Uid, u64)>,
    validators: Vec<(Hotkey, u64)>,
}

impl Books {
    fn of(view: &dyn ChainView) -> Self {
        let peers: Vec<_> = view.peers().into_iter().map(|(uid, hotkey)| (uid, Hotkey(hotkey))).collect();
        Self {
            incentives: peers.iter().map(|(uid, _)| (*uid, view.incentive(*uid).to_bits())).collect(),
            peers,
            validators: view.validators().into_iter().map(|(key, stake)| (Hotkey(key), stake.to_bits())).collect(),
        }
    }
}

/// All honest nodes compute the same ledger, which pays one a round.
async fn ledger(course: &Course<'_>) -> Found {
    let reader = reader(course);
    let settings = &course.field.scenario.chain;
    let chain = onlooker::chain(course.field, &reader.bucket, &reader.clock);
    let honest = course.seats.iter().enumerate().filter(|(_, seat)| seat.is_honest);
    let honest: Vec<(usize, Ports)> =
        honest.filter_map(|(node, seat)| Some((node, seat.ports.first()?.clone()))).collect();
    let mut views = Vec::new();
    for _ in 0..LOOKS {
        let block = reader.clock.block();
        let next = settings.block_seconds * (block + SETTLE_BLOCKS / LOOKS) as f64 + settings.block_seconds / 4.0;
        course.clock.sleep_until_ms((next * 1e3) as u64).await;
        views = join_all(honest.iter().map(async |(node, ports)| (*node, Books::of(&*ports.chain.view().await)))).await;
    }
    let state = chain.state().await;
    let expected = Books::of(&*state);
    let mut found = Vec::new();
    for (node, books) in views {
        if books != expected {
            let differ = books.incentives.iter().zip(&expected.incentives).filter(|(a, b)| a != b).count();
            let detail = format!("node {node} computes another; {differ} incentives differ");
            found.push(broken("all honest nodes compute one ledger", detail));
        }
    }
    let incentives = state.incentives.values().sum::<f64>() + state.to_nobody;
    let is_settled = settings.slots >= course.field.scenario.peers_total();
    let is_one = (incentives - 1.0).abs() < ROUNDING || incentives == 0.0;
    if !(is_one || !is_settled && (0.0..=1.0 + ROUNDING).contains(&incentives)) {
        found.push(broken("pay sums to one", format!("incentives sum to {incentives}")));
    }
    let paid = state.paid_hotkeys.values().sum::<f64>() + state.unpaid;
    let rounds = (state.block / settings.blocks_per_round) as f64;
    if (paid - rounds).abs() > ROUNDING * (1.0 + rounds) {
        found.push(broken("pay sums to one", format!("{paid} was paid or kept in {rounds} rounds")));
    }
    let weights = state.validators.iter().filter_map(|validator| validator.posted.as_ref());
    let calm_block = calm_from(&course.field.scenario) as f64 / 1e3 / settings.block_seconds;
    if !weights.into_iter().any(|posted| posted.block as f64 >= calm_block) {
        found.push(broken("no node is stuck", "no validator has posted weights since the faults ended".into()));
    }
    found
}

/// A digest of all that the nodes told, and of the last model.
pub fn digest(course: &Course<'_>) -> Digest {
    let told = course.watch.told();
    let onlooker = course.onlooker.try_lock().expect("nobody looks any more");
    let last = course.field.scenario.rounds.checked_sub(1).and_then(|last| onlooker.records.of(last));
    let last = last.map_or(Digest::of(b""), |record| record.model_after);
    Digest::of_parts(told.traces.iter().chain([&last]).map(|digest| &digest.0[..]))
}
