//! Runs as JSON, for programs: the names are those of the CSV columns and of the manifest.

use serde_json::{Map, Value, json};

use super::record::Row;
use super::{PeerRow, RunData, diverged};
use crate::Uid;
use crate::mechanism::Column;

/// What a run is and how it ended, and its leaderboard.
pub fn run(data: &RunData) -> Value {
    let manifest = &data.manifest;
    let scenario = &manifest.scenario;
    let last = |losses: &mut dyn Iterator<Item = Option<f64>>| losses.flatten().last();
    json!({
        "name": scenario.name,
        "mechanism": scenario.registry.mechanisms.kind_of(&scenario.mechanism),
        "seed": manifest.seed,
        "rounds": scenario.rounds,
        "rounds_done": manifest.rounds_done,
        "finished": manifest.finished,
        "digest": manifest.digest,
        "version": manifest.version,
        "bucket": manifest.bucket,
        "device": manifest.device,
        "wall_seconds": manifest.wall_seconds,
        "parameters": manifest.parameters,
        "tokens_per_round": manifest.tokens_per_round,
        "upload_bytes": manifest.upload_bytes,
        "loss": {
            "initial": manifest.initial_loss,
            "network": last(&mut data.rounds.iter().map(|row| row.loss)),
            "baseline": last(&mut data.baseline.iter().map(|row| row.loss)),
            "bigram": manifest.references.bigram,
            "entropy_floor": manifest.references.entropy_floor,
        },
        "diverged": diverged(data).iter().map(ToString::to_string).collect::<Vec<_>>(),
        "honest_pay": manifest.honest_pay,
        "leaderboard": data.leaderboard.iter().map(|row| named(row, &manifest.columns)).collect::<Vec<_>>(),
    })
}

/// The lines of one uid in `peers.csv`; `round` picks one.
pub fn rounds_of(data: &RunData, uid: Uid, round: Option<u64>) -> Vec<Value> {
    let is_asked = |row: &&PeerRow| row.uid == uid && round.is_none_or(|round| row.round == round);
    data.peers.iter().filter(is_asked).map(|row| named(row, &data.manifest.columns)).collect()
}

/// A line of a CSV file, by the names of its columns.
fn named<R: Row>(row: &R, columns: &[Column]) -> Value {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(row) else { return Value::Object(Map::new()) };
    if let Some(Value::Array(numbers)) = fields.remove("numbers") {
        let names = R::own(columns).into_iter().map(|at| columns[at].name.clone());
        fields.extend(names.zip(numbers));
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::report::{LeaderboardRow, sample};

    #[test]
    fn rows_have_the_names_of_the_files() {
        let data = sample::copycat();
        let names = |row: &Value| row.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let told = run(&data);
        let board = told["leaderboard"].as_array().unwrap();
        let header: BTreeSet<_> = LeaderboardRow::header(&data.manifest.columns).into_iter().collect();
        assert_eq!((board.len(), names(&board[0])), (data.leaderboard.len(), header));
        let lasting = LeaderboardRow::own(&data.manifest.columns);
        let mu = lasting.iter().position(|&at| data.manifest.columns[at].name == "rating_mu").unwrap();
        assert_eq!(board[0]["rating_mu"].as_f64(), data.leaderboard[0].numbers[mu]);
        assert_eq!(told["loss"]["network"].as_f64(), data.rounds.iter().rev().find_map(|row| row.loss));
        let rows = rounds_of(&data, 3, None);
        let header: BTreeSet<_> = PeerRow::header(&data.manifest.columns).into_iter().collect();
        assert_eq!((rows.len(), names(&rows[0])), (150, header));
        let one = rounds_of(&data, 3, Some(7));
        assert_eq!((one.len(), &one[0]["round"], &one[0]["status"]), (1, &json!(7), &rows[7]["status"]));
    }
}
