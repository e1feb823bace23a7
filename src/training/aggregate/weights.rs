//! How much each payload counts in an aggregation.

use serde::{Deserialize, Serialize};

use super::seam::MOST_WEIGHT;

/// How much a peer's upload counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weights {
    /// As much as any other.
    #[default]
    Equal,
    /// As much as the pages that it says it was computed from, all of one length: a mean over tokens, as a larger batch
    /// would give (McMahan et al. 2017, arXiv 1602.05629, algorithm 1).
    Tokens,
}

impl Weights {
    /// The weights of payloads that were computed from so many pages each, one or more.
    ///
    /// They are whole numbers in lowest terms, so peers with equally many pages weigh 1 each. If one would be above 255, or
    /// so large that all together could exceed [`MOST_WEIGHT`], it becomes the largest that may be, and the others are
    /// rounded to their part of it, 1 at least.
    pub fn of(self, pages: &[usize]) -> Vec<u8> {
        let largest = (u64::from(MOST_WEIGHT) / pages.len().max(1) as u64).clamp(1, 255);
        let most = pages.iter().copied().max().unwrap_or(1).max(1) as u64;
        let unit = pages.iter().fold(0, |unit, count| greatest_common_divisor(unit, *count as u64)).max(1);
        let weight = |count: u64| match most / unit > largest {
            true => (2 * count * largest + most) / (2 * most),
            false => count / unit,
        };
        match self {
            Self::Equal => vec![1; pages.len()],
            Self::Tokens => pages.iter().map(|count| weight(*count as u64).clamp(1, largest) as u8).collect(),
        }
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::{MOST_WEIGHT, Weights};

    #[test]
    fn tokens_weigh_in_lowest_terms_and_below_256() {
        let tokens = |pages: &[usize]| Weights::Tokens.of(pages);
        assert_eq!(tokens(&[8, 8, 8]), [1, 1, 1]);
        assert_eq!(tokens(&[4, 8, 12]), [1, 2, 3]);
        assert_eq!(tokens(&[192, 193]), [192, 193]);
        assert_eq!(tokens(&[510, 1019, 1, 65_535]), [2, 4, 1, 255], "rounded parts of the largest");
        for peers in [250, 257, 1000, 65_535] {
            let pages: Vec<usize> = (0..peers).map(|peer| 65_535 - peer % 3).collect();
            assert!(tokens(&pages).iter().map(|weight| u32::from(*weight)).sum::<u32>() <= MOST_WEIGHT, "{peers}");
        }
        assert_eq!(tokens(&[]), [0u8; 0]);
        assert_eq!(Weights::Equal.of(&[4, 8]), [1, 1]);
    }
}
