//! Whose payloads a strategy mixes in, and where it gets them.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::Uid;
use crate::node::behaviour::Surroundings;
use crate::training::PseudoGradient;
use crate::transport::Hotkey;

/// The part of the put window after which it stops looking: its own upload must not be late.
const LATEST: f64 = 0.8;

/// Where payloads come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Nowhere.
    None,
    /// Other peers' uploads of this round, as far as they are in the bucket when the strategy looks.
    Now,
    /// Other peers' uploads of the round before, which are public.
    Past,
    /// A moving average of `past`.
    Average,
    /// What the operator's other slots made in this round, known before anything is uploaded.
    Operator,
}

/// Which of the other peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// The best paid.
    Best,
    /// Any, drawn anew each round.
    Random,
}

impl Source {
    /// The payloads that can be had now.
    pub async fn payloads(self, around: &Surroundings<'_>, of: Of, top: usize) -> Vec<PseudoGradient> {
        let round = match self {
            Self::None => return Vec::new(),
            Self::Operator => {
                let others = around.own.iter().enumerate().filter(|(slot, _)| *slot != around.slot);
                return others.filter_map(|(_, own)| own.clone()).collect();
            }
            Self::Now => Some(around.round),
            Self::Past | Self::Average => around.round.checked_sub(1),
        };
        let Some(round) = round else { return Vec::new() };
        let (window, clock) = (around.window, &around.ports.clock);
        let latest = window.opens + (window.closes - window.opens).mul_f64(LATEST);
        let mut found = Vec::new();
        for (uid, hotkey) in chosen(around, of).await {
            if found.len() == top || clock.now() >= latest {
                break;
            }
            found.extend(around.upload_of(round, uid, hotkey).await);
        }
        found
    }
}

/// The peers of other operators, in the order in which they are asked.
async fn chosen(around: &Surroundings<'_>, of: Of) -> Vec<(Uid, Hotkey)> {
    let chain = around.ports.chain.view().await;
    let mut others = around.others(&*chain);
    others.retain(|(uid, _)| !around.uids.contains(&Some(*uid)));
    match of {
        Of::Best => others.sort_by(|a, b| chain.incentive(b.0).total_cmp(&chain.incentive(a.0)).then(a.0.cmp(&b.0))),
        Of::Random => others.shuffle(&mut around.rng("strategy sources")),
    }
    others
}
