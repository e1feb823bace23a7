//! Draws from a discrete distribution in constant time: Walker's alias method, as set up by Vose (1991).

/// A distribution over `0..n`.
pub struct Alias {
    /// One entry for each of n equally likely columns. Below this fraction (of 2^32) the column itself is drawn, else
    /// the other.
    columns: Vec<(u32, u32)>,
}

impl Alias {
    /// A distribution proportional to these weights, which must not be empty, negative, or all 0.
    pub fn new(weights: &[f64]) -> Self {
        let scale = weights.len() as f64 / weights.iter().sum::<f64>();
        let mut height: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..height.len()).partition(|&i| height[i] < 1.0);
        let mut columns: Vec<(u32, u32)> = (0..height.len()).map(|i| (u32::MAX, i as u32)).collect();
        while let (Some(short), Some(&tall)) = (small.pop(), large.last()) {
            columns[short] = ((height[short] * 4_294_967_296.0) as u32, tall as u32);
            height[tall] -= 1.0 - height[short];
            if height[tall] < 1.0 {
                large.pop();
                small.push(tall);
            }
        }
        Self { columns }
    }

    /// The outcome for these 32 random bits.
    #[inline]
    pub fn draw(&self, bits: u32) -> usize {
        let product = u64::from(bits) * self.columns.len() as u64;
        let column = (product >> 32) as usize;
        let (threshold, other) = self.columns[column];
        if (product as u32) < threshold { column } else { other as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_as_likely_as_their_weights() {
        let weights = [0.0, 5.0, 1.0, 0.5, 0.25, 3.25];
        let alias = Alias::new(&weights);
        let mut counts = [0usize; 6];
        let draws = 1 << 20;
        (0..draws).for_each(|i| counts[alias.draw((i as u32) << 12 | 0x7ff)] += 1);
        for (count, weight) in counts.iter().zip(weights) {
            assert!((*count as f64 / draws as f64 - weight / 10.0).abs() < 1e-4, "{counts:?}");
        }
    }
}
