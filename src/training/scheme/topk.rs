//! The coefficients of largest magnitude, without sorting the chunk.

/// Partial selection over chunks of one size.
///
/// The k-th largest of the maxima of at least k disjoint groups bounds the k-th largest magnitude from below. Few
/// coefficients pass that bound, and only they are sorted.
pub struct TopK {
    k: usize,
    /// Magnitudes as bits, which have the same order.
    maxima: Vec<u32>,
    /// (descending magnitude, index, position) packed, so that ascending order is the order of sending.
    candidates: Vec<u64>,
}

/// Number of coefficients to test together in the search for candidates.
const BLOCK: usize = 32;

impl TopK {
    /// Selects the `k` largest of `size` coefficients, where `k <= size`.
    pub fn new(k: usize, size: usize) -> Self {
        // With few coefficients per group, the bound would be too low to be useful.
        let groups = if 4 * k <= size { (2 * k).next_multiple_of(BLOCK) } else { 0 };
        Self { k, maxima: vec![0; groups], candidates: Vec::with_capacity(size) }
    }

    /// Calls `take(index, position)` for the `k` coefficients of largest magnitude, in descending order. Among equal
    /// ones the lower index comes first. `index[position]` is the index of the coefficient at `position`.
    #[inline(always)]
    pub fn select(&mut self, coefficients: &[f32], index: &[u16], mut take: impl FnMut(u16, u16)) {
        let bound = self.bound(coefficients);
        self.candidates.clear();
        for (block, values) in coefficients.chunks(BLOCK).enumerate() {
            let passing = values.iter().fold(0, |passing, &value| passing | u32::from(magnitude(value) >= bound));
            if passing == 0 {
                continue;
            }
            for (at, &value) in values.iter().enumerate() {
                if magnitude(value) >= bound {
                    let position = block * BLOCK + at;
                    let falling = u64::from(!magnitude(value));
                    self.candidates.push(falling << 32 | u64::from(index[position]) << 16 | position as u64);
                }
            }
        }
        if self.candidates.len() > 2 * self.k {
            self.candidates.select_nth_unstable(self.k - 1);
            self.candidates.truncate(self.k);
        }
        self.candidates.sort_unstable();
        for &key in &self.candidates[..self.k] {
            take((key >> 16) as u16, key as u16);
        }
    }

    /// A magnitude that at least `k` coefficients reach.
    #[inline(always)]
    fn bound(&mut self, coefficients: &[f32]) -> u32 {
        if self.maxima.is_empty() {
            return 0;
        }
        self.maxima.fill(0);
        for row in coefficients.chunks(self.maxima.len()) {
            for (maximum, &value) in self.maxima.iter_mut().zip(row) {
                *maximum = magnitude(value).max(*maximum);
            }
        }
        let place = self.maxima.len() - self.k;
        *self.maxima.select_nth_unstable(place).1
    }
}

#[inline(always)]
fn magnitude(value: f32) -> u32 {
    value.to_bits() & (u32::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(coefficients: &[f32], index: &[u16], k: usize) -> Vec<u16> {
        let mut order: Vec<usize> = (0..coefficients.len()).collect();
        order.sort_by(|&a, &b| coefficients[b].abs().total_cmp(&coefficients[a].abs()).then(index[a].cmp(&index[b])));
        order.iter().take(k).map(|&at| index[at]).collect()
    }

    proptest! {
        /// Few distinct values make many ties.
        #[test]
        fn selection_is_the_head_of_the_sorted_order(
            values in prop::collection::vec(-40i8..40, 1..600), k in 1usize..80, distinct in 1i8..40,
        ) {
            let coefficients: Vec<f32> = values.iter().map(|v| f32::from(v % distinct) / 8.0).collect();
            let k = k.min(values.len());
            let index: Vec<u16> = (0..values.len() as u16).map(|i| values.len() as u16 - 1 - i).collect();
            let mut taken = Vec::new();
            TopK::new(k, values.len()).select(&coefficients, &index, |index, position| {
                assert_eq!(coefficients.len() - 1 - usize::from(position), usize::from(index));
                taken.push(index);
            });
            prop_assert_eq!(taken, sorted(&coefficients, &index, k));
        }
    }
}
