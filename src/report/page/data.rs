//! What the page draws, as JSON: losses by round, pay and numbers by behaviour, statuses by peer, standings.
//!
//! A page that holds the beginning is told only what has come since, so that following a run costs little.

use std::collections::BTreeMap;

use serde::Serialize;

use super::about::About;
use super::behaviours::{Behaviour, Groups};
use super::kept::{Kept, of_round};
use super::numbers::{Number, Numbers};
use crate::Uid;
use crate::mechanism::Status;
use crate::report::{LeaderboardRow, PeerRow};

/// Up to this many uids, the page gets the pay of each.
const FEW: usize = 40;

/// What a page holds already: numbers of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub generation: u64,
    pub rounds: usize,
    pub baseline: usize,
    pub backdoor: usize,
    /// Kept rounds with peers.
    pub kept: usize,
    pub finished: bool,
}

impl Held {
    /// All that there is.
    pub fn all(kept: &Kept, generation: u64) -> Self {
        Self {
            generation,
            rounds: kept.run.rounds.len(),
            baseline: kept.run.baseline.len(),
            backdoor: kept.backdoor.len(),
            kept: rounds_of(&kept.run.peers).len(),
            finished: kept.run.manifest.finished,
        }
    }

    /// Whether all of it is the beginning of what there is.
    fn is_beginning_of(&self, all: &Self) -> bool {
        self.generation == all.generation
            && self.rounds <= all.rounds
            && self.baseline <= all.baseline
            && self.backdoor <= all.backdoor
            && self.kept <= all.kept
    }
}

/// What a page gets.
#[derive(Serialize)]
pub struct Data<'a> {
    generation: u64,
    /// The page drops what it holds.
    anew: bool,
    about: About<'a>,
    rounds: Rounds,
    baseline: Losses,
    backdoor: Losses,
    peers: Peers,
    board: Vec<Line<'a>>,
    latest: Vec<Now>,
    /// The key of each slot's holder, shortened.
    keys: BTreeMap<Uid, &'a str>,
}

#[derive(Default, Serialize)]
struct Rounds {
    round: Vec<u64>,
    loss: Numbers,
    train_loss: Numbers,
    aggregated: Vec<usize>,
    uploads: Vec<usize>,
}

#[derive(Serialize)]
struct Losses {
    round: Vec<u64>,
    loss: Numbers,
}

/// The peers of the kept rounds.
#[derive(Serialize)]
pub struct Peers {
    round: Vec<u64>,
    every: u64,
    behaviours: Vec<Behaviour>,
    /// A letter for each round: the status of each uid.
    status: BTreeMap<Uid, String>,
    /// The pay of each uid, if there are few.
    pay: Option<BTreeMap<Uid, Numbers>>,
}

/// Some rounds of peers, finer than what the page holds.
#[derive(Serialize)]
pub struct Span {
    generation: u64,
    peers: Peers,
}

impl Span {
    /// These rows, which hold one round in `every`.
    pub fn of(kept: &Kept, generation: u64, (every, rows): (u64, &[PeerRow])) -> Self {
        Self { generation, peers: Peers::of(rows, every, &Groups::of(kept), kept.run.manifest.columns.len()) }
    }
}

/// A line of the leaderboard.
#[derive(Serialize)]
struct Line<'a> {
    uid: Uid,
    behaviour: &'a str,
    group: usize,
    #[serde(rename = "final")]
    last: Number,
    total: Number,
    numbers: Numbers,
    aggregated: u64,
    failed: u64,
    registered: Option<u64>,
    work: Number,
    profit: Number,
}

/// A peer in the newest round.
#[derive(Serialize)]
struct Now {
    uid: Uid,
    status: Status,
    aggregated: bool,
    pay: Number,
}

impl<'a> Data<'a> {
    /// All that is kept.
    pub fn all(kept: &'a Kept, generation: u64) -> Self {
        Self::behind(kept, generation, None)
    }

    /// What has come since, or all if the page does not hold the beginning; `None` if there is nothing new.
    pub fn since(kept: &'a Kept, generation: u64, held: Held) -> Option<Self> {
        let all = Held::all(kept, generation);
        (held != all).then(|| Self::behind(kept, generation, Some(held).filter(|held| held.is_beginning_of(&all))))
    }

