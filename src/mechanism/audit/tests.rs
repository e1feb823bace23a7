//! Who is paid: made-up peers, whose work is the same when it is done again, or not.

mod thieves;

use super::*;
use crate::digest::Digest;
use crate::mechanism::facts::{PeerFacts, States};
use crate::mechanism::measure::{Measured, Measurement, Value};
use crate::mechanism::testing::Alike;

/// What a peer does in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    /// Its work, and says so.
    Work(f64),
    /// Sends something else, and says that it is so much work.
    Pretends(f64),
    /// Sends nothing.
    Rests,
}

/// A network of peers that are judged by one validator.
struct Network {
    mechanism: Box<dyn Mechanism>,
    round: u64,
    /// Pay and work of each peer.
    paid: BTreeMap<Uid, f64>,
    worked: BTreeMap<Uid, f64>,
    /// The last audit of each peer: its round, and whether it passed.
    audits: BTreeMap<Uid, (u64, bool)>,
}

/// A young network, 150 rounds, with many secrets: mean pay of four peers of sixteen, and their mean work.
fn young(does: impl Fn(&Network, Uid) -> Does) -> (f64, f64) {
    let of_one = |secret| {
        let settings = AuditSettings { audited_per_round: 0.9, ..AuditSettings::default() };
        let network = Network { mechanism: with_peers(&settings, secret, 16), ..Network::new(settings, 0) };
        network.run(150, 16, |network, uid| if uid < 12 { Does::Work(1.0) } else { does(network, uid) }).of(12..16)
    };
    let all: Vec<(f64, f64)> = (0..60).map(of_one).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
    (mean(|(pay, _)| *pay), mean(|(_, work)| *work))
}

fn with_peers(settings: &AuditSettings, secret: u64, peers: Uid) -> Box<dyn Mechanism> {
    let mut mechanism = settings.build(secret);
    (0..peers).for_each(|uid| mechanism.arrive(uid));
    mechanism
}

fn state(round: u64) -> Digest {
    Digest::of(&round.to_le_bytes())
}

/// The facts of a peer that goes on from the round before.
fn facts(uid: Uid, round: u64, does: Does) -> PeerFacts {
    let (arrival, work) = match does {
        Does::Work(work) | Does::Pretends(work) => (Status::Passed, work),
        Does::Rests => (Status::Absent, 1.0),
    };
    let states = (arrival == Status::Passed).then(|| States { before: state(round), after: state(round + 1) });
    PeerFacts { uid, arrival, stamp_ms: None, steps_behind: Some(0.0), work, paid: 0.0, same_model: true, states }
}

fn results(audits: impl IntoIterator<Item = (Uid, Outcome)>) -> Results {
    let found = |(uid, outcome)| Measured { what: Measurement::Audit(uid), value: Some(Value::Audit(outcome)) };
    Results(audits.into_iter().map(found).collect())
}

impl Network {
    fn new(settings: AuditSettings, peers: Uid) -> Self {
        let mechanism = with_peers(&settings, 5, peers);
        let none = BTreeMap::default();
        Self { mechanism, round: 0, paid: none.clone(), worked: none, audits: BTreeMap::default() }
    }

    /// One round, in which peers do what `does` says.
    fn round(&mut self, peers: Uid, does: impl Fn(&Self, Uid) -> Does) {
        let doing: Vec<Does> = (0..peers).map(|uid| does(self, uid)).collect();
        let peers = (0..peers).map(|uid| facts(uid, self.round, doing[usize::from(uid)])).collect();
        let facts = Facts { round: self.round, weights_every: 1, peers, uploads: &Alike(Vec::new()) };
        self.mechanism.observe(&facts);
        let audits = self.mechanism.audit(self.round).into_iter().map(|uid| {
            let passed = matches!(doing[usize::from(uid)], Does::Work(_));
            self.audits.insert(uid, (self.round, passed));
            (uid, if passed { Outcome::Same } else { Outcome::Differs })
        });
        let results = results(audits);
        self.mechanism.learn(self.round, &[], &results);
        for (uid, share) in self.mechanism.pay().into_iter().filter(|(uid, _)| *uid != NOBODY) {
            *self.paid.entry(uid).or_default() += share;
        }
        for (uid, does) in (0..).zip(&doing) {
            if let Does::Work(work) = does {
                *self.worked.entry(uid).or_default() += work;
            }
        }
        self.round += 1;
    }

