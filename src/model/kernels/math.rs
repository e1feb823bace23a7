//! Vector functions: the exponential and dot products.

use super::vector::{LANES, Vector, load};

/// Dot product of two slices of equal length.
#[inline(always)]
pub fn dot<V: Vector>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = V::splat(0.0);
    for at in (0..a.len()).step_by(LANES) {
        sums = load::<V>(a, at, 0.0).multiply_add(load(b, at, 0.0), sums);
    }
    sums.sum()
}

/// e^x within 2 units in the last place. It is 0 below -87.3, where the result would be subnormal, and e^88.3 above
/// 88.3.
///
/// x = n ln 2 + r: evaluates a polynomial in r and adds n to the exponent (Cephes' expf).
#[inline(always)]
pub fn exp<V: Vector>(x: V) -> V {
    // Adding this puts the nearest integer into the low bits of the significand.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Approximates (e^r - 1 - r) / r^2 on [-ln 2 / 2, ln 2 / 2].
    const POLYNOMIAL: [f32; 5] = [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_3e-1];

    let lowest = V::splat(-87.3);
    let clamped = lowest.larger(V::splat(88.3).smaller(x));
    let shifted = clamped.multiply_add(V::splat(std::f32::consts::LOG2_E), V::splat(ROUND));
    let whole = shifted.subtract(V::splat(ROUND));
    let r = whole.multiply_add(V::splat(-LN2_HIGH), clamped);
    let r = whole.multiply_add(V::splat(-LN2_LOW), r);
    let mut p = V::splat(1.987_569_2e-4);
    for coefficient in POLYNOMIAL {
        p = p.multiply_add(r, V::splat(coefficient));
    }
    let p = p.multiply_add(r.multiply(r), r.add(V::splat(1.0)));
    x.zero_below(lowest, p.raise(shifted))
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<V: Vector>(x: V) -> V {
    let one = V::splat(1.0);
    one.divide(one.add(exp(V::splat(0.0).subtract(x))))
}

#[cfg(test)]
mod tests {
    use super::super::vector::{Portable, multiversion, store};
    use super::*;

    #[inline(always)]
    fn exp_of_all<V: Vector>(values: &mut [f32]) {
        for at in (0..values.len()).step_by(LANES) {
            store(exp::<V>(load(values, at, 0.0)), values, at);
        }
    }

    multiversion! {
        fn best_exp<V>(values: &mut [f32]) {
            exp_of_all::<V>(values);
        }
    }

    /// An implementation, applied to all of a slice.
    type Each = fn(&mut [f32]);

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let inputs: Vec<f32> = (-873_000..883_000).map(|i| i as f32 * 1e-4).collect();
        for run in [best_exp as Each, exp_of_all::<Portable>] {
            let mut found = inputs.clone();
            run(&mut found);
            for (&x, &y) in inputs.iter().zip(&found) {
                let exact = (x as f64).exp();
                assert!((y as f64 - exact).abs() <= 2.0 * exact * f32::EPSILON as f64, "exp({x}) = {y}, not {exact}");
            }
        }
    }

    #[test]
    fn exp_at_the_ends() {
        for run in [best_exp as Each, exp_of_all::<Portable>] {
            let mut values = [f32::NEG_INFINITY, -100.0, 0.0, f32::INFINITY, f32::NAN];
            run(&mut values);
            assert_eq!(values[..3], [0.0, 0.0, 1.0]);
            assert!(values[3] > 1e38 && values[3].is_finite() && values[4].is_nan(), "{values:?}");
        }
    }

    #[test]
    fn reductions_take_every_value() {
        multiversion! {
            fn best_dot<V>(a: &[f32], b: &[f32], out: &mut f32) {
                *out = dot::<V>(a, b);
            }
        }
        for count in [0, 1, 15, 16, 17, 40] {
            let values: Vec<f32> = (1..=count).map(|i| i as f32).collect();
            let expected = (count * (count + 1)) as f32;
            let mut found = 0.0;
            best_dot(&values, &vec![2.0; values.len()], &mut found);
            assert_eq!([found, dot::<Portable>(&values, &vec![2.0; values.len()])], [expected; 2]);
        }
    }
}
