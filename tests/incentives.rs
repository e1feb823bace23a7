//! Who is paid what: for each adversary a small network, six honest peers and two of its kind, and what became of it.
//!
//! A snapshot is the leaderboard of the last third of the rounds, by behaviour, so coarse that the rounding of another
//! machine's arithmetic does not show. A change of the incentive shows as a diff of these files; judge it, then take it
//! with `INSTA_UPDATE=always cargo test --test incentives`. What must hold of an adversary is asserted beside its
//! snapshot.

#[path = "incentives/audit.rs"]
mod audit;
mod common;
#[path = "incentives/coverage.rs"]
mod coverage;
#[path = "incentives/found.rs"]
mod found;
#[path = "incentives/muon.rs"]
mod muon;
#[path = "incentives/table.rs"]
mod table;
#[path = "incentives/validators.rs"]
mod validators;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Told, finished, network};
use gauntlet::mechanism::Status;
use gauntlet::node::PeerReport;
use gauntlet::scenario::World;

/// Training so small is noisy: peers are evaluated often, and on all of their pages.
const NETWORK: &str = r#"
name = "incentives"
seed = 5
rounds = 90
[model]
preset = "nano"
[corpus]
held_out_pages = 32
[training]
lr = 3e-3
warmup_rounds = 10
pages_per_round = 8
micro_batch = 8
eval_every = 90
[scheme]
topk = 64
[protocol]
top_peers = 6
min_peers = 3
list_every = 2
list_delay = 1
[mechanism]
evaluated_per_round = 6
evaluated_fraction = 1.0
bins = 2
[chain]
weights_every = 3
slots = 11
[[peers]]
count = 6
"#;

const HONEST: usize = 6;

/// How networks with the same adversaries fared: one, or several of different seeds where luck would decide.
struct Fared {
    networks: Vec<(Arc<World>, Told)>,
}

fn fare(adversaries: &str, seeds: &[u64]) -> Fared {
    fare_under(&[], adversaries, seeds)
}

/// Under the scheme that these settings say.
fn fare_under(scheme: &[&str], adversaries: &str, seeds: &[u64]) -> Fared {
    let run = |seed: &u64| {
        let seed = format!("seed={seed}");
        let settings: Vec<&str> = scheme.iter().copied().chain([seed.as_str()]).collect();
        let network = network(&format!("{NETWORK}{adversaries}"), &settings);
        let told = finished(&network);
        (network, told)
    };
    Fared { networks: seeds.iter().map(run).collect() }
}

/// Two peers of this behaviour.
fn two(behaviour: &str, seeds: &[u64]) -> Fared {
    fare(&format!("[[peers]]\ncount = 2\nbehaviour = {behaviour}\n"), seeds)
}

/// Two peers of this behaviour under SparseLoCo.
fn two_under_sparseloco(behaviour: &str, seeds: &[u64]) -> Fared {
    fare_under(SPARSELOCO, &format!("[[peers]]\ncount = 2\nbehaviour = {behaviour}\n"), seeds)
}

const SPARSELOCO: &[&str] = &["scheme={kind='sparseloco', inner_steps=4, topk=256, bits=2}"];

const ONE_SEED: &[u64] = &[5];
const SEEDS: &[u64] = &[5, 6, 7];

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

impl Fared {
    /// What these peers were in the rounds from `from` on.
    fn reports(&self, peers: std::ops::Range<usize>, from: u64) -> Vec<&PeerReport> {
        let mut reports = Vec::new();
        for (network, told) in &self.networks {
            for round in from..network.scenario.rounds {
                reports.extend(peers.clone().map(|peer| told.peer(network, peer, round).unwrap()));
            }
        }
        reports
    }

    fn last_third(&self, peers: std::ops::Range<usize>) -> Vec<&PeerReport> {
        self.reports(peers, self.networks[0].0.scenario.rounds * 2 / 3)
    }

    /// What an adversary is paid in the last third of the rounds, as a part of what an honest peer is paid.
    fn pay(&self) -> f64 {
        let pay = |peers| mean(self.last_third(peers).into_iter().map(|report| report.incentive));
        pay(HONEST..self.networks[0].0.scenario.peers_total()) / pay(0..HONEST)
    }

    /// No adversary is aggregated from this round on.
    fn is_out_from(&self, round: u64) -> bool {
        self.reports(HONEST..self.networks[0].0.scenario.peers_total(), round).iter().all(|report| !report.aggregated)
    }

    /// Held-out loss before the first round and after the last.
    fn losses(&self) -> (f64, f64) {
        let (network, told) = &self.networks[0];
        let network = &network.network;
        let initial = network.core.loss(&network.genesis.model, network.core.corpus.held_out());
        (initial, told.reports.last().unwrap().loss.unwrap())
    }

    /// The loss falls about as far as without adversaries.
    fn learns(&self) -> bool {
        let (initial, last) = self.losses();
        last < initial - 1.5
    }
}

