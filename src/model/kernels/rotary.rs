//! Rotary positions (Su et al., arXiv 2104.09864) in Hugging Face's convention, which pairs value `i` of a head with
//! value `i + size / 2`.

/// Cosines and sines of the angles at each position.
#[derive(Clone, Debug)]
pub struct Rotary {
    /// [positions, head_size / 2], row-major.
    pub cosines: Vec<f32>,
    /// In the same shape.
    pub sines: Vec<f32>,
    /// Width of a head.
    pub head_size: usize,
}

impl Rotary {
    /// The angle of pair `i` at position `t` is `t / theta^(2 i / head_size)`.
    pub fn new(positions: usize, head_size: usize, theta: f64) -> Self {
        let half = head_size / 2;
        let angles = (0..positions * half).map(|at| {
            let exponent = 2.0 * (at % half) as f64 / head_size as f64;
            (at / half) as f64 / libm::pow(theta, exponent)
        });
        let (cosines, sines) = angles.map(|angle| (libm::cos(angle) as f32, libm::sin(angle) as f32)).unzip();
        Self { cosines, sines, head_size }
    }

    /// Rotates the first `heads` heads of each row. Rows are `stride` apart, and row `r` has position `r % length`.
    pub fn apply(&self, rows: &mut [f32], stride: usize, heads: usize, length: usize) {
        self.turn(rows, stride, heads, length, 1.0);
    }

    /// Rotates back, as the backward pass needs.
    pub fn revert(&self, rows: &mut [f32], stride: usize, heads: usize, length: usize) {
        self.turn(rows, stride, heads, length, -1.0);
    }

    fn turn(&self, rows: &mut [f32], stride: usize, heads: usize, length: usize, direction: f32) {
        let half = self.head_size / 2;
        for (index, row) in rows.chunks_exact_mut(stride).enumerate() {
            let start = index % length * half;
            let (cosines, sines) = (&self.cosines[start..start + half], &self.sines[start..start + half]);
            for head in row[..heads * 2 * half].chunks_exact_mut(2 * half) {
                let (first, second) = head.split_at_mut(half);
                for (((first, second), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                    let (a, b, sine) = (*first, *second, direction * sine);
                    *first = a * cosine - b * sine;
                    *second = b * cosine + a * sine;
                }
            }
        }
    }
}
