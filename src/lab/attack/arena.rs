//! The networks of a search: a scenario's honest peers, and players that follow a strategy.

use toml::Value;

use super::space::{Conditions, Space, Strategy};
use crate::corpus::CorpusSettings;
use crate::lab::figures::{Figures, HONEST, PeerFigures};
use crate::lab::honest::keep_honest;
use crate::model::ModelSettings;
use crate::scenario::{OperatorGroup, PeerGroup, Scenario, ScenarioError};
use crate::settings::Kinded;

/// Players in a network, if each has one slot.
pub const PLAYERS: usize = 4;
/// Most honest peers in a network of the first stage.
const MOST_HONEST: usize = 16;
/// Most rounds of a network of the first stage.
const MOST_ROUNDS: u64 = 30;
/// Most pages per peer and round in the first stage.
const MOST_PAGES: usize = 4;
/// The lowest pay by which a player's pay is divided, as a part of an equal share.
const LEAST_PAY: f64 = 0.01;
/// Name of the operator of several slots.
const RING: &str = "ring";

/// How large the networks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The smallest model on synthetic text for a few rounds, with the scenario's mechanism, scheme and protocol.
    Cheap,
    /// The scenario as it is.
    Whole,
}

/// Who plays the strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Played {
    /// A few players beside the honest peers.
    BySome,
    /// All peers of a network of the same size.
    ByAll,
    /// Nobody: more honest peers take the players' places, so the network keeps its size.
    ByNone,
}

/// Makes the networks of a search.
pub struct Arena {
    /// The scenario with its honest peers alone.
    honest: Scenario,
    pub space: Space,
}

/// What a strategy earned in a network, and what it cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Pay of the mean slot that plays the strategy, relative to a mean honest peer.
    pub pay: f64,
    /// Tokens that this slot trained on, relative to a mean honest peer.
    pub work: f64,
}

impl Arena {
    /// Takes the honest peers of a scenario; `None` if it has none.
    pub fn new(scenario: &Scenario) -> Option<Self> {
        let mut honest = scenario.clone();
        keep_honest(&mut honest);
        // Strategies are measured by single honest peers, so an honest operator of several slots has no part in it.
        honest.operators.clear();
        honest.peers.iter_mut().for_each(|group| group.inner_steps = None);
        if honest.peers.is_empty() {
            return None;
        }
        let bins = scenario.mechanism.settings.get("bins").and_then(|bins| bins.as_integer());
        let (audits, most_pages) = (scenario.judge().audits(), scenario.protocol.most_pages);
        let space = Space::new(Conditions { bins: bins.map(|bins| bins as u64), audits, most_pages });
        Some(Self { honest, space })
    }

    /// The scenario of a network.
    ///
    /// # Errors
    /// The scenario does not allow the peers of the search.
    pub fn network(
        &self,
        stage: Stage,
        strategy: &Strategy,
        played: Played,
        seed: u64,
    ) -> Result<Scenario, ScenarioError> {
        let mut network = self.honest.clone();
        network.seed = seed;
        if stage == Stage::Cheap {
            cheapen(&mut network);
        }
        if played != Played::ByNone {
            self.add(&mut network, strategy, played);
        } else {
            let like = network.peers[0].clone();
            network.peers.push(PeerGroup { count: PLAYERS, joins: 0, leaves: None, ..like });
            make_room(&mut network);
        }
        network.summary = String::new();
        // The scenario is parsed again, so that the added peers pass the same checks as written ones.
        Scenario::from_toml_with(self.honest.registry.clone(), &network.to_toml(), &network.name, &[])
    }

    /// Adds the players.
    fn add(&self, network: &mut Scenario, strategy: &Strategy, played: Played) {
        let behaviour = Kinded { kind: Some("strategy".into()), settings: self.space.settings(strategy) };
        let like = network.peers[0].clone();
        let uids = self.space.slots(strategy);
        let players = match played {
            Played::ByAll => network.peers.iter().map(|group| group.count).sum::<usize>() + PLAYERS,
            _ if uids > 1 => uids,
            _ => PLAYERS,
        };
        if played == Played::ByAll {
            network.peers.clear();
        }
        if uids > 1 {
            let ring = OperatorGroup {
                name: Some(RING.into()),
                count: (players / uids).max(1),
                uids,
                behaviour,
                inner_steps: None,
                hardware: like.hardware,
                link: like.link,
                joins: 0,
                leaves: None,
            };
            network.operators.push(ring);
        } else {
            network.peers.push(PeerGroup { count: players, behaviour, joins: 0, leaves: None, ..like });
        }
        make_room(network);
    }

    /// What a strategy earned in a network where some play it.
    pub fn trial(&self, figures: &Figures) -> Trial {
        let (honest, players): (Vec<_>, Vec<_>) = figures.peers.iter().partition(|peer| peer.behaviour == HONEST);
        let pay = |peers: &[&PeerFigures]| mean(peers, |peer| peer.pay);
        let tokens = |peers: &[&PeerFigures]| mean(peers, |peer| peer.tokens.map_or(0.0, |tokens| tokens as f64));
        // If honest peers earn almost nothing, dividing by their pay would measure only how little they earn.
        let least = LEAST_PAY / figures.peers.len() as f64;
        Trial { pay: pay(&players) / pay(&honest).max(least), work: tokens(&players) / tokens(&honest).max(1.0) }
    }
}

