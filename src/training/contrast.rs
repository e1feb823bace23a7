//! Of which of two gradients there is more in what is a peer's own in its upload.

use super::coefficients::{of_chunk, unit};
use super::dct::{FUSED_BASELINE, forward, tables};
use super::{Basis, PayloadLayout, PayloadShape, PseudoGradient, SparseTensor, TensorChunks, TensorShape};

/// Two directions whose squared sine is less than this count as one.
const ONE_DIRECTION: f64 = 1e-9;

/// A whole gradient in the coefficients that payloads consist of: tensor after tensor, chunk after chunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients(Vec<f32>);

impl Coefficients {
    /// Of these values of all parameters, in the order of the model's layout.
    ///
    /// # Panics
    /// If there are fewer values than the layout has.
    pub fn of(layout: &PayloadLayout, values: &[f32]) -> Self {
        let mut coefficients = Vec::with_capacity(layout.chunks.total());
        for tensor in &layout.chunks.tensors {
            let (from, of_tensor) = (coefficients.len(), &values[tensor.range.clone()]);
            for corner in (0..tensor.chunks()).map(|chunk| tensor.corner(chunk)) {
                let rows = of_tensor[corner..].chunks(tensor.cols).take(tensor.height);
                rows.for_each(|row| coefficients.extend_from_slice(&row[..tensor.width]));
            }
            if layout.basis == Basis::Dct {
                transform(tensor, &mut coefficients[from..]);
            }
        }
        Self(coefficients)
    }
}

/// Replaces the values of a tensor's chunks by the coefficients of their DCT.
fn transform(chunks: &TensorChunks, values: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fused(chunks: &TensorChunks, values: &mut [f32]) {
            transform_with::<true>(chunks, values);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has both features.
            return unsafe { fused(chunks, values) };
        }
    }
    transform_with::<FUSED_BASELINE>(chunks, values);
}

#[inline(always)]
fn transform_with<const FUSED: bool>(chunks: &TensorChunks, values: &mut [f32]) {
    let (rows, cols) = (tables::forward(chunks.height), tables::forward(chunks.width));
    let (mut half_done, mut unordered) = (vec![0.0; chunks.size()], vec![0.0; chunks.size()]);
    for chunk in values.chunks_exact_mut(chunks.size()) {
        forward::<FUSED>(rows, cols, chunk, &mut half_done, &mut unordered);
        for (row, unordered) in rows.frequency.iter().zip(unordered.chunks_exact(chunks.width)) {
            for (col, &value) in cols.frequency.iter().zip(unordered) {
                chunk[usize::from(*row) * chunks.width + usize::from(*col)] = value;
            }
        }
    }
}

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

    /// Its coefficients of a chunk of the `at`th of the tensors: indices and values.
    fn chunk(&self, at: usize, shape: &TensorShape, chunk: usize) -> impl Iterator<Item = (usize, f64)> {
        let (tensor, factor) = (&self.payload.tensors[self.tensors[at]], self.factors[at]);
        of_chunk(tensor, shape, chunk).map(move |(index, value)| (index, factor * value))
    }

    /// The sum of the products with a dense chunk.
    fn product(&self, at: usize, shape: &TensorShape, chunk: usize, dense: impl Fn(usize) -> f64) -> f64 {
        self.chunk(at, shape, chunk).map(|(index, value)| value * dense(index)).sum()
    }
}

/// What is a peer's own in its upload, in some tensors: the upload without its projection on the sum of others' uploads. What
/// all uploads have in common says nothing of a peer's pages.
pub struct OwnPart<'a> {
    shape: &'a PayloadShape,
    tensors: &'a [usize],
    /// Uploads, and how often each counts.
    parts: Vec<(f64, Scaled<'a>)>,
}

