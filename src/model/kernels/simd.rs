//! Loops that the compiler turns into vector code, compiled once for each instruction set worth having.
//!
//! Sums run in a fixed number of lanes and are folded in a fixed order, whatever the width of a register, so that a result depends on
//! whether the CPU has fused multiply-add and on nothing else: not on the number of threads, and not on AVX2 or AVX-512.

/// Partial sums a reduction keeps.
pub const LANES: usize = 16;

/// The instruction set that kernels run on, for a run's manifest: results of different sets may differ in their last bits.
pub fn instruction_set() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        return "neon";
    }
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        return "fma";
    }
    "baseline"
}

/// Whether the CPU has 256-bit registers and fused multiply-add.
#[cfg(target_arch = "x86_64")]
pub fn has_avx2() -> bool {
    std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")
}

/// Whether the CPU has 512-bit registers as well.
#[cfg(target_arch = "x86_64")]
pub fn has_avx512() -> bool {
    std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512vl")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512dq")
        && has_avx2()
}

/// Defines a function whose body is compiled for AVX-512, for AVX2 with fused multiply-add, and for the baseline, and picks the best at
/// run time. The name in angle brackets is the constant that tells the body whether multiply-add is one instruction.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$fma:ident>($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body<const $fma: bool>($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $type),*) $(-> $result)? {
                    body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    body::<true>($($arg),*)
                }
                if $crate::model::kernels::simd::has_avx512() {
                    // SAFETY: the CPU has every feature that the function is compiled for.
                    return unsafe { avx512($($arg),*) };
                }
                if $crate::model::kernels::simd::has_avx2() {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}
pub(crate) use multiversion;

/// `a * b + c`, in one instruction where there is one (the function that stands in for a missing one is a hundred times slower).
#[inline(always)]
pub fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Sum over `i` of `value(i)`.
#[inline(always)]
pub fn sum(count: usize, value: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let whole = count - count % LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, partial) in lanes.iter_mut().enumerate() {
            *partial += value(start + lane);
        }
    }
    for (lane, partial) in lanes.iter_mut().enumerate().take(count - whole) {
        *partial += value(whole + lane);
    }
    fold(lanes, |a, b| a + b)
}

/// Sum of the products of two slices of one length.
#[inline(always)]
pub fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] = multiply_add::<FMA>(a[lane], b[lane], lanes[lane]);
        }
    }
    for (partial, (&a, &b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *partial = multiply_add::<FMA>(a, b, *partial);
    }
    fold(lanes, |a, b| a + b)
}

/// The largest value; negative infinity of nothing.
#[inline(always)]
pub fn max(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], block[lane]);
        }
    }
    for (partial, &value) in lanes.iter_mut().zip(rest) {
        *partial = larger(*partial, value);
    }
    fold(lanes, larger)
}

#[inline(always)]
fn fold(mut lanes: [f32; LANES], combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = combine(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// e to the power of `x`, within 2 units in the last place; 0 below -87.3 (where the result would be subnormal), e^88.3 above 88.3.
///
/// Without branches or calls, so that a loop of it becomes vector code: x = n ln 2 + r, a polynomial in r, and n added to the exponent.
#[inline(always)]
pub fn exp<const FMA: bool>(x: f32) -> f32 {
    const LOWEST: f32 = -87.3;
    // Adding this leaves the nearest whole number in the low bits of the significand.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Of (e^r - 1 - r) / r^2 on [-ln 2 / 2, ln 2 / 2] (Cephes).
    const POLYNOMIAL: [f32; 6] =
        [1.987_569_2e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_3e-1];

    let clamped = if x > 88.3 { 88.3 } else { x };
    let clamped = if clamped < LOWEST { LOWEST } else { clamped };
    let shifted = multiply_add::<FMA>(clamped, std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let r = multiply_add::<FMA>(whole, -LN2_HIGH, clamped);
    let r = multiply_add::<FMA>(whole, -LN2_LOW, r);
    let mut p = POLYNOMIAL[0];
    for coefficient in &POLYNOMIAL[1..] {
        p = multiply_add::<FMA>(p, r, *coefficient);
    }
    let p = multiply_add::<FMA>(p, r * r, r + 1.0);
    let scaled = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x < LOWEST { 0.0 } else { scaled }
}

#[cfg(test)]
mod tests {
    use super::*;

    multiversion! {
        fn exp_of_all<FMA>(values: &mut [f32]) {
            for value in values {
                *value = exp::<FMA>(*value);
            }
        }
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let inputs: Vec<f32> = (-872_000..883_000).map(|i| i as f32 * 1e-4).collect();
        let mut fast = inputs.clone();
        exp_of_all(&mut fast);
        for (&x, &y) in inputs.iter().zip(&fast) {
            for y in [y, exp::<false>(x)] {
                let exact = (x as f64).exp();
                assert!((y as f64 - exact).abs() <= 2.0 * exact * f32::EPSILON as f64, "exp({x}) = {y}, not {exact}");
            }
        }
    }

    #[test]
    fn exp_at_the_ends() {
        assert_eq!(exp::<false>(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp::<false>(-100.0), 0.0);
        assert_eq!(exp::<false>(0.0), 1.0);
        assert!(exp::<false>(f32::INFINITY) > 1e38);
        assert!(exp::<false>(f32::NAN).is_nan());
    }

    #[test]
    fn reductions_take_every_value() {
        for count in [0, 1, 15, 16, 17, 40] {
            let values: Vec<f32> = (1..=count).map(|i| i as f32).collect();
            let total = (count * (count + 1) / 2) as f32;
            assert_eq!(sum(values.len(), |i| values[i]), total);
            assert_eq!(dot::<false>(&values, &vec![2.0; values.len()]), 2.0 * total);
            assert_eq!(max(&values), if count == 0 { f32::NEG_INFINITY } else { count as f32 });
        }
    }
}