fn mean(peers: &[&PeerFigures], of: impl Fn(&PeerFigures) -> f64) -> f64 {
    peers.iter().map(|peer| of(peer)).sum::<f64>() / peers.len().max(1) as f64
}

/// Shrinks the largest group of peers until all peers fit into the chain's slots.
fn make_room(network: &mut Scenario) {
    let excess = network.peers_total().saturating_sub(network.chain.slots);
    if let Some(largest) = network.peers.iter_mut().max_by_key(|group| group.count) {
        largest.count = largest.count.saturating_sub(excess).max(1);
    }
}

/// Makes a network small. The mechanism and the peers' behaviours stay.
fn cheapen(network: &mut Scenario) {
    let shorter = network.rounds as f64 / network.rounds.min(MOST_ROUNDS) as f64;
    network.rounds = network.rounds.min(MOST_ROUNDS);
    network.model = ModelSettings { preset: "nano".into(), sequence_length: Some(64), ..ModelSettings::default() };
    network.corpus = CorpusSettings { held_out_pages: 8, ..CorpusSettings::default() };
    let training = &mut network.training;
    training.pages_per_round = training.pages_per_round.min(MOST_PAGES);
    training.micro_batch = training.micro_batch.min(training.pages_per_round);
    training.warmup_rounds = training.warmup_rounds.min(5);
    training.schedule_rounds = None;
    training.eval_every = network.rounds;
    network.chain.weights_every = network.chain.weights_every.min(2);

    let settings = &mut network.scheme.settings;
    // Chunks of the smallest model hold a quarter as many values, so a quarter of `topk` sends the same part.
    if let Some(Value::Integer(topk)) = settings.get_mut("topk") {
        *topk = (*topk / 4).max(1);
    }
    // A peer takes at most one step per page. The scheme's default then follows from the number of pages.
    if settings
        .get("inner_steps")
        .and_then(Value::as_integer)
        .is_some_and(|steps| steps > training.pages_per_round as i64)
    {
        settings.remove("inner_steps");
    }
    let settings = &mut network.mechanism.settings;
    if let Some(Value::Float(fraction)) = settings.get_mut("evaluated_fraction") {
        *fraction = fraction.max(1.0 / training.pages_per_round as f64);
    }
    let before: usize = network.peers.iter().map(|group| group.count).sum();
    if before > MOST_HONEST {
        network.peers.iter_mut().for_each(|group| group.count = (group.count * MOST_HONEST / before).max(1));
        let now: usize = network.peers.iter().map(|group| group.count).sum();
        let top = network.protocol.top_peers * (now + PLAYERS);
        network.protocol.top_peers = top.div_ceil(before + PLAYERS).max(1);
        network.protocol.min_peers = network.protocol.min_peers.min(network.protocol.top_peers);
    }

    // A mechanism that learns slowly checks each peer as often as in the whole network, but at most once in a round. Where
    // peers have turns, their part of each round stays, because some strategies foresee it.
    let now = network.peers.iter().map(|group| group.count).sum::<usize>() + PLAYERS;
    let fewer = now as f64 / (before + PLAYERS) as f64;
    let settings = &mut network.mechanism.settings;
    let has_turns = settings.contains_key("bins");
    if let Some(Value::Integer(evaluated)) = settings.get_mut("evaluated_per_round").filter(|_| !has_turns) {
        *evaluated = ((*evaluated as f64 * shorter * fewer).round() as i64).clamp(1, now as i64);
    }
    if let Some(Value::Float(audited)) = settings.get_mut("audited_per_round") {
        *audited = (*audited * shorter * fewer).min(now as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::space::CARTEL;
    use super::*;
    use crate::random::rng;
    use crate::scenario::{load, shipped};

    fn arena(name: &str) -> Arena {
        Arena::new(&load(name, &[]).unwrap()).unwrap()
    }

    #[test]
    fn every_shipped_scenario_has_its_networks() {
        for shipped in shipped() {
            let arena = arena(shipped.name);
            let mut rng = rng(1, "arena test", 0, 0);
            for strategy in (0..10).map(|_| arena.space.drawn(&mut rng)).chain([arena.space.honest()]) {
                for played in [Played::BySome, Played::ByAll, Played::ByNone] {
                    let cheap = arena.network(Stage::Cheap, &strategy, played, 3);
                    let cheap = cheap.unwrap_or_else(|error| panic!("{}, {strategy:?}: {error}", shipped.name));
                    assert!(cheap.peers_total() <= MOST_HONEST + 2 * CARTEL && cheap.rounds <= MOST_ROUNDS);
                    match arena.network(Stage::Whole, &strategy, played, 3).map_err(|error| error.to_string()) {
                        // Peers of a long run cannot all register again all the time.
                        Err(error) if played == Played::ByAll && error.contains("leave less often") => {}
                        whole => drop(whole.unwrap_or_else(|error| panic!("{}, {strategy:?}: {error}", shipped.name))),
                    }
                }
            }
        }
    }

    #[test]
    fn where_peers_say_what_they_do_a_strategy_may_lie() {
        let asked = load("averaging", &["protocol.most_pages=2".into()]).unwrap();
        let arena = Arena::new(&asked).unwrap();
        let mut rng = rng(2, "arena test", 0, 0);
        let mut said = String::new();
        for strategy in (0..20).map(|_| arena.space.drawn(&mut rng)) {
            for stage in [Stage::Cheap, Stage::Whole] {
                let network = arena.network(stage, &strategy, Played::BySome, 3);
                network.unwrap_or_else(|error| panic!("{}: {error}", arena.space.words(&strategy)));
            }
            said += &arena.space.words(&strategy);
        }
        assert!(["says = 2.0", "extra = 1.0", "layers = 0.05"].iter().all(|part| said.contains(part)), "{said}");
    }

    #[test]
    fn small_networks_check_each_peer_as_often_unless_peers_have_turns() {
        let evaluated = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|setting| (*setting).into()).collect();
            let arena = Arena::new(&load("averaging", &settings).unwrap()).unwrap();
            let network = arena.network(Stage::Cheap, &arena.space.honest(), Played::BySome, 1).unwrap();
            network.mechanism.settings["evaluated_per_round"].as_integer()
        };
        assert_eq!(evaluated(&[]), Some(6));
        assert_eq!(evaluated(&["mechanism=coverage", "mechanism.evaluated_per_round=2"]), Some(10));
        assert_eq!(evaluated(&["mechanism=coverage", "mechanism.evaluated_per_round=6"]), Some(16));
        let large = ["mechanism=coverage", "mechanism.evaluated_per_round=6", "peers.0.count=76", "rounds=60"];
        assert_eq!(
            evaluated(&large),
            Some(3),
            "60 rounds of 80 peers are as many checks a peer as 30 rounds of 20 with 3"
        );
    }

    /// Otherwise nobody would be paid in so few rounds.
    #[test]
    fn small_networks_audit_each_peer_as_often() {
        let audited = |settings: &[&str]| {
            let settings = ["mechanism=audit"].iter().chain(settings);
            let settings: Vec<String> = settings.map(|setting| (*setting).into()).collect();
            let arena = Arena::new(&load("averaging", &settings).unwrap()).unwrap();
            let network = arena.network(Stage::Cheap, &arena.space.honest(), Played::BySome, 1).unwrap();
            network.mechanism.settings["audited_per_round"].as_float().unwrap()
        };
        assert_eq!(audited(&[]), 5.0, "30 rounds with five times as many audits, instead of 150");
        assert_eq!(audited(&["mechanism.audited_per_round=0.5"]), 2.5);
        assert_eq!(audited(&["mechanism.audited_per_round=10.0"]), 16.0);
        assert_eq!(audited(&["peers.0.count=76", "rounds=60"]), 0.5, "twice as many, of a quarter of the peers");
    }

    #[test]
    fn players_replace_the_adversaries_of_the_scenario() {
        let arena = arena("copycat");
        let honest = arena.space.honest();
        let some = arena.network(Stage::Whole, &honest, Played::BySome, 1).unwrap();
        let labels: Vec<String> = some.each_uid().map(|(_, operator)| operator.label()).collect();
        assert_eq!(labels.iter().filter(|label| *label == "honest").count(), 12);
        assert_eq!(labels.iter().filter(|label| *label == "strategy").count(), PLAYERS);
        let all = arena.network(Stage::Whole, &honest, Played::ByAll, 1).unwrap();
        assert!(all.each_uid().all(|(_, operator)| operator.label() == "strategy"));
        let none = arena.network(Stage::Whole, &honest, Played::ByNone, 1).unwrap();
        assert!(none.each_uid().all(|(_, operator)| operator.label() == "honest"));
        assert_eq!([some.peers_total(), all.peers_total(), none.peers_total()], [16; 3]);
        assert_eq!((some.rounds, some.mechanism.kind.as_deref()), (150, Some("gauntlet")));
    }

    #[test]
    fn the_pay_of_players_is_that_of_the_mean_slot() {
        let arena = arena("copycat");
        let peer = |behaviour: &str, pay, tokens| PeerFigures {
            uid: 0,
            behaviour: behaviour.into(),
            operator: None,
            pay,
            tokens: Some(tokens),
            bytes_up: None,
            bytes_down: None,
            aggregated: 0,
            held: None,
        };
        let mut figures = Figures {
            digest: None,
            loss: None,
            peers: vec![peer("honest", 0.1, 80), peer("honest", 0.3, 120), peer("ring/strategy", 0.6, 25)],
        };
        let trial = arena.trial(&figures);
        assert!((trial.pay - 3.0).abs() < 1e-12 && (trial.work - 0.25).abs() < 1e-12, "{trial:?}");
        figures.peers.iter_mut().take(2).for_each(|peer| peer.pay = 0.0);
        assert!((arena.trial(&figures).pay - 180.0).abs() < 1e-9, "of all pay, and no more than that");
    }
}
