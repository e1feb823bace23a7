//! What an attacker computes from: honest work of this round that it can have.
//!
//! The literature lets attackers know what every honest peer sends, before they send anything. Here an attacker knows what
//! a real one could: what others have put into the bucket while the put window is still open, or what its operator's own
//! slots have computed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seam::Surroundings;
use super::strategy::{Of, Source};
use crate::training::PseudoGradient;

/// Whose work it computes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Knows {
    /// The uploads of this round that peers of other operators have put into the bucket by the time at which it looks.
    #[default]
    Window,
    /// What its operator's own slots made of their pages in this round, all of which train.
    Operator,
}

/// The part of the put window that attackers let pass before they look, unless they are told otherwise.
pub const WAIT: f64 = 0.5;

/// What an attacker looks at, and when.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge {
    pub knows: Knows,
    /// The part of the put window that it lets pass before it looks.
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

    /// When its upload starts: at once where it has waited for others.
    pub fn put_at(self, around: &Surroundings) -> Duration {
        match self.knows {
            Knows::Operator => around.put_spread(),
            Knows::Window => around.window.opens,
        }
    }
}
