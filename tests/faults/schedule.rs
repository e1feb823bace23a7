//! What goes wrong when: a function of the seed.

use std::fmt;

use gauntlet::random::{self, ChaCha8Rng};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use crate::s3::Rates;

/// Peers of the network.
pub const PEERS: usize = 5;
/// Rounds before the first fault, and after the last.
const CALM: u64 = 4;
/// Rounds for one kind of fault.
const STRETCH: u64 = 4;

/// Something that happens to the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// `kill -9` of a peer.
    KillPeer(usize),
    StartPeer(usize),
    /// `kill -9` of the validator that leads.
    KillLead,
    StartLead,
    /// From now on requests go wrong so often.
    Faults(Rates),
    /// The store is not there for so many rounds.
    Down(u32),
    /// A bit of what is stored turns, its end is lost, or all of it.
    Damage(Damaged, Harm),
    /// Something that is no record lies where the round's record belongs.
    Squat,
    /// A peer's disk is full.
    DiskFull(usize),
    DiskFree(usize),
}

/// An object to damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    Upload(usize),
    Bundle,
    Checkpoint,
}

/// How it is damaged: where, as a share of 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    Flip(u32),
    Truncate(u32),
    Delete,
}

/// At which point of a round something happens: none of it is a time, all can be seen in the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The record of the round before is there.
    Begun,
    /// A peer has uploaded.
    Uploaded(usize),
    /// The round's record is there.
    Decided,
}

/// An event and when it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    pub round: u64,
    pub moment: Moment,
    pub event: Event,
}

/// All that happens to a network in order, and how long it lives.
pub struct Schedule {
    pub seed: u64,
    pub rounds: u64,
    pub planned: Vec<Planned>,
    pub more: More,
}

/// What the network does beside the usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    Nothing,
    /// Uploads are sealed.
    Seals,
    /// All peers are audited in every round.
    Audits,
}

impl Schedule {
    /// The schedule of a seed: every kind of fault, in a random order, while peers are killed and come back.
    pub fn new(seed: u64) -> Self {
        let mut rng = random::rng(seed, "fault schedule", 0, 0);
        let mut kinds = Kind::ALL;
        kinds.shuffle(&mut rng);
        let mut planned = Vec::new();
        for (nth, kind) in kinds.iter().enumerate() {
            stretch(&mut rng, *kind, CALM + nth as u64 * STRETCH, &mut planned);
        }
        planned.sort_by_key(|planned| (planned.round, planned.moment));
        // Uploads of every other seed are sealed.
        let more = if seed.is_multiple_of(2) { More::Seals } else { More::Nothing };
        Self { seed, rounds: CALM + kinds.len() as u64 * STRETCH + 2 * CALM, planned, more }
    }
}

/// What a stretch of rounds is about.
#[derive(Clone, Copy)]
enum Kind {
    Errors,
    Resets,
    Garbled,
    Down,
    LeadAway,
    LeadRestarted,
    DiskFull,
    Damage,
    Deleted,
    Squatted,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Errors,
        Self::Resets,
        Self::Garbled,
        Self::Down,
        Self::LeadAway,
        Self::LeadRestarted,
        Self::DiskFull,
        Self::Damage,
        Self::Deleted,
        Self::Squatted,
    ];
}

/// Plans the rounds from `start` on; whatever they are about, a peer is killed in them and comes back.
fn stretch(rng: &mut ChaCha8Rng, kind: Kind, start: u64, planned: &mut Vec<Planned>) {
    let none = Rates::default();
    let (killed, other) = two_peers(rng);
    let away = rng.random_range(1..STRETCH);
    let mut plan = |after: u64, moment, event| planned.push(Planned { round: start + after, moment, event });
    plan(0, moment(rng), Event::KillPeer(killed));
    plan(away, moment(rng), Event::StartPeer(killed));
    let mut between = |events: [Event; 2]| {
        plan(0, moment(rng), events[0]);
        plan(2, moment(rng), events[1]);
    };
    match kind {
        Kind::Errors => between([Event::Faults(Rates { errors: 0.25, ..none }), Event::Faults(none)]),
        Kind::Resets => between([Event::Faults(Rates { resets: 0.25, ..none }), Event::Faults(none)]),
        Kind::Garbled => {
            between([Event::Faults(Rates { truncated: 0.2, flipped: 0.2, ..none }), Event::Faults(none)]);
        }
        Kind::Down => plan(0, moment(rng), Event::Down(3)),
        Kind::LeadAway => between([Event::KillLead, Event::StartLead]),
        Kind::LeadRestarted => {
            let moment = moment(rng);
            plan(0, moment, Event::KillLead);
            plan(0, moment, Event::StartLead);
        }
        Kind::Squatted => {
            plan(0, Moment::Begun, Event::Squat);
            plan(2, Moment::Begun, Event::Squat);
        }
        Kind::DiskFull => between([Event::DiskFull(other), Event::DiskFree(other)]),
        Kind::Damage | Kind::Deleted => {
            let mut harm = || if matches!(kind, Kind::Deleted) { Harm::Delete } else { harm(rng) };
            // The peer that is away will want the bundle; those that are there see the upload change.
            plan(0, Moment::Decided, Event::Damage(Damaged::Bundle, harm()));
            plan(1, Moment::Uploaded(other), Event::Damage(Damaged::Upload(other), harm()));
            plan(2, Moment::Begun, Event::Damage(Damaged::Checkpoint, harm()));
        }
    }
}

fn two_peers(rng: &mut ChaCha8Rng) -> (usize, usize) {
    let first = rng.random_range(0..PEERS);
    (first, (first + rng.random_range(1..PEERS)) % PEERS)
}

fn moment(rng: &mut ChaCha8Rng) -> Moment {
    match rng.random_range(0..3) {
        0 => Moment::Begun,
        1 => Moment::Uploaded(rng.random_range(0..PEERS)),
        _ => Moment::Decided,
    }
}

fn harm(rng: &mut ChaCha8Rng) -> Harm {
    let place = rng.next_u32();
    if rng.random() { Harm::Flip(place) } else { Harm::Truncate(place) }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults of seed {}, {} rounds:", self.seed, self.rounds)?;
        self.planned
            .iter()
            .try_for_each(|Planned { round, moment, event }| writeln!(f, "  round {round}, {moment:?}: {event:?}"))
    }
}
