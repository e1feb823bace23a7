//! Of which of two gradients there is more in what is a peer's own in its upload.

use super::coefficients::{parameters, unit};
use super::{Basis, PayloadLayout, PseudoGradient, SparseTensor, TensorChunks};

/// Two directions whose squared sine is less than this count as one.
const ONE_DIRECTION: f64 = 1e-9;

/// An upload of size 1 in some tensors.
struct Scaled<'a> {
    payload: &'a PseudoGradient,
    tensors: &'a [usize],
    /// The factor of the values of each of these tensors.
    factors: Vec<f64>,
}

impl<'a> Scaled<'a> {
    fn new(payload: &'a PseudoGradient, basis: Basis, tensors: &'a [usize]) -> Self {
        let of_tensors = || tensors.iter().map(|tensor| &payload.tensors[*tensor]);
        let inverse = |size: f64| if size > 0.0 { 1.0 / size } else { 0.0 };
        let factors: Vec<f64> = of_tensors().map(|sparse| inverse(unit(basis, sparse))).collect();
        let square = |(sparse, factor): (&SparseTensor, &f64)| -> f64 {
            sparse.values.iter().map(|value| (f64::from(*value) * factor).powi(2)).sum()
        };
        let size = of_tensors().zip(&factors).map(square).sum::<f64>().sqrt();
        let factors = factors.into_iter().map(|factor| factor * inverse(size)).collect();
        Self { payload, tensors, factors }
    }

    /// Hands each coefficient of the `at`th of its tensors to `sink`: its place among those of all chunks, and its value.
    fn each(&self, at: usize, chunks: &TensorChunks, mut sink: impl FnMut(usize, f64)) {
        let (sparse, factor) = (&self.payload.tensors[self.tensors[at]], self.factors[at]);
        let of_chunks = sparse.indices.chunks_exact(chunks.k).zip(sparse.values.chunks_exact(chunks.k));
        for (chunk, (indices, values)) in of_chunks.enumerate() {
            let first = chunk * chunks.size();
            indices.iter().zip(values).for_each(|(index, value)| {
                sink(first + usize::from(*index), factor * f64::from(*value));
            });
        }
    }
}

/// What is a peer's own in its upload, in some tensors: the upload without its projection on the sum of others' uploads. What
/// all uploads have in common says nothing of a peer's pages.
///
/// It is in the parameters of the model, whatever payloads consist of.
pub struct OwnPart {
    tensors: Vec<OwnTensor>,
    /// Whether the upload has any.
    is_any: bool,
}

/// What is a peer's own in a tensor.
struct OwnTensor {
    /// Of its first parameter among those of the model.
    start: usize,
    columns: usize,
    /// [rows, columns]
    values: Vec<f32>,
}

impl OwnPart {
    /// Of an upload in these tensors.
    ///
    /// # Panics
    /// If a payload does not pass [`PayloadShape::check`](super::PayloadShape::check).
    pub fn new(layout: &PayloadLayout, tensors: &[usize], upload: &PseudoGradient, others: &[&PseudoGradient]) -> Self {
        let scaled = |payload| Scaled::new(payload, layout.basis, tensors);
        let (upload, others) = (scaled(upload), others.iter().copied().map(scaled).collect::<Vec<_>>());
        let chunks = || tensors.iter().map(|tensor| &layout.chunks.tensors[*tensor]).enumerate();
        let (mut square, mut product) = (0.0, 0.0);
        let sums: Vec<Vec<f64>> = chunks()
            .map(|(at, chunks)| {
                let mut sum = vec![0.0; chunks.chunks() * chunks.size()];
                others.iter().for_each(|other| other.each(at, chunks, |index, value| sum[index] += value));
                square += sum.iter().map(|value| value * value).sum::<f64>();
                upload.each(at, chunks, |index, value| product += value * sum[index]);
                sum
            })
            .collect();
        let explained = if square > 0.0 { product / square } else { 0.0 };
        let mut squares = 0.0;
        let tensors = chunks().zip(sums).map(|((at, chunks), mut own)| {
            own.iter_mut().for_each(|other| *other *= -explained);
            upload.each(at, chunks, |index, value| own[index] += value);
            squares += own.iter().map(|value| value * value).sum::<f64>();
            OwnTensor {
                start: chunks.range.start,
                columns: chunks.cols,
                values: parameters(chunks, layout.basis, &own),
            }
        });
        Self { tensors: tensors.collect(), is_any: squares > ONE_DIRECTION }
    }

