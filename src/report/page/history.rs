//! One peer, as the page shows it: its line of each kept round, who held its slot, and why it was or was not paid.

use serde::Serialize;

use super::data::letter;
use super::kept::Kept;
use super::numbers::{Number, Numbers};
use crate::Uid;
use crate::report::{PeerRow, explain};

/// A slot over the kept rounds.
#[derive(Serialize)]
pub struct History {
    uid: Uid,
    round: Vec<u64>,
    status: String,
    pay: Numbers,
    behind: Numbers,
    /// For each of the mechanism's columns.
    numbers: Vec<Numbers>,
    holders: Vec<Holder>,
    /// What `sim explain` says of the kept rounds.
    story: String,
}

#[derive(Serialize)]
struct Holder {
    from: u64,
    to: u64,
    peer: u32,
    behaviour: String,
    key: Option<String>,
}

impl History {
    /// The history of a slot; `None` if nobody holds it in any kept round.
    pub fn of(kept: &Kept, uid: Uid) -> Option<Self> {
        let rows: Vec<&PeerRow> = kept.run.peers.iter().filter(|row| row.uid == uid).collect();
        if rows.is_empty() {
            return None;
        }
        let holders = rows.chunk_by(|a, b| (a.owner, &a.behaviour) == (b.owner, &b.behaviour));
        let mut story = explain::story(&kept.run, &kept.slots, uid).unwrap_or_else(|error| error.to_string());
        if kept.every > 1 {
            // The folder may have more.
            story = story.replacen("The folder has lines", "The page has lines", 1);
        }
        let column = |at: usize| rows.iter().map(|row| Number(row.numbers.get(at).copied().flatten())).collect();
        Some(Self {
            uid,
            round: rows.iter().map(|row| row.round).collect(),
            status: rows.iter().map(|row| letter(row.status, row.aggregated)).collect(),
            pay: rows.iter().map(|row| row.incentive.into()).collect(),
            behind: rows.iter().map(|row| row.steps_behind.into()).collect(),
            numbers: (0..kept.run.manifest.columns.len()).map(column).collect(),
            holders: holders.map(|rows| holder(kept, rows)).collect(),
            story,
        })
    }

    /// The histories of all slots.
    pub fn all(kept: &Kept) -> Vec<Self> {
        let mut uids: Vec<Uid> = kept.run.peers.iter().map(|row| row.uid).collect();
        uids.sort_unstable();
        uids.dedup();
        uids.into_iter().filter_map(|uid| Self::of(kept, uid)).collect()
    }
}

fn holder(kept: &Kept, rows: &[&PeerRow]) -> Holder {
    let (first, last) = (rows[0], rows[rows.len() - 1]);
    let taken =
        kept.slots.iter().rfind(|slot| (slot.uid, slot.peer) == (first.uid, first.owner) && slot.round <= first.round);
    Holder {
        from: first.round,
        to: last.round,
        peer: first.owner,
        behaviour: first.behaviour.clone(),
        key: taken.map(|slot| slot.hotkey.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::page::kept::{ROUNDS, ROWS};
    use crate::report::{SlotRow, sample};

    #[test]
    fn a_peer_has_its_rows_its_holders_and_its_story() {
        let mut run = sample::copycat();
        run.peers.iter_mut().filter(|row| row.uid == 12 && row.round >= 100).for_each(|row| row.owner = 77);
        let slot = |round, peer| SlotRow { round, uid: 12, peer, hotkey: "ab".repeat(32), behaviour: "x".into() };
        let slots = [slot(0, 12), slot(100, 77)];
        let kept = Kept::of(&run, &slots, &[], (ROUNDS, ROWS));
        let history = History::of(&kept, 12).unwrap();
        assert_eq!((history.round.len(), history.status.len(), history.numbers.len()), (150, 150, 6));
        let own: Vec<f64> = run.peers.iter().filter(|row| row.uid == 12).map(|row| row.incentive).collect();
        assert_eq!(history.pay[149].0, Some(own[149]));
        let holders: Vec<_> = history.holders.iter().map(|holder| (holder.from, holder.to, holder.peer)).collect();
        assert_eq!(holders, [(0, 99, 12), (100, 149, 77)]);
        assert_eq!(history.story, explain::story(&run, &slots, 12).unwrap());
        assert!(History::of(&kept, 16).is_none());
        let few = History::of(&Kept::of(&run, &slots, &[], (ROUNDS, 700)), 12).unwrap().story;
        assert!(few.contains("The page has lines of peers for 37 of 150 rounds; everything below is about"), "{few}");
        assert_eq!(History::all(&kept).len(), 16);
    }
}