    fn behind(kept: &'a Kept, generation: u64, from: Option<Held>) -> Self {
        let Held { rounds, baseline, backdoor, kept: seen, .. } = from.unwrap_or_default();
        let groups = Groups::of(kept);
        let run = &kept.run;
        let known = rounds_of(&run.peers);
        let first = known.get(seen).copied().unwrap_or(u64::MAX);
        let new = &run.peers[run.peers.partition_point(|row| row.round < first)..];
        let steps = &run.baseline[baseline..];
        let doors = &kept.backdoor[backdoor..];
        Self {
            generation,
            anew: from.is_none(),
            about: About::of(kept, &groups),
            rounds: rounds_from(kept, rounds),
            baseline: Losses {
                round: steps.iter().map(|row| row.round).collect(),
                loss: steps.iter().map(|row| row.loss.into()).collect(),
            },
            backdoor: Losses {
                round: doors.iter().map(|row| row.round).collect(),
                loss: doors.iter().map(|row| row.success.into()).collect(),
            },
            peers: Peers::of(new, kept.every, &groups, run.manifest.columns.len()),
            board: run.leaderboard.iter().map(|row| line(row, &groups)).collect(),
            latest: kept.latest.iter().map(now).collect(),
            keys: kept.slots.iter().map(|slot| (slot.uid, slot.hotkey.get(..12).unwrap_or(&slot.hotkey))).collect(),
        }
    }
}

impl Peers {
    /// These rounds of peers, with `columns` numbers each.
    pub fn of(rows: &[PeerRow], every: u64, groups: &Groups, columns: usize) -> Self {
        let round = rounds_of(rows);
        let mut status: BTreeMap<Uid, String> = BTreeMap::new();
        for (nth, round) in round.iter().enumerate() {
            for row in of_round(rows, *round) {
                let letters = status.entry(row.uid).or_default();
                // A line twice in a round would shift all that follows.
                letters.truncate(nth);
                letters.extend(std::iter::repeat_n(' ', nth - letters.len()));
                letters.push(letter(row.status, row.aggregated));
            }
        }
        let length = round.len();
        let pay = (status.len() <= FEW).then(|| pay_of(rows, &round));
        status.values_mut().for_each(|letters| letters.extend(std::iter::repeat_n(' ', length - letters.len())));
        Self { behaviours: groups.measured(rows, &round, columns), round, every, status, pay }
    }
}

/// The pay of each uid in each round.
fn pay_of(rows: &[PeerRow], rounds: &[u64]) -> BTreeMap<Uid, Numbers> {
    let mut pay: BTreeMap<Uid, Numbers> = rows.iter().map(|row| (row.uid, vec![Number(None); rounds.len()])).collect();
    for (nth, round) in rounds.iter().enumerate() {
        for row in of_round(rows, *round) {
            if let Some(column) = pay.get_mut(&row.uid) {
                column[nth] = row.incentive.into();
            }
        }
    }
    pay
}

/// A status as a letter: small, or large if the peer was aggregated.
pub fn letter(status: Status, aggregated: bool) -> char {
    let at = Status::ALL.iter().position(|other| *other == status).unwrap_or(0) as u8;
    char::from(if aggregated { b'A' } else { b'a' } + at)
}

/// The rounds of these rows, each once.
pub fn rounds_of(rows: &[PeerRow]) -> Vec<u64> {
    rows.chunk_by(|a, b| a.round == b.round).map(|rows| rows[0].round).collect()
}

fn rounds_from(kept: &Kept, from: usize) -> Rounds {
    let mut rounds = Rounds::default();
    for row in &kept.run.rounds[from..] {
        rounds.round.push(row.round);
        rounds.loss.push(row.loss.into());
        rounds.train_loss.push(row.train_loss.into());
        rounds.aggregated.push(row.aggregated);
        rounds.uploads.push(row.uploads);
    }
    rounds
}

fn line<'a>(row: &'a LeaderboardRow, groups: &Groups) -> Line<'a> {
    Line {
        uid: row.uid,
        behaviour: &row.behaviour,
        group: groups.at(&row.behaviour),
        last: row.incentive_final.into(),
        total: row.incentive_total.into(),
        numbers: row.numbers.iter().map(|number| Number(*number)).collect(),
        aggregated: row.rounds_aggregated,
        failed: row.rounds_failed,
        registered: row.rounds_registered,
        work: row.work.into(),
        profit: row.profit.into(),
    }
}

