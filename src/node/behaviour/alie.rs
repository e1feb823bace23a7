//! A little is enough: sends the mean of honest work, moved by so few standard deviations that it stays among honest
//! payloads. All colluders move to the same side (G. Baruch, M. Baruch and Y. Goldberg, "A Little Is Enough:
//! Circumventing Defenses For Distributed Learning", NeurIPS 2019, arXiv 1902.06156).

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::knowledge::{Knowledge, Knows, WAIT};
use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use crate::settings::Findings;
use crate::training::PseudoGradient;
use crate::training::coefficients::from_spread;

/// Largest number of standard deviations. Such a move is no longer hidden.
const MOST_DEVIATIONS: f64 = 1e6;

/// The settings of `alie`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlieSettings {
    /// Standard deviations by which every coefficient is moved. Default: as published, from the numbers of peers and of
    /// colluders.
    #[serde(skip_serializing_if = "Option::is_none")]
    z: Option<f64>,
    /// Peers that do the same, including itself. Default: the slots of its operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    colluders: Option<u64>,
    /// The payloads that it computes from.
    knows: Knows,
    /// The part of the put window that it waits before it looks.
    wait: f64,
}

impl Default for AlieSettings {
    fn default() -> Self {
        Self { z: None, colluders: None, knows: Knows::Window, wait: WAIT }
    }
}

impl BehaviourSettings for AlieSettings {
    fn check(&self, found: &mut Findings) {
        if let Some(z) = self.z {
            let expected = format!("-{MOST_DEVIATIONS} to {MOST_DEVIATIONS}");
            found.require(z.abs() <= MOST_DEVIATIONS, "z", z, expected);
        }
        found.at_least_one("colluders", self.colluders.unwrap_or(1));
        found.below_one("wait", self.wait);
    }

    fn build(&self) -> Box<dyn Behaviour> {
        let knowledge = Knowledge { knows: self.knows, wait: self.wait };
        Box::new(Alie { z: self.z, colluders: self.colluders, knowledge })
    }
}

struct Alie {
    z: Option<f64>,
    colluders: Option<u64>,
    knowledge: Knowledge,
}

#[async_trait]
impl Behaviour for Alie {
    fn trains(&self) -> bool {
        self.knowledge.trains()
    }

    async fn pseudo_gradient(&self, _own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        let honest = self.knowledge.payloads(around).await;
        let z = match self.z {
            Some(z) => z,
            None => {
                let peers = around.ports.chain.view().await.peers().len() as u64;
                largest_z(peers, self.colluders.unwrap_or(around.uids.iter().flatten().count() as u64))
            }
        };
        let (network, moved) = (around.network, |mean: f64, deviation: f64| mean - z * deviation);
        from_spread(&network.shape, network.core.basis(), &honest, moved)
    }

    fn put_at(&self, around: &Surroundings) -> Duration {
        self.knowledge.put_at(around)
    }
}

/// The largest z for m colluders of n peers: enough honest payloads still lie further out to form a majority with the
/// colluders. At this z the standard normal distribution is (n - m - s) / (n - m), with s = n / 2 + 1 - m.
fn largest_z(peers: u64, colluders: u64) -> f64 {
    let honest = peers.saturating_sub(colluders).max(1);
    // Colluders that are a majority need no supporters, and no payload can hide beyond the outermost honest one.
    let supporters = (peers / 2 + 1).saturating_sub(colluders).max(1);
    quantile(honest.saturating_sub(supporters) as f64 / honest as f64)
}

/// The standard normal quantile of a probability, within six deviations.
fn quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        let below = 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2);
        if below < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::behaviour::testing::{refused, said};

    #[test]
    fn z_follows_from_the_counts_as_published() {
        // 50 workers, 24 of them corrupt (section 3 of the paper): s = 2, and 24 of 26 are 0.923.
        assert!((largest_z(50, 24) - 1.426).abs() < 1e-3, "{}", largest_z(50, 24));
        // 51 workers with 12: s = 14, (39 - 14) / 39.
        assert!((largest_z(51, 12) - 0.3606).abs() < 1e-3, "{}", largest_z(51, 12));
        assert!(largest_z(10, 9) < -5.0 && largest_z(3, 50) < -5.0, "nobody is left to hide behind");
    }

    #[test]
    fn quantiles_match_the_normal_distribution() {
        for (probability, expected) in [(0.5, 0.0), (0.975, 1.959_964), (0.025, -1.959_964), (0.841_345, 1.0)] {
            assert!((quantile(probability) - expected).abs() < 1e-5, "{probability}: {}", quantile(probability));
        }
    }

    #[test]
    fn settings_are_checked() {
        assert!(refused("{ kind = \"alie\", z = -1.5, colluders = 3, knows = \"operator\" }").is_empty());
        assert_eq!(refused("{ kind = \"alie\", z = 1e7 }"), ["z"]);
        assert_eq!(refused("{ kind = \"alie\", colluders = 0, wait = 1.0 }"), ["colluders", "wait"]);
        assert!(
            !said("\"alie\"").build().trains() && said("{ kind = \"alie\", knows = \"operator\" }").build().trains()
        );
    }
}
