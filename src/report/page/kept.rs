//! What a page holds of a run: the short tables whole, and the peers of a bounded number of rounds.

use crate::report::{BackdoorRow, Manifest, PeerRow, RunData, SlotRow};

/// Most rounds of which peers are kept.
pub const ROUNDS: u64 = 1_024;
/// Most lines of peers that are kept.
pub const ROWS: u64 = 200_000;

/// What is kept of a run.
#[derive(Clone)]
pub struct Kept {
    /// `peers` holds the rounds of which `round + 1` is a multiple of `every`.
    pub run: RunData,
    pub slots: Vec<SlotRow>,
    pub backdoor: Vec<BackdoorRow>,
    pub every: u64,
    /// The peers of the newest round.
    pub latest: Vec<PeerRow>,
    /// The leaderboard counts the kept rounds only.
    pub is_sampled: bool,
}

impl Kept {
    /// Nothing but a manifest.
    pub fn new(name: String, manifest: Manifest) -> Self {
        let run = RunData {
            name,
            manifest,
            rounds: Vec::new(),
            peers: Vec::new(),
            baseline: Vec::new(),
            leaderboard: Vec::new(),
        };
        Self { run, slots: Vec::new(), backdoor: Vec::new(), every: 1, latest: Vec::new(), is_sampled: false }
    }

    /// A whole run, with the peers of at most so many rounds and lines.
    pub fn of(run: &RunData, slots: &[SlotRow], backdoor: &[BackdoorRow], limits: (u64, u64)) -> Self {
        let done = run.peers.last().map_or(0, |row| row.round.saturating_add(1));
        let latest = of_round(&run.peers, done.saturating_sub(1)).to_vec();
        // A published folder may hold one round in N: those stay a multiple of it.
        let mut rounds = run.peers.chunk_by(|a, b| a.round == b.round).map(|rows| rows[0].round);
        let apart = rounds
            .next()
            .zip(rounds.next())
            .filter(|(first, second)| second.saturating_sub(*first) == first.saturating_add(1));
        let base = run.manifest.peers_every.or(apart.map(|(first, _)| first + 1)).unwrap_or(1).max(1);
        let every = sparse(base, done, latest.len() as u64, limits);
        let is_kept = |row: &&PeerRow| (row.round.saturating_add(1)).is_multiple_of(every);
        let run = RunData {
            peers: run.peers.iter().filter(is_kept).cloned().collect(),
            name: run.name.clone(),
            manifest: run.manifest.clone(),
            rounds: run.rounds.clone(),
            baseline: run.baseline.clone(),
            leaderboard: run.leaderboard.clone(),
        };
        Self { run, slots: slots.to_vec(), backdoor: backdoor.to_vec(), every, latest, is_sampled: false }
    }

    /// Whether more is kept than should be.
    pub fn is_too_long(&self) -> bool {
        let peers = &self.run.peers;
        let span = match (peers.first(), peers.last()) {
            (Some(first), Some(last)) => last.round - first.round,
            _ => 0,
        };
        span / self.every > ROUNDS || peers.len() as u64 > ROWS
    }

    /// Drops every second round.
    pub fn halve(&mut self) {
        self.every *= 2;
        let every = self.every;
        self.run.peers.retain(|row| (row.round + 1).is_multiple_of(every));
    }
}

/// The kept lines of one round.
pub fn of_round(peers: &[PeerRow], round: u64) -> &[PeerRow] {
    let from = peers.partition_point(|row| row.round < round);
    let to = peers.partition_point(|row| row.round <= round);
    &peers[from..to]
}

/// One round in how many to keep, so that the limits hold: `base` times a power of two.
pub fn sparse(base: u64, rounds: u64, peers: u64, (most_rounds, most_rows): (u64, u64)) -> u64 {
    let mut every = base.max(1);
    while rounds / every > most_rounds || (rounds / every).saturating_mul(peers) > most_rows {
        every = every.saturating_mul(2);
    }
    every
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_run_is_thinned_to_its_limits_and_keeps_the_newest_round() {
        let run = sample::copycat();
        let all = Kept::of(&run, &[], &[], (ROUNDS, ROWS));
        assert_eq!((all.every, all.run.peers.len(), all.latest.len()), (1, 2400, 16));
        let few = Kept::of(&run, &[], &[], (ROUNDS, 700));
        let rounds: Vec<u64> = few.run.peers.chunk_by(|a, b| a.round == b.round).map(|rows| rows[0].round).collect();
        assert_eq!((few.every, rounds.len(), rounds[0], rounds[36]), (4, 37, 3, 147));
        assert_eq!(few.latest[0].round, 149);
        let mut published = run.clone();
        published.peers.retain(|row| row.round % 10 == 9);
        assert_eq!(Kept::of(&published, &[], &[], (8, ROWS)).every, 20);
        let mut late = run.clone();
        late.peers.retain(|row| row.round >= 5);
        assert_eq!(Kept::of(&late, &[], &[], (ROUNDS, ROWS)).every, 1, "the peers came late");
        assert_eq!(sparse(1, u64::MAX, 250, (ROUNDS, ROWS)) % 2, 0, "it ends");
    }
}
