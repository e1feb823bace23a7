//! Who is paid what, and who decides, when a validator is dishonest: the scenarios that ship with the program.

use std::sync::{Arc, Mutex};

use gauntlet::chain::{Books, Call, ChainView, Extrinsic, Ledger, LedgerError};
use gauntlet::engine::{Outcome, RunOptions, simulate_on};
use gauntlet::scenario::World;

use super::common::{Told, network};
use super::{Fared, HONEST};

/// A ledger that the test looks at when the run is over.
#[derive(Clone)]
struct Shared(Arc<Mutex<Ledger>>);

impl Books for Shared {
    fn view(&mut self, block: u64) -> Arc<dyn ChainView> {
        Arc::new(self.0.lock().unwrap().state_at(block).clone())
    }

    fn submit(&mut self, block: u64, extrinsic: Extrinsic) -> Result<(), LedgerError> {
        self.0.lock().unwrap().submit(block, extrinsic)
    }

    fn log(&self) -> Vec<(u64, Extrinsic)> {
        self.0.lock().unwrap().log().collect()
    }
}

/// A finished network, and its chain.
struct Ended {
    world: Arc<World>,
    fared: Fared,
    ledger: Ledger,
}

fn ended(scenario: &str, overrides: &[&str]) -> Ended {
    let world = network(scenario, overrides);
    let kept: Arc<Mutex<Option<Shared>>> = Arc::default();
    let opened = kept.clone();
    let open = move |settings: &_, genesis| {
        let shared = Shared(Arc::new(Mutex::new(Ledger::new(settings, genesis)?)));
        *opened.lock().unwrap() = Some(shared.clone());
        Ok(Box::new(shared) as Box<dyn Books>)
    };
    let told = Arc::new(Mutex::new(Told::default()));
    let options =
        RunOptions { threads: 2, baseline: false, resume: None, resume_baseline: None, interrupt: Arc::default() };
    let outcome = simulate_on(&open, world.clone(), options, told.clone()).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
    let told = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!(told.reports.len() as u64, world.scenario.rounds, "every round is told once");
    let ledger = kept.lock().unwrap().take().unwrap().0.lock().unwrap().clone();
    Ended { world: world.clone(), fared: Fared { networks: vec![(world, told)] }, ledger }
}

impl Ended {
    fn of(name: &str, overrides: &[&str]) -> Self {
        let file = format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        ended(&std::fs::read_to_string(file).unwrap(), overrides)
    }

    fn told(&self) -> &Told {
        &self.fared.networks[0].1
    }

    fn rounds(&self) -> u64 {
        self.world.scenario.rounds
    }

    fn hotkey(&self, validator: usize) -> [u8; 32] {
        self.world.scenario.validator_identity(validator).hotkey().0
    }

    /// The part of the rounds of the last third that a validator decided.
    fn decides(&self, validator: usize) -> f64 {
        let last = &self.told().reports[self.rounds() as usize * 2 / 3..];
        let own = last.iter().filter(|report| report.validator.0 == self.hotkey(validator)).count();
        own as f64 / last.len() as f64
    }

    /// A validator's dividends in the last third, relative to its stake.
    fn dividend(&mut self, validator: usize) -> f64 {
        let first = self.ledger.clock().first_block(self.rounds() * 2 / 3);
        let last = self.ledger.clock().first_block(self.rounds());
        let mut earned = |block| -> Vec<f64> {
            self.ledger.state_at(block).validators.iter().map(|validator| validator.earned).collect()
        };
        let (after, before) = (earned(last), earned(first));
        let earned: Vec<f64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
        let stakes: Vec<f64> = self.world.scenario.validators.iter().map(|validator| validator.stake).collect();
        let share = |of: &[f64]| of[validator] / of.iter().sum::<f64>();
        share(&earned) / share(&stakes)
    }

    fn void(&mut self) -> Vec<u64> {
        let last = self.ledger.clock().first_block(self.rounds());
        self.ledger.state_at(last).void_rounds()
    }

    /// How often a validator objected to a record of another.
    fn objections(&self, author: usize) -> usize {
        let to = self.hotkey(author);
        let of = |(_, extrinsic): &(u64, Extrinsic)| matches!(&extrinsic.call, Call::Object(by) if by.author == to);
        self.ledger.log().filter(of).count()
    }

    /// A line for each validator, and one for each behaviour of peers.
    fn table(&mut self) -> String {
        let mut table = String::from("validator     stake  decides  dividend\n");
        let scenario = self.world.scenario.clone();
        let stake: f64 = scenario.validators.iter().map(|validator| validator.stake).sum();
        for (index, validator) in scenario.validators.iter().enumerate() {
            let kind = scenario.registry.validator_behaviours.kind_of(&validator.behaviour);
            let decides = match self.decides(index) {
                0.0 => "never",
                1.0 => "always",
                _ => "at times",
            };
            let dividend = match self.dividend(index) {
                none if none < 0.05 => "none",
                less if less < 0.9 => "less than its stake",
                more if more > 1.1 => "more than its stake",
                _ => "as its stake",
            };
            table += &format!("{kind:12}  {:5.2}  {decides:7}  {dividend}\n", validator.stake / stake);
        }
        table += &format!("void rounds: {}\n\n", self.void().len());
        table + &self.fared.table()
    }