    /// How much more of one gradient than of another is in it, from -1 to 1: the mean over its parameters of
    ///
    /// ```text
    /// sign(own) * (one - other) / (|one| + |other|)
    /// ```
    ///
    /// weighted by |own|. Each parameter tells between two numbers, whatever their size: those of gradients have long
    /// tails, and a few would decide an inner product. To exchange the gradients changes the sign and nothing else. The one
    /// with less noise agrees more with most uploads, so compare gradients of equally many tokens. 0 if nothing is the
    /// peer's own.
    ///
    /// Gradients have a value for each parameter of the model.
    pub fn contrast(&self, one: &[f32], other: &[f32]) -> f64 {
        if self.is_any { self.lines(one, other).whole() } else { 0.0 }
    }

    /// The mean of such contrasts of the rows, that of the columns, or the contrast of all, whichever is nearest to 0; or that of
    /// all, if it has another sign. Each row and each column counts like any other, however much of the upload is in it. So an
    /// upload that lacks some of them has less, and so has one of which most is something else in a few of them.
    pub fn contrast_by_lines(&self, one: &[f32], other: &[f32]) -> f64 {
        if !self.is_any {
            return 0.0;
        }
        let lines = self.lines(one, other);
        let whole = lines.whole();
        let of_lines = [&lines.rows, &lines.columns].map(|lines| Lines::mean(lines));
        let nearest =
            of_lines.into_iter().fold(whole, |nearest, of| if of.abs() < nearest.abs() { of } else { nearest });
        if nearest * whole < 0.0 { whole } else { nearest }
    }

    /// The contrasts of the rows and of the columns of all of its tensors.
    fn lines(&self, one: &[f32], other: &[f32]) -> Lines {
        let mut lines = Lines::default();
        for OwnTensor { start, columns, values } in &self.tensors {
            let [one, other] = [one, other].map(|of| of[*start..][..values.len()].chunks_exact(*columns));
            let mut of_columns = vec![Mean::default(); *columns];
            for ((own, one), other) in values.chunks_exact(*columns).zip(one).zip(other) {
                let mut row = Mean::default();
                for (((own, one), other), column) in own.iter().zip(one).zip(other).zip(&mut of_columns) {
                    let (own, more) = (f64::from(*own), relative(f64::from(*one), f64::from(*other)));
                    row.add(own, more);
                    column.add(own, more);
                }
                lines.rows.push(row);
            }
            lines.columns.extend(of_columns);
        }
        lines
    }
}

/// The contrast of each line of some matrices: a row or a column.
#[derive(Default)]
struct Lines {
    rows: Vec<Mean>,
    columns: Vec<Mean>,
}

impl Lines {
    /// The mean over lines.
    fn mean(lines: &[Mean]) -> f64 {
        lines.iter().map(Mean::value).sum::<f64>() / lines.len() as f64
    }

    /// The contrast of all that is in the lines.
    fn whole(&self) -> f64 {
        let whole = |sum: Mean, row: &Mean| Mean { sum: sum.sum + row.sum, weights: sum.weights + row.weights };
        self.rows.iter().fold(Mean::default(), whole).value()
    }
}

/// A mean weighted by what is a peer's own.
#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    weights: f64,
}

impl Mean {
    fn add(&mut self, own: f64, more: f64) {
        self.sum += own * more;
        self.weights += own.abs();
    }

    fn value(&self) -> f64 {
        if self.weights > 0.0 { self.sum / self.weights } else { 0.0 }
    }
}

