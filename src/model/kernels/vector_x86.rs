//! Sixteen f32 in registers of AVX-512 or AVX2.

use std::arch::x86_64::*;

use super::{LANES, Vector};

/// Whether the CPU has 256-bit registers and fused multiply-add.
pub fn has_avx2() -> bool {
    std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")
}

/// Whether the CPU has 512-bit registers.
pub fn has_avx512() -> bool {
    std::is_x86_feature_detected!("avx512f") && has_avx2()
}

/// One 512-bit register.
#[derive(Clone, Copy)]
pub struct Avx512(__m512);

// SAFETY: the caller has AVX-512, as the trait demands; pointers are to arrays of sixteen.
unsafe impl Vector for Avx512 {
    const TILE: (usize, usize) = (8, 2);

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        Self(unsafe { _mm512_loadu_ps(values.as_ptr()) })
    }
    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn divide(self, other: Self) -> Self {
        Self(unsafe { _mm512_div_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn multiply_add(self, factor: Self, sum: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        Self(unsafe { _mm512_min_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn zero_below(self, limit: Self, otherwise: Self) -> Self {
        Self(unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(self.0, limit.0), otherwise.0) })
    }
    #[inline(always)]
    fn raise(self, shifted: Self) -> Self {
        Self(unsafe {
            let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted.0));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), exponent))
        })
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        self.halves().sum()
    }
    #[inline(always)]
    fn max(self) -> f32 {
        self.halves().max()
    }
}

impl Avx512 {
    #[inline(always)]
    fn halves(self) -> Avx2 {
        unsafe {
            let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self.0)));
            Avx2(_mm512_castps512_ps256(self.0), high)
        }
    }
}

/// Two 256-bit registers.
#[derive(Clone, Copy)]
pub struct Avx2(__m256, __m256);

// SAFETY: the caller has AVX2 and FMA, as the trait demands; pointers are to arrays of sixteen.
unsafe impl Vector for Avx2 {
    const TILE: (usize, usize) = (4, 1);

    #[inline(always)]
    fn splat(value: f32) -> Self {
        let half = unsafe { _mm256_set1_ps(value) };
        Self(half, half)
    }
    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        unsafe { Self(_mm256_loadu_ps(values.as_ptr()), _mm256_loadu_ps(values.as_ptr().add(8))) }
    }
    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        unsafe {
            _mm256_storeu_ps(values.as_mut_ptr(), self.0);
            _mm256_storeu_ps(values.as_mut_ptr().add(8), self.1);
        }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }
    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        unsafe { Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
    }
    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        unsafe { Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
    }
    #[inline(always)]
    fn divide(self, other: Self) -> Self {
        unsafe { Self(_mm256_div_ps(self.0, other.0), _mm256_div_ps(self.1, other.1)) }
    }
    #[inline(always)]
    fn multiply_add(self, factor: Self, sum: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(self.0, factor.0, sum.0), _mm256_fmadd_ps(self.1, factor.1, sum.1)) }
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        unsafe { Self(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)) }
    }
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        unsafe { Self(_mm256_min_ps(self.0, other.0), _mm256_min_ps(self.1, other.1)) }
    }
    #[inline(always)]
    fn zero_below(self, limit: Self, otherwise: Self) -> Self {
        unsafe {
            let first = _mm256_cmp_ps::<_CMP_NLT_UQ>(self.0, limit.0);
            let second = _mm256_cmp_ps::<_CMP_NLT_UQ>(self.1, limit.1);
            Self(_mm256_and_ps(first, otherwise.0), _mm256_and_ps(second, otherwise.1))
        }
    }
    #[inline(always)]
    fn raise(self, shifted: Self) -> Self {
        unsafe {
            let first = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted.0));
            let second = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted.1));
            Self(
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0), first)),
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.1), second)),
            )
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe {
            let eight = _mm256_add_ps(self.0, self.1);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
    #[inline(always)]
    fn max(self) -> f32 {
        unsafe {
            let eight = _mm256_max_ps(self.0, self.1);
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::math::{dot, exp, sigmoid};
    use super::super::{load, store};
    use super::*;

    #[inline(always)]
    fn functions<V: Vector>(values: &[f32]) -> Vec<u32> {
        let mut results = values.to_vec();
        for at in (0..values.len()).step_by(LANES) {
            let x = load::<V>(values, at, 0.0);
            store(exp(x).add(sigmoid(x)), &mut results, at);
        }
        let whole = load::<V>(values, 0, 0.0);
        results.extend([dot::<V>(values, values), whole.sum(), whole.max()]);
        results.into_iter().map(f32::to_bits).collect()
    }

    #[target_feature(enable = "avx512f")]
    fn avx512(values: &[f32]) -> Vec<u32> {
        functions::<Avx512>(values)
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2(values: &[f32]) -> Vec<u32> {
        functions::<Avx2>(values)
    }

    #[test]
    fn registers_of_both_widths_give_the_same_bits() {
        if has_avx512() {
            let values: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1000) as f32 * 0.013 - 6.5).collect();
            // SAFETY: the CPU has both.
            assert_eq!(unsafe { avx512(&values) }, unsafe { avx2(&values) });
        }
    }
}
