//! What a node must know of earlier rounds beside their model: whose turn it is to decide, and which rounds are void.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ports::Clock;
use crate::chain::{ChainView, Objection};
use crate::transport::Hotkey;
use crate::transport::record::RoundRecord;

/// A validator that has stepped in gives those before it this part of a round.
const MOMENT: u32 = 50;
/// A record that is earlier than its author's turn by this much is in turn: a node's clock is nearly the store's.
const CLOCKS_APART: Duration = Duration::from_millis(250);

/// What the validators have agreed on up to a node's model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Agreed {
    /// The author of the last record before the model, if the node knows it.
    author: Option<Hotkey>,
    /// The void rounds before the model that the node has skipped, in ascending order.
    void: Vec<u64>,
}

impl Agreed {
    /// What a node knows of a model that it takes from a checkpoint before round `at`, vouched for by a record of
    /// `author`.
    pub fn at_checkpoint(chain: &dyn ChainView, at: u64, author: Hotkey) -> Self {
        let void = chain.void_rounds().into_iter().filter(|void| *void < at).collect();
        Self { author: Some(author), void }
    }

    /// The author of the last record before the model, if the node knows it.
    pub fn author(&self) -> Option<Hotkey> {
        self.author
    }

    /// After one more round, decided by `author`.
    pub fn followed(&self, author: Hotkey) -> Self {
        Self { author: Some(author), void: self.void.clone() }
    }

    /// After one more round, which is void.
    pub fn skipped(&self, round: u64) -> Self {
        Self { author: self.author, void: [&self.void[..], &[round]].concat() }
    }

    /// For a node that goes on from an older model than the round's.
    pub fn without_author(&self) -> Self {
        Self { author: None, void: self.void.clone() }
    }

    /// Whether the node's model before round `at` is the result of a round that has become void since.
    pub fn is_overruled(&self, chain: &dyn ChainView, at: u64) -> bool {
        chain.void_rounds().into_iter().filter(|void| *void < at).ne(self.void.iter().copied())
    }

    /// When a validator may write the record of a round, since genesis. The first in the succession does so when
    /// everything is there that it judges. The next one waits half a round, the one after it a whole one. The one that
    /// decided last, and those before it, wait only a moment for one another.
    pub fn turn(&self, chain: &dyn ChainView, clock: &Clock, round: u64, who: &Hotkey) -> Option<Duration> {
        let order = chain.succession(round);
        let place_of = |who: &Hotkey| order.iter().position(|(validator, _)| *validator == who.0);
        // With the first, turns are latest: a node that knows no better is never out of turn.
        let acting = self.author.and_then(|author| place_of(&author)).unwrap_or(0);
        let place = place_of(who)?;
        let (closes, length) = (clock.reveal_window(round).closes, clock.round_length());
        Some(match place.checked_sub(acting) {
            None | Some(0) => closes + length / MOMENT * place as u32,
            Some(after) => closes + length / 2 * after as u32,
        })
    }

    /// When all validators of the succession have had their turn, and half a round for it.
    pub fn last_turn(&self, chain: &dyn ChainView, clock: &Clock, round: u64) -> Duration {
        clock.reveal_window(round).closes + clock.round_length() / 2 * chain.succession(round).len() as u32
    }

    /// Whether a record with this stamp was written when it was its author's turn. A node that does not know who decided
    /// the round before accepts it.
    pub fn is_in_turn(&self, chain: &dyn ChainView, clock: &Clock, record: &RoundRecord, stamp: DateTime<Utc>) -> bool {
        if self.author.is_none() && record.round > 0 {
            return true;
        }
        let written = clock.since_genesis(stamp) + clock.stamp_resolution() + CLOCKS_APART;
        self.turn(chain, clock, record.round, &record.validator).is_none_or(|turn| turn <= written)
    }
}

/// The objection to a record.
pub fn objection(record: &RoundRecord, lacks: bool) -> Objection {
    Objection { round: record.round, author: record.validator.0, lacks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{ChainSettings, Snapshot};
    use crate::digest::Digest;

    #[tokio::test(start_paused = true)]
    async fn a_record_is_in_turn_from_its_authors_turn_on() {
        let chain = Snapshot { validators: vec![([1; 32], 2.0), ([2; 32], 1.0)], ..Snapshot::default() };
        let genesis = DateTime::UNIX_EPOCH;
        // Rounds of 84 s; the window of round 3 closes at 341 s.
        let clock = Clock::starting(Duration::ZERO, genesis, &ChainSettings::default(), 10.0);
        let record = |validator: u8| RoundRecord {
            run: Digest::of(b"run"),
            round: 3,
            validator: Hotkey([validator; 32]),
            included: Vec::new(),
            model_before: Digest::of(b"before"),
            model_after: Digest::of(b"after"),
        };
        let is_in_turn = |agreed: &Agreed, validator: u8, at_ms: i64| {
            let stamp = genesis + chrono::TimeDelta::milliseconds(at_ms);
            agreed.is_in_turn(&chain, &clock, &record(validator), stamp)
        };
        let first = Agreed::default().followed(Hotkey([1; 32]));
        let found = [340_700, 340_800, 390_000].map(|at_ms| is_in_turn(&first, 1, at_ms));
        assert_eq!(found, [false, true, true]);
        let found = [341_000, 382_700, 382_800].map(|at_ms| is_in_turn(&first, 2, at_ms));
        assert_eq!(found, [false, false, true], "half a round later");
        let second = Agreed::default().followed(Hotkey([2; 32]));
        assert!(is_in_turn(&second, 2, 342_680) && !is_in_turn(&second, 2, 342_000), "a moment later");
        assert!(is_in_turn(&first.without_author(), 2, 1), "nobody can tell");
    }
}