/// The difference of two numbers, relative to their sizes: -1 to 1.
fn relative(one: f64, other: f64) -> f64 {
    let sizes = one.abs() + other.abs();
    if sizes > 0.0 { (one - other) / sizes } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ParamLayout, TensorSpec};
    use crate::training::ChunkLayout;

    /// Two tensors: 4 x 6 values in chunks of 4 x 3, and 5 values in one.
    fn layout(basis: Basis, topk: usize) -> PayloadLayout {
        let tensor =
            |name: &str, shape: &[usize], range| TensorSpec { name: name.into(), shape: shape.to_vec(), range };
        let tensors = vec![tensor("matrix", &[4, 6], 0..24), tensor("vector", &[5], 24..29)];
        let chunks = ChunkLayout::new(&ParamLayout { tensors }, 5, topk).unwrap();
        PayloadLayout { chunks: chunks.into(), basis }
    }

    fn values(salt: usize) -> Vec<f32> {
        (0..29).map(|at| ((at * 7919 + salt * 104_729 + 13) % 1009) as f32 / 1009.0 - 0.5).collect()
    }

    /// All coefficients of these values, tensor after tensor, by the definition of the DCT.
    fn coefficients(layout: &PayloadLayout, values: &[f32]) -> Vec<Vec<f64>> {
        let wave = |at: usize, of: usize, frequency: usize| {
            let scale = (if frequency == 0 { 1.0 } else { 2.0 } / of as f64).sqrt();
            scale * libm::cos(std::f64::consts::PI * (at as f64 + 0.5) * frequency as f64 / of as f64)
        };
        let of_tensor = |tensor: &TensorChunks| {
            let values = &values[tensor.range.clone()];
            let at = |chunk: usize, index: usize| f64::from(values[tensor.corner(chunk) + tensor.offset(index as u16)]);
            let coefficient = |chunk: usize, index: usize| match layout.basis {
                Basis::Values => at(chunk, index),
                Basis::Dct => (0..tensor.size())
                    .map(|other| {
                        let row = wave(other / tensor.width, tensor.height, index / tensor.width);
                        row * wave(other % tensor.width, tensor.width, index % tensor.width) * at(chunk, other)
                    })
                    .sum(),
            };
            (0..tensor.chunks())
                .flat_map(|chunk| (0..tensor.size()).map(move |index| (chunk, index)))
                .map(|(chunk, index)| coefficient(chunk, index))
                .collect()
        };
        layout.chunks.tensors.iter().map(of_tensor).collect()
    }

    /// A payload of all coefficients of these values.
    fn whole(layout: &PayloadLayout, values: &[f32]) -> PseudoGradient {
        let mut payload = layout.chunks.whole(values);
        for (tensor, coefficients) in payload.tensors.iter_mut().zip(coefficients(layout, values)) {
            tensor.values = coefficients.into_iter().map(|value| value as f32).collect();
        }
        payload
    }

    /// What is a peer's own in the first tensor of its upload, up to a factor.
    fn own(upload: &PseudoGradient, layout: &PayloadLayout, others: &[&PseudoGradient]) -> Vec<f64> {
        let own = OwnPart::new(layout, &[0], upload, others);
        let one = |at: usize| (0..29).map(|other| if other == at { 1.0 } else { 0.0 }).collect::<Vec<f32>>();
        (0..24).map(|at| own.contrast(&one(at), &[0.0; 29])).collect()
    }

    fn product(own: &[f64], values: &[f32]) -> f64 {
        own.iter().zip(values).map(|(a, b)| a * f64::from(*b)).sum()
    }

    #[test]
    fn the_parameters_of_all_coefficients_are_the_values() {
        for basis in [Basis::Values, Basis::Dct] {
            let (layout, values) = (layout(basis, 30), values(1));
            for (tensor, coefficients) in layout.chunks.tensors.iter().zip(coefficients(&layout, &values)) {
                let found = parameters(tensor, basis, &coefficients);
                for (found, expected) in found.iter().zip(&values[tensor.range.clone()]) {
                    assert!((found - expected).abs() < 1e-6, "{basis}: {found}, {expected}");
                }
            }
        }
    }

    #[test]
    fn what_others_explain_is_no_ones_own() {
        let (common, own_values) = (values(1), values(3));
        let sum: Vec<f32> = common.iter().zip(&own_values).map(|(common, own)| 2.0 * common + 0.5 * own).collect();
        for basis in [Basis::Values, Basis::Dct] {
            let layout = layout(basis, 30);
            let payload = |values: &[f32]| whole(&layout, values);
            let (upload, others) = (payload(&sum), [payload(&common), payload(&common)]);
            let others: Vec<&PseudoGradient> = others.iter().collect();
            let of = |upload| own(upload, &layout, &others);
            let found = of(&upload);
            assert!(product(&found, &common).abs() < 1e-6, "{basis}");
            assert!(product(&found, &own_values) > 0.1, "{basis}");
            // A copy and nothing at all have nothing of their own.
            for nothing in [others[0], &payload(&[0.0; 29])] {
                assert_eq!(of(nothing), [0.0; 24], "{basis}");
            }
        }
    }

    #[test]
    fn each_parameter_tells_between_two_numbers_whatever_their_size() {
        let layout = layout(Basis::Values, 30);
        let upload = whole(&layout, &[vec![3.0, -1.0], vec![0.0; 27]].concat());
        let own = OwnPart::new(&layout, &[0], &upload, &[]);
        let contrast = |more: [f32; 2], less: [f32; 2]| {
            let [more, less] = [more, less].map(|first| [&first[..], &[7.0; 27]].concat());
            let found = own.contrast(&more, &less);
            assert_eq!(own.contrast(&less, &more), -found);
            found
        };
        // 3 of 4 parts of the upload are in the first parameter.
        let cases = [
            ([1e-3, 0.0], [0.0, 0.0], 0.75),
            ([1e9, 0.0], [0.0, 5.0], 1.0),
            ([3.0, 1.0], [1.0, 1.0], 0.75 * 0.5),
            ([-2.0, -1.0], [2.0, 1.0], -0.75 + 0.25),
            ([2.0, 1.0], [2.0, 1.0], 0.0),
        ];
        for (more, less, expected) in cases {
            let found = contrast(more, less);
            assert!((found - expected).abs() < 1e-6, "{more:?}, {less:?}: {found}");
        }
    }

    /// By lines, how much more of a gradient of ones than of nothing is in an upload of these values by row and column.
    fn by_lines(basis: Basis, value: impl Fn(usize, usize) -> f32) -> f64 {
        let layout = layout(basis, 30);
        let values: Vec<f32> = (0..29).map(|at| if at < 24 { value(at / 6, at % 6) } else { 0.0 }).collect();
        let (upload, ones) = (whole(&layout, &values), [1.0; 29]);
        let own = OwnPart::new(&layout, &[0], &upload, &[]);
        let found = own.contrast_by_lines(&ones, &[0.0; 29]);
        assert_eq!(own.contrast_by_lines(&[0.0; 29], &ones), -found);
        found
    }

    #[test]
    fn rows_and_columns_count_alike_however_much_is_in_them() {
        // A hundred times as much in the first row, and nothing elsewhere.
        let only = |has: fn(usize, usize) -> bool| {
            by_lines(Basis::Values, |row, column| match has(row, column) {
                true if row == 0 => 100.0,
                true => 1.0,
                false => 0.0,
            })
        };
        assert_eq!(only(|_, _| true), 1.0);
        assert_eq!(only(|row, _| row < 2), 0.5);
        assert_eq!(only(|row, _| row == 0), 0.25);
        assert_eq!(only(|_, column| column >= 3), 0.5);
        assert_eq!(only(|row, column| row != 1 && column < 3), 0.5);
        assert_eq!(only(|_, _| false), 0.0);
    }

    #[test]
    fn little_that_agrees_everywhere_does_not_hide_much_that_does_not() {
        for basis in [Basis::Values, Basis::Dct] {
            // The first row disagrees: its share of the rows is a quarter, of the upload nearly all.
            let loud = |size: f32| by_lines(basis, move |row, _| if row == 0 { -size } else { 1.0 });
            assert!((loud(1.0) - 0.5).abs() < 1e-6, "{basis}: {}", loud(1.0));
            assert!(loud(3.0).abs() < 1e-6, "{basis}: {}", loud(3.0));
            assert!((loud(9.0) + 0.5).abs() < 1e-6, "{basis}: {}", loud(9.0));
            assert!((loud(27.0) + 0.8).abs() < 1e-6, "{basis}: {}", loud(27.0));
            assert!((loud(-1000.0) - 1.0).abs() < 1e-6, "{basis}");
            // What has no sign of its own shows nothing, however much agrees in most of the lines.
            let noise = by_lines(basis, |row, column| match row {
                0 if column % 2 == 0 => 1000.0,
                0 => -1000.0,
                _ => 1.0,
            });
            assert!(noise.abs() < 1e-2, "{basis}: {noise}");
        }
    }

    #[test]
    fn any_upload_gives_a_number() {
        let layout = layout(Basis::Values, 2);
        let tensor = |chunks: usize, values: [f32; 2]| SparseTensor {
            indices: [0, 1].repeat(chunks),
            values: values.repeat(chunks),
        };
        let payload = |values| PseudoGradient { tensors: vec![tensor(2, values), tensor(1, values)] };
        for extreme in [[f32::MAX, -f32::MAX], [f32::MIN_POSITIVE / 2.0, 0.0], [0.0, 0.0], [f32::MAX, 1e-40]] {
            let others = [payload([1.0, 2.0]), payload(extreme)];
            let upload = payload(extreme);
            let own = OwnPart::new(&layout, &[0], &upload, &[&others[0], &others[1]]);
            for contrast in [OwnPart::contrast, OwnPart::contrast_by_lines] {
                let found = contrast(&own, &values(4), &values(5));
                assert!((-1.0..=1.0).contains(&found), "{extreme:?}: {found}");
            }
            // Beside one other, something is its own.
            let own = OwnPart::new(&layout, &[0], &upload, &[&others[0]]);
            let found = own.contrast(&values(4), &values(5));
            assert!(found.abs() <= 1.0 && (found != 0.0) == (extreme != [0.0, 0.0]), "{extreme:?}: {found}");
        }
    }
}