    /// All honest peers have the network's model in the last third.
    fn is_in_sync(&self) -> bool {
        let last = self.fared.last_third(0..HONEST);
        last.iter().all(|peer| peer.steps_behind.is_some_and(|steps| steps < 0.5))
    }
}

macro_rules! snapshot {
    ($name:literal) => {{
        let mut ended = Ended::of($name, &[]);
        let dividends: Vec<f64> = (0..3).map(|validator| ended.dividend(validator)).collect();
        eprintln!("{}: dividends by stake {dividends:.3?}", $name);
        insta::assert_snapshot!(concat!("validator-", $name), ended.table());
        assert!(ended.is_in_sync());
        let (initial, last) = ended.fared.losses();
        assert!(last < initial - 1.2, "{initial} to {last}");
        ended
    }};
}

/// Copied weights are an epoch late if validators commit to them first. If they do not, a copy is worth more than the work:
/// it is between the weights of those who measure, so nothing of it is clipped.
#[test]
fn copied_weights() {
    let mut late = snapshot!("copy-weights");
    let mut fresh = Ended::of("copy-weights", &["chain.commit_reveal=false"]);
    let [late, fresh] = [&mut late, &mut fresh].map(|network| network.dividend(2));
    eprintln!("a copier earns {fresh:.3} of its stake's share, {late:.3} if weights are committed to");
    assert!(fresh > 1.0 && late < 1.0 && late < fresh - 0.05, "{fresh} {late}");
}

#[test]
fn a_favoured_operator() {
    let mut ended = snapshot!("favour");
    assert!(ended.fared.pay() < 0.01, "the friend is paid {}", ended.fared.pay());
    assert_eq!((ended.decides(0), ended.void().len()), (0.0, 0));
    assert!(ended.dividend(0) < 0.05);
}

#[test]
fn payloads_that_nobody_has() {
    let mut ended = snapshot!("withhold");
    let void = ended.void();
    assert!((1..=6).contains(&void.len()) && void[0] == 20, "{void:?}");
    assert_eq!(ended.decides(0), 0.0);
}

#[test]
fn a_record_out_of_turn() {
    let ended = snapshot!("out-of-turn");
    assert_eq!((ended.decides(0), ended.decides(2)), (1.0, 0.0));
    assert!(ended.told().reports.iter().all(|report| report.validator.0 == ended.hotkey(0)));
}

#[test]
fn a_model_that_nobody_else_has() {
    let ended = snapshot!("false-model");
    assert_eq!(ended.decides(0), 0.0);
    assert!(ended.objections(0) >= 2 && ended.objections(1) + ended.objections(2) == 0);
}

#[test]
fn a_silent_lead() {
    let mut ended = snapshot!("silent");
    assert_eq!((ended.decides(1), ended.objections(0)), (1.0, 0));
    // What it was good for before fades with its bonds.
    assert!(ended.dividend(0) < 0.7, "{}", ended.dividend(0));
}

#[test]
fn records_and_weights_that_are_replaced() {
    let mut ended = snapshot!("equivocate");
    // Its seventh peer comes in round 30, cannot go on from what it finds, and waits for the checkpoint of round 40.
    let model = |round| ended.told().peer(&ended.world, HONEST, round).unwrap().steps_behind;
    let in_sync: Vec<bool> = (31..60).map(|round| model(round).is_some_and(|steps| steps < 0.5)).collect();
    assert!(!in_sync[..9].contains(&true) && !in_sync[14..].contains(&false), "{in_sync:?}");
    assert!((0.9..1.1).contains(&ended.dividend(0)), "its first weights count: {}", ended.dividend(0));
}

/// Its seventh peer waits for a checkpoint that the run is over before.
#[test]
fn a_run_ends_although_a_peer_cannot_catch_up() {
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || drop(sender.send(Ended::of("equivocate", &["rounds=33"]))));
    let ended = ended.recv_timeout(std::time::Duration::from_secs(300)).expect("it ends");
    let peer = ended.told().peer(&ended.world, HONEST, 32).expect("it has registered");
    assert_eq!(peer.steps_behind, None, "it has no model to work on");
}

/// Honest validators whose judgement differs by the luck of their draws have nothing against one another.
#[test]
fn honest_validators_do_not_object() {
    for seed in ["seed=1", "seed=2", "seed=3", "seed=4", "seed=5", "seed=6"] {
        let honest = ["validators.0.behaviour=honest", "validators.1.stake=350", seed];
        let mut ended = Ended::of("favour", &honest);
        let objections: usize = (0..3).map(|validator| ended.objections(validator)).sum();
        assert_eq!((objections, ended.void().len(), ended.decides(0)), (0, 0, 1.0), "{seed}");
    }
}
