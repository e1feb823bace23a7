//! Sixteen f32 at a time, on whatever registers the CPU has.
//!
//! The compiler's own vector code does not help: it leaves the ends of rows to scalar loops, and the rows of small
//! models are all end. So kernels are written in terms of [`Vector`]. [`multiversion!`] compiles each for AVX-512, for
//! AVX2 with fused multiply-add, and for any CPU, and picks one at run time. All versions keep sixteen partial sums and
//! fold them in the same way. So results depend on whether the CPU has fused multiply-add, but not on the number of
//! threads or the width of a register.

/// Values in a [`Vector`].
pub const LANES: usize = 16;

/// Sixteen f32.
///
/// # Safety
/// Some implementors need an instruction set: their methods may only be called in a function compiled for it, on a CPU
/// that has it. [`multiversion!`] ensures this; nothing else names these types.
pub unsafe trait Vector: Copy {
    /// Rows and vectors of a tile of a matrix product, chosen so that its sums fit in the registers.
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
    /// The larger of each pair; `other` where either is NaN.
    fn larger(self, other: Self) -> Self;
    /// The smaller of each pair; `other` where either is NaN.
    fn smaller(self, other: Self) -> Self;
    /// 0 where `self < limit`, otherwise `otherwise`.
    fn zero_below(self, limit: Self, otherwise: Self) -> Self;
    /// Adds the low bits of `shifted`, as an integer, to the exponent.
    fn raise(self, shifted: Self) -> Self;
    /// Sum of the lanes by halving: adds the upper half to the lower one, then again.
    fn sum(self) -> f32;
    /// The largest lane.
    fn max(self) -> f32;
}

/// Loads a vector from `values` at `at`, with `fill` past their end.
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

/// Stores a vector to `values` at `at`, up to their end.
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

/// Defines a function generic over [`Vector`] (the name in angle brackets), compiles it for each instruction set, and
/// calls the best that the CPU has.
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
                    // SAFETY: the CPU has all features that the function is compiled for.
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

/// The kind of arithmetic of the kernels, for a run's manifest. Results of different kinds may differ in the last bits.
pub fn arithmetic() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    let fused = x86::has_avx2();
    #[cfg(not(target_arch = "x86_64"))]
    let fused = HAS_FUSED;
    if fused { "fused multiply-add" } else { "separate multiply and add" }
}

/// Whether all CPUs of this architecture have fused multiply-add. The fallback function for a missing one is far too
/// slow.
const HAS_FUSED: bool = cfg!(target_arch = "aarch64");

/// Portable code, which the compiler maps to registers.
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

// SAFETY: it needs no instruction set.
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
