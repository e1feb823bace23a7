//! Sixteen f32 at a time, on whatever registers the CPU has.
//!
//! The compiler's own vector code is no help here: it leaves the ends of rows, which for small models are all there is,
//! to scalar loops. So kernels are written in terms of [`Vector`], and [`multiversion!`] compiles each for AVX-512, for
//! AVX2 with fused multiply-add, and for any CPU, and picks at run time. All of them keep sixteen partial sums and fold
//! them alike, so results depend on whether the CPU has fused multiply-add and on nothing else: not on the number of
//! threads, nor on the width of a register.

/// Values in a [`Vector`].
pub const LANES: usize = 16;

/// Sixteen f32.
///
/// # Safety
/// Some implementors belong to an instruction set: their methods may only be called in a function compiled for it, on a
/// CPU that has it. [`multiversion!`] sees to that; nothing else names these types.
pub unsafe trait Vector: Copy {
    /// Rows and vectors of the tile of a matrix product whose sums fit in the registers.
    const TILE: (usize, usize);

    fn splat(value: f32) -> Self;
    fn load(values: &[f32; LANES]) -> Self;
    fn store(self, values: &mut [f32; LANES]);
    fn add(self, other: Self) -> Self;
    fn subtract(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
    fn divide(self, other: Self) -> Self;
    /// `self * factor + sum`.
    fn multiply_add(self, factor: Self, sum: Self) -> Self;
    /// The larger of each pair, `other` where one is not a number.
    fn larger(self, other: Self) -> Self;
    /// The smaller of each pair, `other` where one is not a number.
    fn smaller(self, other: Self) -> Self;
    /// 0 where `self < limit`, `otherwise` elsewhere.
    fn zero_below(self, limit: Self, otherwise: Self) -> Self;
    /// Adds the low bits of `shifted`, as a whole number, to the exponent.
    fn raise(self, shifted: Self) -> Self;
    /// Sum of the lanes: of each and the one half of the width on, and so on with the halves.
    fn sum(self) -> f32;
    /// The largest lane.
    fn max(self) -> f32;
}

/// The vector of `values` from `at` on; past their end, `fill`.
#[inline(always)]
pub fn load<V: Vector>(values: &[f32], at: usize, fill: f32) -> V {
    match values[at..].first_chunk() {
        Some(whole) => V::load(whole),
        None => {
            let mut buffer = [fill; LANES];
            buffer[..values.len() - at].copy_from_slice(&values[at..]);
            V::load(&buffer)
        }
    }
}

/// Writes to `values` from `at` on, up to their end.
#[inline(always)]
pub fn store<V: Vector>(vector: V, values: &mut [f32], at: usize) {
    match values[at..].first_chunk_mut() {
        Some(whole) => vector.store(whole),
        None => {
            let mut buffer = [0.0; LANES];
            vector.store(&mut buffer);
            let count = values.len() - at;
            values[at..].copy_from_slice(&buffer[..count]);
        }
    }
}

/// Defines a function generic over [`Vector`] (the name in angle brackets), compiled for each instruction set, called
/// for the CPU's best.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$vector:ident>($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) {
            use $crate::model::kernels::vector;

            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body<$vector: vector::Vector>($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $type),*) {
                    body::<vector::x86::Avx512>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $type),*) {
                    body::<vector::x86::Avx2>($($arg),*)
                }
                if vector::x86::has_avx512() {
                    // SAFETY: the CPU has every feature that the function is compiled for.
                    return unsafe { avx512($($arg),*) };
                }
                if vector::x86::has_avx2() {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body::<vector::Portable>($($arg),*)
        }
    };
}
pub(crate) use multiversion;

/// The arithmetic that kernels run on, for a run's manifest: results of different kinds may differ in their last bits.
pub fn arithmetic() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    let fused = x86::has_avx2();
    #[cfg(not(target_arch = "x86_64"))]
    let fused = HAS_FUSED;
    if fused { "fused multiply-add" } else { "separate multiply and add" }
}

/// Whether every CPU of this architecture has fused multiply-add (the function that stands in for a missing one is far
/// too slow).
const HAS_FUSED: bool = cfg!(target_arch = "aarch64");

/// What every CPU can do; the compiler makes registers of it.
#[derive(Clone, Copy)]
pub struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(mut self, other: Self, combine: impl Fn(f32, f32) -> f32) -> Self {
        for lane in 0..LANES {
            self.0[lane] = combine(self.0[lane], other.0[lane]);
        }
        self
    }

    #[inline(always)]
    fn fold(mut self, combine: impl Fn(f32, f32) -> f32) -> f32 {
        for width in [8, 4, 2, 1] {
            for lane in 0..width {
                self.0[lane] = combine(self.0[lane], self.0[lane + width]);
            }
        }
        self.0[0]
    }
}

// SAFETY: needs no instruction set of its own.
unsafe impl Vector for Portable {
    const TILE: (usize, usize) = (4, 1);

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        Self(*values)
    }
    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        *values = self.0;
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn divide(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    fn multiply_add(mut self, factor: Self, sum: Self) -> Self {
        for lane in 0..LANES {
            let (a, b, c) = (self.0[lane], factor.0[lane], sum.0[lane]);
            self.0[lane] = if HAS_FUSED { a.mul_add(b, c) } else { a * b + c };
        }
        self
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn zero_below(mut self, limit: Self, otherwise: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] = if self.0[lane] < limit.0[lane] { 0.0 } else { otherwise.0[lane] };
        }
        self
    }
    #[inline(always)]
    fn raise(self, shifted: Self) -> Self {
        self.zip(shifted, |a, b| f32::from_bits(a.to_bits().wrapping_add(b.to_bits() << 23)))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        self.fold(|a, b| a + b)
    }
    #[inline(always)]
    fn max(self) -> f32 {
        self.fold(|a, b| if a > b { a } else { b })
    }
}

#[cfg(target_arch = "x86_64")]
#[path = "vector_x86.rs"]
pub mod x86;