impl<'a> OwnPart<'a> {
    /// Of an upload in these tensors.
    ///
    /// # Panics
    /// If a payload does not pass [`PayloadShape::check`].
    pub fn new(
        (shape, basis): (&'a PayloadShape, Basis),
        tensors: &'a [usize],
        upload: &'a PseudoGradient,
        others: &[&'a PseudoGradient],
    ) -> Self {
        let scaled = |payload| Scaled::new(payload, basis, tensors);
        let upload = scaled(upload);
        let others: Vec<Scaled> = others.iter().map(|other| scaled(other)).collect();
        let of_others = projection(shape, tensors, &upload, &others);
        let others = others.into_iter().map(|other| (-of_others, other));
        let parts = [(1.0, upload)].into_iter().chain(others).collect();
        Self { shape, tensors, parts }
    }

    /// How much more of one gradient than of another is in it, from -1 to 1: the mean over its coefficients of
    ///
    /// ```text
    /// sign(own) * (one - other) / (|one| + |other|)
    /// ```
    ///
    /// weighted by |own|. Each coefficient tells between two numbers, whatever their size: those of gradients have long
    /// tails, and a few would decide an inner product. To exchange the gradients changes the sign and nothing else. The one
    /// with less noise agrees more with most uploads, so compare gradients of equally many tokens. 0 if nothing is the
    /// peer's own.
    pub fn contrast(&self, one: &Coefficients, other: &Coefficients) -> f64 {
        let (mut sum, mut size, mut squares) = (0.0, 0.0, 0.0);
        let length = |shape: &TensorShape| shape.chunks * shape.chunk_len;
        for (at, &tensor) in self.tensors.iter().enumerate() {
            let shape = &self.shape.tensors[tensor];
            let start: usize = self.shape.tensors[..tensor].iter().map(length).sum();
            let of_tensor = start..start + length(shape);
            let [of_one, of_other] = [one, other].map(|of| of.0[of_tensor.clone()].chunks_exact(shape.chunk_len));
            let mut own = vec![0.0; shape.chunk_len];
            for (chunk, (of_one, of_other)) in of_one.zip(of_other).enumerate() {
                own.fill(0.0);
                for (counts, part) in &self.parts {
                    part.chunk(at, shape, chunk).for_each(|(index, value)| own[index] += counts * value);
                }
                for (value, (&a, &b)) in own.iter().zip(of_one.iter().zip(of_other)) {
                    sum += value * relative(a.into(), b.into());
                    size += value.abs();
                    squares += value * value;
                }
            }
        }
        if squares > ONE_DIRECTION { sum / size } else { 0.0 }
    }
}

/// The difference of two numbers, relative to their sizes: -1 to 1.
fn relative(one: f64, other: f64) -> f64 {
    let sizes = one.abs() + other.abs();
    if sizes > 0.0 { (one - other) / sizes } else { 0.0 }
}

/// How often the sum of the others is in the upload's projection on it.
fn projection(shape: &PayloadShape, tensors: &[usize], upload: &Scaled, others: &[Scaled]) -> f64 {
    let (mut square, mut product) = (0.0, 0.0);
    for (at, &tensor) in tensors.iter().enumerate() {
        let shape = &shape.tensors[tensor];
        let mut sum = vec![0.0; shape.chunk_len];
        for chunk in 0..shape.chunks {
            sum.fill(0.0);
            others.iter().for_each(|other| {
                other.chunk(at, shape, chunk).for_each(|(index, value)| sum[index] += value);
            });
            square += sum.iter().map(|value| value * value).sum::<f64>();
            product += upload.product(at, shape, chunk, |index| sum[index]);
        }
    }
    if square > 0.0 { product / square } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ParamLayout, TensorSpec};
    use crate::training::ChunkLayout;

    /// Two tensors: 4 x 6 values in chunks of 2 x 3, and 5 values in one.
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

    /// A payload of all coefficients of these values.
    fn whole(layout: &PayloadLayout, values: &[f32]) -> PseudoGradient {
        let mut payload = layout.chunks.whole(values);
        let Coefficients(all) = Coefficients::of(layout, values);
        let mut rest = &all[..];
        for tensor in &mut payload.tensors {
            let (of_tensor, others) = rest.split_at(tensor.values.len());
            tensor.values.copy_from_slice(of_tensor);
            rest = others;
        }
        payload
    }

    /// What is a peer's own in the first tensor of its upload, up to a factor.
    fn own(upload: &PseudoGradient, layout: &PayloadLayout, others: &[&PseudoGradient]) -> Vec<f64> {
        let shape = layout.chunks.shape(32);
        let own = OwnPart::new((&shape, layout.basis), &[0], upload, others);
        let nothing = Coefficients(vec![0.0; 29]);
        let one = |at: usize| Coefficients((0..29).map(|other| if other == at { 1.0 } else { 0.0 }).collect());
        (0..24).map(|at| own.contrast(&one(at), &nothing)).collect()
    }

    fn product(own: &[f64], layout: &PayloadLayout, values: &[f32]) -> f64 {
        own.iter().zip(&Coefficients::of(layout, values).0).map(|(a, b)| a * f64::from(*b)).sum()
    }

    #[test]
    fn a_product_of_coefficients_is_one_of_parameters() {
        let (a, b) = (values(1), values(2));
        let expected: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        for basis in [Basis::Values, Basis::Dct] {
            let layout = layout(basis, 30);
            let of_a: Vec<f64> = Coefficients::of(&layout, &a).0.into_iter().map(f64::from).collect();
            let found = product(&of_a, &layout, &b);
            assert!((found - expected).abs() < 1e-5, "{basis}: {found}, {expected}");
        }
    }

    #[test]
    fn coefficients_have_the_indices_of_payloads() {
        let layout = layout(Basis::Dct, 30);
        let TensorChunks { height, width, .. } = layout.chunks.tensors[0];
        for (row, col) in (0..height).flat_map(|row| (0..width).map(move |col| (row, col))) {
            // The basis function of a frequency, in every chunk.
            let wave = |at: usize, of: usize, frequency: usize| {
                libm::cos(std::f64::consts::PI * (at as f64 + 0.5) * frequency as f64 / of as f64) as f32
            };
            let wave = |at: usize| wave(at / 6 % height, height, row) * wave(at % 6 % width, width, col);
            let gradient: Vec<f32> = (0..29).map(|at| if at < 24 { wave(at) } else { 0.0 }).collect();
            let Coefficients(found) = Coefficients::of(&layout, &gradient);
            for (at, value) in found[..24].iter().enumerate() {
                let is_its_own = at % (height * width) == row * width + col;
                assert_eq!(value.abs() > 1e-3, is_its_own, "({row}, {col}) at {at}: {value}");
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
            assert!(product(&found, &layout, &common).abs() < 1e-7, "{basis}");
            assert!(product(&found, &layout, &own_values) > 0.1, "{basis}");
            // A copy and nothing at all have nothing of their own.
            for nothing in [others[0], &payload(&[0.0; 29])] {
                assert_eq!(of(nothing), [0.0; 24], "{basis}");
            }
        }
    }

    #[test]
    fn each_coefficient_tells_between_two_numbers_whatever_their_size() {
        let layout = layout(Basis::Values, 30);
        let (shape, upload) = (layout.chunks.shape(32), whole(&layout, &[vec![3.0, -1.0], vec![0.0; 27]].concat()));
        let own = OwnPart::new((&shape, Basis::Values), &[0], &upload, &[]);
        let contrast = |more: [f32; 2], less: [f32; 2]| {
            let [more, less] = [more, less].map(|first| Coefficients([&first[..], &[7.0; 27]].concat()));
            let found = own.contrast(&more, &less);
            assert_eq!(own.contrast(&less, &more), -found);
            found
        };
        // 3 of 4 parts of the upload are in the first coefficient.
        let cases = [
            ([1e-3, 0.0], [0.0, 0.0], 0.75),
            ([1e9, 0.0], [0.0, 5.0], 1.0),
            ([3.0, 1.0], [1.0, 1.0], 0.75 * 0.5),
            ([-2.0, -1.0], [2.0, 1.0], -0.75 + 0.25),
            ([2.0, 1.0], [2.0, 1.0], 0.0),
        ];
        for (more, less, expected) in cases {
            let found = contrast(more, less);
            assert!((found - expected).abs() < 1e-12, "{more:?}, {less:?}: {found}");
        }
    }

    #[test]
    fn any_upload_gives_a_number() {
        let layout = layout(Basis::Values, 2);
        let shape = layout.chunks.shape(32);
        let tensor = |chunks: usize, values: [f32; 2]| SparseTensor {
            indices: [0, 1].repeat(chunks),
            values: values.repeat(chunks),
        };
        let payload = |values| PseudoGradient { tensors: vec![tensor(4, values), tensor(1, values)] };
        for extreme in [[f32::MAX, -f32::MAX], [f32::MIN_POSITIVE / 2.0, 0.0], [0.0, 0.0], [f32::MAX, 1e-40]] {
            let others = [payload([1.0, 2.0]), payload(extreme)];
            let upload = payload(extreme);
            let own = OwnPart::new((&shape, Basis::Values), &[0], &upload, &[&others[0], &others[1]]);
            let found = own.contrast(&Coefficients(values(4)), &Coefficients(values(5)));
            assert!((-1.0..=1.0).contains(&found), "{extreme:?}: {found}");
            // Beside one other, something is its own.
            let own = OwnPart::new((&shape, Basis::Values), &[0], &upload, &[&others[0]]);
            let found = own.contrast(&Coefficients(values(4)), &Coefficients(values(5)));
            assert!(found.abs() <= 1.0 && (found != 0.0) == (extreme != [0.0, 0.0]), "{extreme:?}: {found}");
        }
    }
}