    fn run(mut self, rounds: u64, peers: Uid, does: impl Fn(&Self, Uid) -> Does) -> Self {
        (0..rounds).for_each(|_| self.round(peers, &does));
        self
    }

    /// Mean pay of some peers, where all others have 1 on average; and their mean work, in rounds.
    fn of(&self, some: std::ops::Range<Uid>) -> (f64, f64) {
        let mean = |of: &BTreeMap<Uid, f64>, is: &dyn Fn(&Uid) -> bool| {
            let values: Vec<f64> =
                self.paid.keys().filter(|uid| is(uid)).map(|uid| of.get(uid).copied().unwrap_or(0.0)).collect();
            values.iter().sum::<f64>() / values.len().max(1) as f64
        };
        let others = mean(&self.paid, &|uid| !some.contains(uid));
        (
            mean(&self.paid, &|uid| some.contains(uid)) / others,
            mean(&self.worked, &|uid| some.contains(uid)) / self.round as f64,
        )
    }
}

/// Twelve honest peers and four that do something else, for long: pay of the four, and their work.
fn four(does: impl Fn(&Network, Uid) -> Does) -> (f64, f64) {
    let network = Network::new(AuditSettings::default(), 16);
    network.run(6000, 16, |network, uid| if uid < 12 { Does::Work(1.0) } else { does(network, uid) }).of(12..16)
}

/// What a peer has proven, as of the last round.
fn proven(network: &Network, uid: Uid) -> f64 {
    network.round.checked_sub(1).map_or(0.0, |last| network.mechanism.numbers(uid, last)[3].unwrap())
}

fn draw(network: &Network, uid: Uid, part: f64) -> bool {
    rng(1, "does", uid.into(), network.round).random_bool(part)
}

#[test]
fn honest_peers_are_paid_alike_whatever_they_do_of_it() {
    let (pay, work) = four(|_, _| Does::Work(1.0));
    assert!((pay - 1.0).abs() < 0.03 && work == 1.0, "{pay}");
    let (pay, _) = four(|_, _| Does::Work(2.0));
    assert!((pay - 2.0).abs() < 0.1, "{pay}");
    let (pay, _) = four(|_, _| Does::Work(0.5));
    assert!((pay - 0.5).abs() < 0.02, "{pay}");
    let (pay, work) = four(|network, _| if network.round.is_multiple_of(2) { Does::Work(1.0) } else { Does::Rests });
    assert!((pay - 0.5).abs() < 0.02 && work == 0.5, "{pay}");
}

/// Nobody's upload arrives for long, and then only those of two.
#[test]
fn an_outage_pays_off_little() {
    let credits = |network: &Network| {
        let of = |uid| network.mechanism.numbers(uid, network.round - 1)[3].unwrap();
        (0..16).map(of).sum::<f64>()
    };
    let network = Network::new(AuditSettings::default(), 16).run(200, 16, |_, _| Does::Work(1.0));
    let before = credits(&network);
    let network = network.run(100, 16, |_, _| Does::Rests);
    assert_eq!(credits(&network), before, "nobody can work");
    let network = network.run(1, 16, |_, uid| if uid < 2 { Does::Work(1.0) } else { Does::Rests });
    let after = credits(&network);
    assert!(after > 0.75 * before, "{after} of {before}");
}

/// Validators are there before the first peers.
#[test]
fn those_of_the_first_round_with_uploads_are_the_first() {
    let mut audit = AuditSettings::default().build(5);
    let mut observe = |round, peers: Vec<PeerFacts>| {
        audit.observe(&Facts { round, weights_every: 1, peers, uploads: &Alike(Vec::new()) });
    };
    (0..9).for_each(|round| observe(round, Vec::new()));
    let mut network = Network { mechanism: audit, ..Network::new(AuditSettings::default(), 0) };
    network.round = 9;
    (0..16).for_each(|uid| network.mechanism.arrive(uid));
    let network = network.run(32, 16, |_, _| Does::Work(1.0));
    assert_eq!(network.mechanism.pay(), [(NOBODY, 1.0)]);
    assert!((0..16).all(|uid| network.mechanism.numbers(uid, 40)[2] == Some(0.0)), "they owe nothing");
}

/// A validator that comes late, or has lost its state, has audited nobody yet.
#[test]
fn a_validator_that_comes_late_pays_nobody_at_first() {
    let mut network = Network::new(AuditSettings::default(), 16);
    network.round = 1000;
    let network = network.run(32, 16, |_, _| Does::Work(1.0));
    assert_eq!(network.mechanism.pay(), [(NOBODY, 1.0)]);
    let network = network.run(1, 16, |_, _| Does::Work(1.0));
    assert!(network.mechanism.pay().iter().all(|(uid, _)| *uid != NOBODY));
}