/// Compares a network's table with its snapshot.
fn as_in_snapshot(name: &str, fared: Fared) -> Fared {
    eprintln!("{name}: an adversary is paid {:.3} of an honest peer", fared.pay());
    insta::assert_snapshot!(name, fared.table());
    fared
}

macro_rules! snapshot {
    ($name:literal, $fared:expr) => {
        as_in_snapshot($name, $fared)
    };
}

#[test]
fn lazy() {
    let fared = snapshot!("lazy", two("{ kind = \"lazy\", fraction = 0.5 }", SEEDS));
    // Its proof of computation is as high as an honest peer's: it gains the more on the pages that it did not skip. The
    // rating tells, but with luck: a seed alone may pay it a sixth of an honest peer or nearly all.
    assert!(fared.pay() < 0.75);
}

#[test]
fn free_rider() {
    let fared = snapshot!("free-rider", two("\"free-rider\"", ONE_SEED));
    assert!(fared.pay() < 0.25);
}

#[test]
fn stale() {
    let fared = snapshot!("stale", two("{ kind = \"stale\", rounds = 8 }", ONE_SEED));
    assert!(fared.is_out_from(30) && fared.pay() < 0.01);
}

#[test]
fn desync() {
    let fared = snapshot!("desync", two("{ kind = \"desync\", at = 20, pause = 10 }", ONE_SEED));
    assert!(fared.is_out_from(20) && fared.pay() < 0.01);
}

#[test]
fn copycat_of_the_best() {
    let fared = snapshot!("copycat-best", two("{ kind = \"copycat\", of = \"best\" }", ONE_SEED));
    assert!(fared.pay() < 0.25);
}

#[test]
fn copycat_of_a_random_peer() {
    let fared = snapshot!("copycat-random", two("{ kind = \"copycat\", of = \"random\" }", ONE_SEED));
    assert!(fared.pay() < 0.25);
}

#[test]
fn copycat_with_noise() {
    let fared = snapshot!("copycat-noisy", two("{ kind = \"copycat\", noise = 0.3 }", ONE_SEED));
    assert!(fared.pay() < 0.25);
}

#[test]
fn offline() {
    let fared = snapshot!("offline", two("{ kind = \"offline\", leave = 0.3, return = 0.2 }", ONE_SEED));
    let absent: Vec<_> =
        fared.reports(HONEST..HONEST + 2, 0).into_iter().filter(|peer| peer.status == Status::Absent).collect();
    assert!(absent.len() > 60 && absent.iter().all(|peer| !peer.aggregated), "who is not there is not aggregated");
    // Present, it earns as much as anybody, or more: a pause costs a quarter of the score each round, but the next
    // evaluation gives all of it back, and what a peer sends after a pause, of a momentum from which nothing was taken
    // meanwhile, lowers the loss by more than what those send who have sent every round. Gauntlet as published does not
    // pay for being there.
}

/// Each stays until it is paid, leaves after twenty rounds or so, and does not come back.
#[test]
fn gone_once_it_is_paid() {
    let fared = snapshot!("gone", two("{ kind = \"offline\", leave = 0.05, return = 0.0 }", SEEDS));
    let paid = fared.reports(HONEST..HONEST + 2, 0).into_iter().filter(|peer| peer.incentive > 0.0).count();
    assert!(paid > 20 && fared.pay() < 0.01, "paid {paid} times, then {}", fared.pay());
}

#[test]
fn late() {
    let fared = snapshot!("late", two("\"late\"", ONE_SEED));
    assert!(fared.is_out_from(0) && fared.pay() == 0.0);
}

#[test]
fn noise() {
    let fared = snapshot!("noise", two("\"noise\"", ONE_SEED));
    assert!(fared.pay() < 0.01 && fared.learns());
}

#[test]
fn sign_flip() {
    let fared = snapshot!("sign-flip", two("\"sign-flip\"", ONE_SEED));
    assert!(fared.is_out_from(45) && fared.pay() < 0.01 && fared.learns());
}

/// Thieves: what Gauntlet as published pays for, and should not. A change that closes a hole shows here.
#[test]
fn averaging_inside_the_window() {
    let averaging = "{ kind = \"strategy\", mix = \"now\", own = 0.5 }";
    let fared = snapshot!("averaging", two(averaging, SEEDS));
    assert!(fared.pay() > 5.0 && fared.learns(), "a thief is paid {:.1} of an honest peer", fared.pay());
}

/// It works only when the bin of its own rank has its turn, and sends the mean of others in between.
#[test]
fn averaging_in_bursts() {
    let burst = "{ kind = \"strategy\", mix = \"now\", works = { bin-of = 2 }, idle = \"mix\" }";
    let fared = snapshot!("averaging-in-bursts", two(burst, SEEDS));
    assert!(fared.pay() > 5.0 && fared.learns(), "a thief is paid {:.1} of an honest peer", fared.pay());
}

