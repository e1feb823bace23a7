//! Ratings of the OpenSkill package, round after round: `plackett_luce.json`.

use std::collections::BTreeMap;
use std::path::Path;

use gauntlet::Uid;
use gauntlet::mechanism::openskill::{OpenSkillSettings, Rating, rate};
use serde::Deserialize;

const RELATIVE: f64 = 1e-9;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    mu0: f64,
    sigma0: f64,
    beta: f64,
    tau: f64,
    kappa: f64,
    rounds: Vec<Round>,
}

#[derive(Deserialize)]
struct Round {
    uids: Vec<Uid>,
    scores: Vec<f64>,
    mu: Vec<f64>,
    sigma: Vec<f64>,
    ordinal: Vec<f64>,
}

#[test]
fn ratings_are_those_of_openskill() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/plackett_luce.json");
    let vectors: Vectors = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!vectors.cases.is_empty());
    for (case_number, case) in vectors.cases.iter().enumerate() {
        let settings =
            OpenSkillSettings { mu: case.mu0, sigma: case.sigma0, beta: case.beta, tau: case.tau, kappa: case.kappa };
        let mut ratings: BTreeMap<Uid, Rating> = BTreeMap::new();
        for (round_number, round) in case.rounds.iter().enumerate() {
            let known = |uid| ratings.get(uid).copied().unwrap_or(Rating::newcomer(&settings));
            let players: Vec<(Rating, f64)> = round.uids.iter().map(known).zip(round.scores.iter().copied()).collect();
            let rated = rate(&settings, &players);
            assert_eq!(rated.len(), round.uids.len());
            for (at, rating) in rated.into_iter().enumerate() {
                let place = format!("case {case_number}, round {round_number}, uid {}", round.uids[at]);
                close(rating.mu, round.mu[at], round.mu[at], &place);
                close(rating.sigma, round.sigma[at], round.sigma[at], &place);
                // The ordinal is a difference that can come near 0: its error is relative to what was subtracted.
                close(rating.ordinal(), round.ordinal[at], round.mu[at], &place);
                ratings.insert(round.uids[at], rating);
            }
        }
    }
}

#[track_caller]
fn close(ours: f64, theirs: f64, scale: f64, place: &str) {
    assert!((ours - theirs).abs() <= RELATIVE * scale.abs(), "{place}: {ours} instead of {theirs}");
}