/// Otherwise pay would stay with those who had earned it when audits ended.
#[test]
fn without_audits_nobody_is_paid_in_the_end() {
    let mut network = Network::new(AuditSettings::default(), 16).run(200, 16, |_, _| Does::Work(1.0));
    let mut observe = |round: u64| {
        let peers = (0..16).map(|uid| facts(uid, round, Does::Work(1.0))).collect();
        network.mechanism.observe(&Facts { round, weights_every: 1, peers, uploads: &Alike(Vec::new()) });
        network.mechanism.learn(round, &[], &Results::default());
        network.mechanism.pay()
    };
    assert!((200..247).all(|round| observe(round).len() == 16));
    assert_eq!((247..250).map(observe).last(), Some(vec![(NOBODY, 1.0)]));
}

#[test]
fn late_peers_work_for_nothing_at_first_and_the_first_ones_do_not() {
    let mut network = Network::new(AuditSettings::default(), 16).run(400, 15, |_, _| Does::Work(1.0));
    assert!((0..15).all(|uid| network.paid[&uid] > 0.0));
    network.mechanism.arrive(15);
    let before = network.round;
    while network.mechanism.pay().iter().all(|(uid, share)| *uid != 15 || *share == 0.0) {
        network.round(16, |_, _| Does::Work(1.0));
    }
    assert!(network.round - before >= 30, "twice 15 rounds, {}", network.round - before);
}

#[test]
fn work_is_paid_when_it_is_proven() {
    let mut network = Network::new(AuditSettings::default(), 4);
    network.round(4, |_, _| Does::Work(1.0));
    let first: Vec<Uid> = network.audits.keys().copied().collect();
    assert_eq!(first.len(), 1);
    assert_eq!(
        network.mechanism.numbers(first[0], 0),
        [Some(1.0), Some(0.0), Some(0.0), Some(0.0)],
        "it proves nothing"
    );
    let Ranking { earned, others } = network.mechanism.include(0, &[]);
    assert_eq!((earned[0], earned.len(), others.len()), (first[0], 4, 0), "newcomers come after it");
    let mut again = 0;
    while again == 0 {
        let before = network.audits.clone();
        network.round(4, |_, _| Does::Work(1.0));
        for (uid, (at, _)) in
            network.audits.iter().filter(|(uid, audit)| before.contains_key(uid) && before[uid] != **audit)
        {
            let proven = (at - before[uid].0) as f64;
            assert_eq!(network.mechanism.numbers(*uid, *at), [Some(1.0), Some(0.0), Some(0.0), Some(proven)]);
            again += 1;
        }
    }
    let network = Network::new(AuditSettings::default(), 4).run(8, 4, |_, _| Does::Work(1.0));
    assert_eq!(network.mechanism.pay(), [(NOBODY, 1.0)], "it is too young");
    let network = network.run(1, 4, |_, _| Does::Work(1.0));
    for (uid, share) in network.mechanism.pay() {
        assert_eq!(share > 0.0, proven(&network, uid) > 0.0);
    }
}

#[test]
fn whoever_failed_is_not_aggregated_until_it_passes() {
    let mut network = Network::new(AuditSettings::default(), 1);
    network.round(1, |_, _| Does::Work(1.0));
    assert_eq!(network.mechanism.include(0, &[]).earned, [0]);
    network.round(1, |_, _| Does::Pretends(1.0));
    assert_eq!(network.mechanism.include(1, &[]), Ranking::default());
    network.round(1, |_, _| Does::Work(1.0));
    assert_eq!(network.mechanism.include(2, &[]).earned, [0]);
    assert_eq!(network.mechanism.numbers(0, 2)[2], Some(1.0), "it still owes one round of two");
}