fn now(row: &PeerRow) -> Now {
    Now { uid: row.uid, status: row.status, aggregated: row.aggregated, pay: row.incentive.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::page::kept::{ROUNDS, ROWS};
    use crate::report::{RunData, sample};

    fn kept(run: &RunData) -> Kept {
        Kept::of(run, &[], &[], (ROUNDS, ROWS))
    }

    fn value(kept: &Kept, held: Option<Held>) -> Option<Value> {
        let data = held.map_or_else(|| Some(Data::all(kept, 0)), |held| Data::since(kept, 0, held));
        data.map(|data| serde_json::to_value(data).unwrap())
    }

    #[test]
    fn the_page_gets_the_numbers_of_the_rows() {
        let run = sample::copycat();
        let all = value(&kept(&run), None).unwrap();
        assert_eq!(all["anew"], true);
        assert_eq!(all["rounds"]["loss"].as_array().unwrap().len(), 150);
        assert_eq!(all["rounds"]["loss"][3], Value::Null);
        assert!((all["rounds"]["loss"][4].as_f64().unwrap() - run.rounds[4].loss.unwrap()).abs() < 1e-6);
        let honest = &all["peers"]["behaviours"][0];
        let paid: f64 = run.peers[16..32].iter().filter(|row| row.behaviour == "honest").map(|row| row.incentive).sum();
        assert!((honest["pay"][1].as_f64().unwrap() - paid).abs() < 1e-6);
        assert_eq!((&honest["label"], &honest["count"][1]), (&"honest".into(), &12.into()));
        let own = run.peers.iter().find(|row| (row.uid, row.round) == (7, 30)).unwrap().incentive;
        assert!((all["peers"]["pay"]["7"][30].as_f64().unwrap() - own).abs() < 1e-6);
        let letters = all["peers"]["status"]["13"].as_str().unwrap();
        let expected: String =
            run.peers.iter().filter(|row| row.uid == 13).map(|row| letter(row.status, row.aggregated)).collect();
        assert!(letters == expected && letters.contains('d'), "{letters}");
        assert_eq!(all["board"][0]["uid"], run.leaderboard[0].uid);
        assert_eq!(all["latest"].as_array().unwrap().len(), 16);
    }

    #[test]
    fn a_page_is_told_only_what_is_new() {
        let run = sample::copycat();
        let whole = kept(&run);
        let mut early = run.clone();
        early.rounds.truncate(140);
        early.peers.truncate(140 * 16);
        early.baseline.truncate(130);
        let early = kept(&early);
        let held = Held::all(&early, 0);
        let (all, first, rest) =
            (value(&whole, None).unwrap(), value(&early, None).unwrap(), value(&whole, Some(held)).unwrap());
        assert_eq!(rest["anew"], false);
        for (table, column) in [("rounds", "loss"), ("baseline", "loss"), ("peers", "round")] {
            let of = |part: &Value| part[table][column].as_array().unwrap().clone();
            assert_eq!([of(&first), of(&rest)].concat(), of(&all), "{table}");
        }
        assert_eq!(rest["peers"]["status"]["3"].as_str().unwrap().len(), 10);
        assert_eq!(rest["peers"]["pay"]["3"].as_array().unwrap().len(), 10);
        assert_eq!(value(&whole, Some(Held::all(&whole, 0))), None);
        let lost = Held { rounds: 1000, ..held };
        assert_eq!(value(&whole, Some(lost)).unwrap()["anew"], true);
        assert_eq!(value(&whole, Some(Held { generation: 1, ..held })).unwrap(), all);
    }

    #[test]
    fn a_peer_that_comes_late_or_twice_keeps_its_place() {
        let mut run = sample::copycat();
        run.peers.retain(|row| row.uid != 5 || (10..20).contains(&row.round));
        let twice = run.peers.iter().position(|row| row.uid == 5 && row.round == 12).unwrap();
        run.peers.insert(twice, run.peers[twice].clone());
        let all = value(&kept(&run), None).unwrap();
        let letters = all["peers"]["status"]["5"].as_str().unwrap();
        assert_eq!((letters.len(), letters[..10].trim(), letters[20..].trim()), (150, "", ""));
        assert!(!letters[10..20].contains(' '));
    }
}
