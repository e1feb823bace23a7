//! Invented runs that look like real ones, for tests.

use rand::RngExt;

use super::{BaselineRow, Leaderboard, Manifest, PeerRow, References, RoundRow, RunData, Status};
use crate::Uid;
use crate::digest::Digest;
use crate::mechanism::{self, Column};
use crate::random;
use crate::settings::Kinded;

/// 12 honest peers and 4 copycats over 150 rounds.
pub fn copycat() -> RunData {
    let mut kinds = vec![&HONEST; 12];
    kinds.extend([&BEST, &BEST, &BEST, &RANDOM]);
    make("copycat", &kinds, 150, 1, 5)
}

/// All kinds of peers, most of them honest.
pub fn network(peers: usize, rounds: u64, seed: u64) -> RunData {
    let kinds: Vec<&Kind> =
        (0..peers).map(|index| if index % 5 < 3 { &HONEST } else { &KINDS[index / 2 % KINDS.len()] }).collect();
    make("mixed", &kinds, rounds, seed, 15.min(peers / 2))
}

/// Gauntlet's columns, whose numbers the rows have.
pub fn columns() -> Vec<Column> {
    mechanism::shipped().resolve(&Kinded::of("gauntlet")).expect("a shipped kind").settings.build(0).columns()
}

/// One row, to be modified.
pub fn peer_row() -> PeerRow {
    PeerRow {
        round: 0,
        uid: 0,
        owner: 0,
        behaviour: "honest".into(),
        status: Status::Passed,
        steps_behind: Some(0.0),
        numbers: vec![None, None, Some(25.0), Some(25.0 / 3.0), Some(0.0), Some(0.0)],
        incentive: 0.0,
        aggregated: false,
        tokens: None,
        bytes_up: None,
        bytes_down: None,
    }
}