/// Others come late and are never asked in the end, or fail.
#[test]
fn a_flood_of_others_takes_half_of_the_audits_at_most() {
    for (others, expected) in [(10, 0.25), (90, 0.5)] {
        let settings = AuditSettings { audited_per_round: 2.5, ..AuditSettings::default() };
        let mut network = Network::new(settings, 30).run(200, 30, |_, _| Does::Work(1.0));
        (30..30 + others).for_each(|uid| network.mechanism.arrive(uid));
        let interval = 30.0 / 2.5;
        let (mut audits, mut of_others) = (0, 0);
        for round in 200..600 {
            let peers = (0..30 + others).map(|uid| facts(uid, round, Does::Work(1.0))).collect();
            network.mechanism.observe(&Facts { round, weights_every: 1, peers, uploads: &Alike(Vec::new()) });
            let chosen = network.mechanism.audit(round);
            assert!((2..=3).contains(&chosen.len()));
            let failed = chosen.iter().filter(|uid| **uid >= 30 && **uid % 2 == 0).map(|uid| (*uid, Outcome::Differs));
            network.mechanism.learn(round, &[], &results(failed));
            audits += chosen.len();
            of_others += chosen.iter().filter(|uid| **uid >= 30).count();
        }
        let share = of_others as f64 / audits as f64;
        assert!((share - expected).abs() < 0.07, "{others}: {share}");
        // Keys become dearer by as much as regular peers wait longer.
        network.mechanism.arrive(30 + others);
        let price = network.mechanism.numbers(30 + others, 599)[2].unwrap();
        assert!((price - 2.0 * interval / (1.0 - expected)).abs() < 1e-9, "{price}");
    }
}

#[test]
fn a_peer_goes_on_from_the_state_that_it_ended_with() {
    let mut audit = AuditSettings::default().build(5);
    (0..3).for_each(|uid| audit.arrive(uid));
    let mut observe = |round, does: [Does; 3], forgets: &[Uid]| {
        let mut peers: Vec<PeerFacts> = (0..).zip(does).map(|(uid, does)| facts(uid, round, does)).collect();
        for peer in peers.iter_mut().filter(|peer| forgets.contains(&peer.uid)) {
            peer.states = Some(States { before: state(0), after: state(round + 1) });
        }
        audit.observe(&Facts { round, weights_every: 1, peers, uploads: &Alike(Vec::new()) });
        (0..3).map(|uid| (audit.status(uid, round).unwrap(), audit.numbers(uid, round)[1].unwrap())).collect::<Vec<_>>()
    };
    use Does::{Rests, Work};
    assert_eq!(observe(0, [Work(1.0); 3], &[]), [(Status::Passed, 1.0); 3]);
    let found = observe(1, [Work(1.0), Work(1.0), Rests], &[1]);
    assert_eq!(found, [(Status::Passed, 2.0), (Status::StartedOver, 0.0), (Status::Absent, 1.0)]);
    // After a round without an upload, nobody knows what it ended with.
    let found = observe(2, [Work(1.0); 3], &[2]);
    assert_eq!(found, [(Status::Passed, 3.0), (Status::Passed, 1.0), (Status::Passed, 2.0)]);
}

#[test]
fn a_state_is_taken_up_and_a_round_that_is_seen_twice_counts_once() {
    let network = Network::new(AuditSettings::default(), 5).run(30, 5, |_, _| Does::Work(1.0));
    let mut resumed = AuditSettings::default().build(5);
    resumed.restore(&network.mechanism.save()).unwrap();
    assert_eq!(resumed.pay(), network.mechanism.pay());
    let before = resumed.save();
    let again = (0..5).map(|uid| facts(uid, 12, Does::Work(1.0))).collect();
    resumed.observe(&Facts { round: 12, weights_every: 1, peers: again, uploads: &Alike(Vec::new()) });
    // Rounds that it has learned from, of which the last one would cost most.
    let results = results((0..5).map(|uid| (uid, Outcome::NotShown)));
    (0..30).for_each(|round| resumed.learn(round, &[], &results));
    let kept: Vec<_> = (0..5).map(|uid| resumed.numbers(uid, 29)).collect();
    assert_eq!(kept, (0..5).map(|uid| network.mechanism.numbers(uid, 29)).collect::<Vec<_>>());
    assert!(resumed.restore(&[&before[..], &[0]].concat()).unwrap_err().contains("too many"));
    assert!(resumed.restore(&before[1..]).is_err());
}

#[test]
fn settings_are_checked() {
    let found = |text: &str| {
        let settings: AuditSettings = toml::from_str(text).unwrap();
        let mut found = Findings::default();
        settings.check(&mut found);
        found.into_vec().into_iter().map(|finding| finding.path).collect::<Vec<_>>()
    };
    for (text, key) in [("audited_per_round = 0.0", "audited_per_round"), ("penalty = -1.0", "penalty")] {
        assert_eq!(found(text), [key]);
    }
    assert!(AuditSettings::default().audits());
    assert_eq!(AuditSettings { audited_per_round: 0.5, ..Default::default() }.forward_passes(8, 15), 12.0);
}
