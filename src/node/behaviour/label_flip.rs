//! Trains like an honest peer, but on flipped labels: token V - 1 - t instead of t, for a vocabulary of V (V. Tolpegin,
//! S. Truex, M. E. Gursoy and L. Liu, "Data Poisoning Attacks Against Federated Learning Systems", ESORICS 2020, arXiv
//! 2007.08432; on all labels as in S. P. Karimireddy, L. He and M. Jaggi, ICLR 2022, arXiv 2006.09365).
//!
//! It knows only its own pages.

use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use crate::training::{Labels, Poison};

/// The settings of `label-flip`: it has none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabelFlipSettings {}

impl BehaviourSettings for LabelFlipSettings {
    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(LabelFlip)
    }
}

struct LabelFlip;

impl Behaviour for LabelFlip {
    fn poison(&self, _around: &Surroundings) -> Poison {
        Poison { labels: Labels::Flipped, ..Poison::default() }
    }
}