/// Label, limit of the rating, limit of the proof, kind and frequency of failures.
struct Kind(&'static str, f64, f64, Status, f64);

const HONEST: Kind = Kind("honest", 30.0, 0.95, Status::Absent, 0.01);
const BEST: Kind = Kind("copycat of best", 26.0, 0.05, Status::TooLate, 0.04);
const RANDOM: Kind = Kind("copycat of random", 25.0, 0.0, Status::TooLate, 0.04);
const KINDS: [Kind; 12] = [
    Kind("honest x2", 33.0, 0.98, Status::Absent, 0.01),
    Kind("lazy 0.5", 27.0, 0.9, Status::Absent, 0.01),
    Kind("free-rider", 29.0, 0.0, Status::Absent, 0.01),
    Kind("stale 5", 22.0, 0.6, Status::OutOfSync, 0.97),
    Kind("desync", 22.0, 0.5, Status::OutOfSync, 0.6),
    BEST,
    Kind("offline", 27.0, 0.9, Status::Absent, 0.4),
    Kind("late", 25.0, 0.5, Status::TooLate, 1.0),
    Kind("noise", 16.0, 0.0, Status::Passed, 0.0),
    Kind("sign-flip", 12.0, -0.95, Status::Passed, 0.0),
    Kind("rescaled", 30.0, 0.95, Status::Copy, 0.02),
    Kind("malformed", 20.0, 0.0, Status::Malformed, 1.0),
];

fn make(name: &str, kinds: &[&Kind], rounds: u64, seed: u64, top: usize) -> RunData {
    let toml = format!(
        "name = \"{name}\"\nseed = {seed}\nrounds = {rounds}\npeers = [{{ count = 1 }}]\n[training]\nlr = 3e-3"
    );
    let mut manifest = Manifest::new(toml::from_str(&toml).expect("the settings are valid"), "cpu".into(), 2);
    manifest.rounds_done = rounds;
    manifest.finished = true;
    manifest.digest = Some(Digest::of(name.as_bytes()));
    manifest.initial_loss = Some(5.55);
    manifest.parameters = 139_584;
    manifest.tokens_per_round = 40_960;
    manifest.upload_bytes = 47_000;
    manifest.wall_seconds = 41.25;
    manifest.references = References { entropy_floor: Some(1.386), bigram: Some(2.301), unigram: Some(4.2) };

    let mut rng = random::rng(seed, "sample", 0, 0);
    let mut noise = move |size: f64| size * (rng.random::<f64>() + rng.random::<f64>() - 1.0);
    let fall =
        |from: f64, to: f64, speed: f64, round: u64| to + (from - to) * (-(round as f64) * speed / rounds as f64).exp();
    let (mut round_rows, mut peers, mut baseline) = (Vec::new(), Vec::new(), Vec::new());
    let mut states: Vec<(f64, f64, f64, f64)> = vec![(25.0, 25.0 / 3.0, 0.0, 0.0); kinds.len()];
    for round in 0..rounds {
        let measured = round % 5 == 4 || round + 1 == rounds;
        let lr = 3e-3 * ((round + 1) as f64 / 20.0).min(1.0);
        let loss = measured.then(|| fall(5.55, 1.62, 5.0, round) + noise(0.02));
        round_rows.push(RoundRow {
            round,
            virtual_seconds: 84.0 * (round + 1) as f64,
            lr,
            loss,
            train_loss: Some(fall(5.55, 1.6, 5.0, round) + noise(0.05)),
            aggregated: top,
            uploads: kinds.len(),
            forward_passes: Some(40),
            bytes_up: Some(123_456),
            bytes_down: Some(1_234_567),
            replica_digest: Digest::of(&round.to_le_bytes()),
            average_loss: None,
        });
        let loss = measured.then(|| fall(5.55, 1.55, 7.0, round) + noise(0.02));
        baseline.push(BaselineRow { round, lr, loss, average_loss: None });
        let mut rows: Vec<PeerRow> = Vec::new();
        for (uid, (kind, state)) in kinds.iter().zip(&mut states).enumerate() {
            let failed = noise(1.0).abs() > 0.0 && { (noise(1.0) + 1.0) / 2.0 < kind.4 } || kind.4 >= 1.0;
            let evaluated = !failed && (uid as u64 + round).is_multiple_of(3);
            if evaluated {
                state.1 = (state.1 * state.1 * 0.97 + 0.01).sqrt();
                state.0 += (kind.1 - state.0) * 0.04 + noise(state.1 * 0.25);
                state.2 = (0.95 * state.2 + 0.05 * (kind.2 + noise(1.0))).clamp(-1.0, 1.0);
            }
            state.2 *= if failed { 0.75 } else { 1.0 };
            state.3 = (state.0 - 3.0 * state.1).max(0.0) * state.2.max(0.0);
            rows.push(PeerRow {
                round,
                uid: uid as Uid,
                owner: uid as u32,
                behaviour: kind.0.into(),
                status: if failed { kind.3 } else { Status::Passed },
                steps_behind: (kind.3 != Status::Absent || !failed).then_some(if failed { 5.0 } else { 0.0 }),
                numbers: vec![
                    evaluated.then(|| 0.01 + noise(0.01)),
                    evaluated.then(|| 0.005 + noise(0.01)),
                    Some(state.0),
                    Some(state.1),
                    Some(state.2),
                    Some(state.3),
                ],
                tokens: Some(if kind.0.starts_with("copycat") { 0 } else { 2_048 }),
                bytes_up: Some(7_716),
                bytes_down: Some(77_160),
                ..peer_row()
            });
        }
        pay(&mut rows, top);
        round_rows[round as usize].aggregated = rows.iter().filter(|row| row.aggregated).count();
        peers.extend(rows);
    }
    let leaderboard = Leaderboard::of(&manifest.columns, &peers).rows();
    RunData { name: format!("{name}-{seed}"), manifest, rounds: round_rows, peers, baseline, leaderboard }
}

/// Squares incentives, and aggregates the best peers that passed.
fn pay(rows: &mut [PeerRow], top: usize) {
    let score = |row: &PeerRow| row.numbers[5].unwrap_or(0.0);
    let sum: f64 = rows.iter().map(|row| score(row).powi(2)).sum();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| score(&rows[*b]).total_cmp(&score(&rows[*a])));
    for index in order.into_iter().take(top) {
        rows[index].aggregated = rows[index].status == Status::Passed;
    }
    for row in rows {
        row.incentive = if sum > 0.0 { score(row).powi(2) / sum } else { 0.0 };
    }
}
