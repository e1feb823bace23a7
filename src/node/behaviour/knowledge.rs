//! The honest work of this round that an attacker can use.
//!
//! In the literature, attackers know what every honest peer sends before they send anything. Attackers here know only
//! what real ones could: what others have put into the bucket while the put window is still open, or what the
//! operator's own slots have computed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seam::Surroundings;
use super::strategy::{Of, Source};
use crate::training::PseudoGradient;

/// The payloads that an attacker computes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Knows {
    /// This round's uploads of other operators' peers that are in the bucket when it looks.
    #[default]
    Window,
    /// The pseudo-gradients of this round from the operator's own slots, which then all train.
    Operator,
}

/// The part of the put window that attackers wait before they look, unless set otherwise.
pub const WAIT: f64 = 0.5;

/// What an attacker looks at, and when.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge {
    pub knows: Knows,
    /// The part of the put window that it waits before it looks.
    pub wait: f64,
}

impl Knowledge {
    /// Whether its slots train.
    pub fn trains(self) -> bool {
        self.knows == Knows::Operator
    }

    /// The payloads that it computes from.
    pub async fn payloads(self, around: &Surroundings<'_>) -> Vec<PseudoGradient> {
        match self.knows {
            Knows::Operator => around.own.iter().flatten().cloned().collect(),
            Knows::Window => {
                around.ports.clock.sleep_until(around.part_of_window(self.wait)).await;
                Source::Now.payloads(around, Of::Best, usize::MAX).await
            }
        }
    }

    /// When its upload starts: at once if it has waited for others.
    pub fn put_at(self, around: &Surroundings) -> Duration {
        match self.knows {
            Knows::Operator => around.put_spread(),
            Knows::Window => around.window.opens,
        }
    }
}