/// A quarter of the work.
#[test]
fn averaging_with_a_quarter_of_each_page() {
    let short = "{ kind = \"strategy\", mix = \"now\", tokens = 0.25, fresh = true }";
    let fared = snapshot!("averaging-short", two(short, SEEDS));
    assert!(fared.pay() > 5.0 && fared.learns(), "a thief is paid {:.1} of an honest peer", fared.pay());
}

/// All of the work, and no momentum: a mere gradient is a better small step, and a worse part of an aggregate.
#[test]
fn fresh() {
    let fared = snapshot!("fresh", two("{ kind = \"strategy\", fresh = true }", SEEDS));
    assert!(fared.pay() > 5.0 && fared.learns(), "a thief is paid {:.1} of an honest peer", fared.pay());
}

/// It spares most of the way back through the model, and the loss shows it.
#[test]
fn the_last_layers_alone() {
    let fared = snapshot!("last-layers", two("{ kind = \"strategy\", layers = 0.5 }", SEEDS));
    assert!(fared.pay() < 0.25 && fared.learns(), "paid {:.2} of an honest peer", fared.pay());
}

/// Five slots of one operator mix what all of them made, before anybody uploads.
#[test]
fn cartel() {
    let five = "[[operators]]\nuids = 5\nbehaviour = { kind = \"strategy\", mix = \"operator\" }\n";
    let fared = snapshot!("cartel", fare(five, SEEDS));
    assert!(fared.pay() > 5.0 && fared.learns(), "a slot is paid {:.1} of an honest peer", fared.pay());
}

/// What a peer sends is taken relative to its own size: blowing it up changes nothing, neither for the model nor for
/// the pay.
#[test]
fn rescaled() {
    let fared = snapshot!("rescaled", two("\"rescaled\"", ONE_SEED));
    assert!((0.2..2.0).contains(&fared.pay()) && fared.learns());
}

#[test]
fn malformed() {
    let fared = snapshot!("malformed", two("\"malformed\"", ONE_SEED));
    assert!(fared.is_out_from(0) && fared.pay() == 0.0);
}

/// Five kinds at once, nearly half of the network, and still it learns.
#[test]
fn byzantine() {
    let five = ["late", "noise", "sign-flip", "rescaled", "malformed"];
    let five: String = five.iter().map(|kind| format!("[[peers]]\nbehaviour = \"{kind}\"\n")).collect();
    let fared = snapshot!("byzantine", fare(&five, ONE_SEED));
    assert!(fared.learns());
}

#[test]
fn sparseloco_copycat() {
    let fared = snapshot!("sparseloco-copycat", two_under_sparseloco("\"copycat\"", ONE_SEED));
    assert!(fared.pay() < 0.25 && fared.learns());
}

#[test]
fn sparseloco_lazy() {
    let fared = snapshot!("sparseloco-lazy", two_under_sparseloco("\"lazy\"", SEEDS));
    // There is no long momentum to hide behind: half of the work is half of the gain, and the rating tells at once.
    assert!(fared.pay() < 0.25);
}

#[test]
fn sparseloco_stale() {
    let fared = snapshot!("sparseloco-stale", two_under_sparseloco("{ kind = \"stale\", rounds = 5 }", ONE_SEED));
    // Unlike sign steps, these do not cancel: five rounds behind is more than three steps behind.
    assert!(fared.pay() < 0.01);
}

/// Aggregated, it is clipped to the median norm and does no harm; scored alone, its step is as large as it says, and its
/// rating is gone.
#[test]
fn sparseloco_rescaled() {
    let fared = snapshot!("sparseloco-rescaled", two_under_sparseloco("\"rescaled\"", ONE_SEED));
    assert!(fared.pay() < 0.01 && fared.learns());
}

/// A quarter of the network, one of them the opposite of its honest work a million times too large.
#[test]
fn sparseloco_byzantine() {
    let attackers = ["\"noise\"", "{ kind = \"rescaled\", factor = -1e6 }"];
    let attackers: String = attackers.iter().map(|kind| format!("[[peers]]\nbehaviour = {kind}\n")).collect();
    let fared = snapshot!("sparseloco-byzantine", fare_under(SPARSELOCO, &attackers, ONE_SEED));
    assert!(fared.pay() < 0.05 && fared.learns());
}

/// Every kind of malformed upload is found under every scheme, and the model learns without it.
#[test]
fn malformed_uploads_fail_under_every_scheme() {
    let schemes = ["{kind='demo', bits=4}", "{kind='sparseloco', inner_steps=2}", "{kind='dense', inner_steps=2}"];
    for scheme in schemes {
        let scheme = format!("scheme={scheme}");
        let settings = [scheme.as_str(), "rounds=12", "training.eval_every=12"];
        let fared = fare_under(&settings, "[[peers]]\ncount = 2\nbehaviour = \"malformed\"\n", ONE_SEED);
        assert!(fared.is_out_from(0), "{scheme}");
        assert!(
            fared.reports(HONEST..HONEST + 2, 0).iter().all(|report| report.status == Status::Malformed),
            "{scheme}"
        );
        let (initial, last) = fared.losses();
        assert!(last < initial, "{scheme}: {initial} to {last}");
    }
}
