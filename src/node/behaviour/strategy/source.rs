//! Which payloads a strategy mixes in, and where it gets them.

use std::sync::Arc;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::Uid;
use crate::node::behaviour::{Claim, Surroundings};
use crate::training::PseudoGradient;
use crate::transport::Hotkey;

/// The part of the put window after which it stops looking, so that its own upload is not late.
const LATEST: f64 = 0.8;

/// Source of the payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// None.
    None,
    /// Other peers' uploads of this round that are in the bucket when the strategy looks.
    Now,
    /// Other peers' uploads of the previous round, which are public.
    Past,
    /// A moving average of `past`.
    Average,
    /// The aggregated payloads of the previous round. Its record names them, so anybody can replay it.
    Aggregate,
    /// Payloads of the operator's other slots in this round, known before any upload.
    Operator,
}

/// Which of the other peers to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// The best paid.
    Best,
    /// Any peers, drawn each round.
    Random,
}

impl Source {
    /// The payloads that are available now.
    pub async fn payloads(self, around: &Surroundings<'_>, of: Of, top: usize) -> Vec<PseudoGradient> {
        let round = match self {
            Self::None => return Vec::new(),
            Self::Aggregate => {
                let Some(before) = around.round.checked_sub(1) else { return Vec::new() };
                return around.aggregated(before).await.into_iter().map(Arc::unwrap_or_clone).collect();
            }
            Self::Operator => {
                let others = around.own.iter().enumerate().filter(|(slot, _)| *slot != around.slot);
                return others.filter_map(|(_, own)| own.clone()).collect();
            }
            Self::Now => Some(around.round),
            Self::Past | Self::Average => around.round.checked_sub(1),
        };
        let Some(round) = round else { return Vec::new() };
        uploads(around, round, of, top).await.into_iter().map(|(_, payload)| payload).collect()
    }
}

/// Up to `top` uploads of other operators' peers for a round, as far as they are in the bucket.
pub async fn uploads(around: &Surroundings<'_>, round: u64, of: Of, top: usize) -> Vec<(Hotkey, PseudoGradient)> {
    let (latest, clock) = (around.part_of_window(LATEST), &around.ports.clock);
    let mut found = Vec::new();
    for (uid, hotkey) in chosen(around, of).await {
        if found.len() == top || clock.now() >= latest {
            break;
        }
        found.extend(around.upload_of(round, uid, hotkey).await.map(|payload| (hotkey, payload)));
    }
    found
}

/// The model claim in the first upload of another operator's peer that is in the bucket.
pub async fn claim(around: &Surroundings<'_>, of: Of) -> Option<Claim> {
    let (latest, clock) = (around.part_of_window(LATEST), &around.ports.clock);
    for (uid, hotkey) in chosen(around, of).await {
        if clock.now() >= latest {
            break;
        }
        if let Some(claim) = around.claim_of(around.round, uid, hotkey).await {
            return Some(claim);
        }
    }
    None
}

/// The peers of other operators, in the order of preference.
async fn chosen(around: &Surroundings<'_>, of: Of) -> Vec<(Uid, Hotkey)> {
    let chain = around.ports.chain.view().await;
    let mut others = around.strangers(&*chain);
    match of {
        Of::Best => others.sort_by(|a, b| chain.incentive(b.0).total_cmp(&chain.incentive(a.0)).then(a.0.cmp(&b.0))),
        Of::Random => others.shuffle(&mut around.rng("strategy sources")),
    }
    others
}
