//! The rounds in which a strategy works.

use serde::{Deserialize, Serialize};

use crate::node::behaviour::Surroundings;
use crate::settings::Findings;

/// The newest round whose audits are known for certain when a peer begins with a round, counted back from it.
const KNOWN_LATE: u64 = 2;

/// When it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Works {
    /// In all rounds.
    Always,
    /// In one round of this many.
    Every(u64),
    /// In the turns of its rank's bin, of this many bins. Ranks follow from the pay on the chain and turns from the
    /// round's number, so any peer can compute them, as published.
    BinOf(u64),
    /// While it is not paid.
    Unpaid,
    /// Not in so many rounds after one of which a validator has asked for its work. It knows that in the second round after it.
    AfterAudit(u64),
    /// For this many slots of its operator only, from the first. The other slots send what these have computed.
    Slots(u64),
}

impl Works {
    pub fn check(self, found: &mut Findings) {
        match self {
            Self::Every(rounds) => found.at_least_one("works.every", rounds),
            Self::BinOf(bins) => found.at_least_one("works.bin-of", bins),
            Self::Slots(slots) => found.at_least_one("works.slots", slots),
            Self::AfterAudit(rounds) => found.at_least_one("works.after-audit", rounds),
            Self::Always | Self::Unpaid => {}
        }
    }

    /// Whether it works in this round. `asked` is the last round of which a validator has asked for its work.
    pub async fn now(self, around: &Surroundings<'_>, asked: &mut Option<u64>) -> bool {
        match self {
            Self::Always => true,
            Self::Every(rounds) => around.round.is_multiple_of(rounds),
            Self::BinOf(bins) => {
                let chain = around.ports.chain.view().await;
                let pay = |uid| chain.incentive(uid);
                let uids: Vec<_> = chain.peers().into_iter().map(|(uid, _)| uid).collect();
                let is_ahead =
                    |uid: &u16| pay(*uid) > pay(around.uid) || pay(*uid) == pay(around.uid) && *uid < around.uid;
                let rank = uids.iter().filter(|uid| is_ahead(uid)).count() as u64;
                is_turn(around.round, rank, uids.len() as u64, bins)
            }
            Self::Slots(slots) => (around.slot as u64) < slots,
            Self::AfterAudit(rounds) => {
                if let Some(round) = around.round.checked_sub(KNOWN_LATE)
                    && around.audited(round).await
                {
                    *asked = Some(round);
                }
                asked.is_none_or(|asked| around.round > asked + rounds)
            }
            Self::Unpaid => around.ports.chain.view().await.incentive(around.uid) == 0.0,
        }
    }
}

/// Whether a round is the turn of the bin that holds rank `rank` of `peers`.
fn is_turn(round: u64, rank: u64, peers: u64, bins: u64) -> bool {
    let bins = bins.clamp(1, peers.max(1));
    let turn = round % bins;
    (turn * peers / bins..(turn + 1) * peers / bins).contains(&rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rank_has_one_turn_in_as_many_rounds_as_bins() {
        for rank in 0..16 {
            let turns: Vec<u64> = (0..10).filter(|round| is_turn(*round, rank, 16, 5)).collect();
            assert_eq!(turns.len(), 2, "{rank}: {turns:?}");
        }
        assert!(is_turn(0, 0, 16, 5) && !is_turn(1, 0, 16, 5) && is_turn(4, 15, 16, 5));
        assert!(is_turn(3, 0, 1, 5), "alone, it has every turn");
    }
}
