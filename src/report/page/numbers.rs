//! Columns of numbers for the page: rounded to what anybody reads, `null` where nothing is known.

use serde::{Serialize, Serializer};

/// Digits that the page gets of a number. The files have all of them.
const DIGITS: usize = 7;

/// A number of the page; `null` if it is unknown or not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub Option<f64>);

impl Number {
    /// The number with the digits that are shown.
    fn short(self) -> Option<f64> {
        let number = self.0.filter(|number| number.is_finite())?;
        if number == number.trunc() && number.abs() < 1e15 {
            return Some(number);
        }
        format!("{number:.*e}", DIGITS - 1).parse().ok()
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self(Some(number))
    }
}

impl From<Option<f64>> for Number {
    fn from(number: Option<f64>) -> Self {
        Self(number)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.short() {
            // Without the `.0` that a float would have.
            Some(whole) if whole == whole.trunc() && whole.abs() < 1e15 => serializer.serialize_i64(whole as i64),
            Some(number) => serializer.serialize_f64(number),
            None => serializer.serialize_none(),
        }
    }
}

/// A column.
pub type Numbers = Vec<Number>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_break_the_text() {
        let numbers = [0.1 + 0.2, 1.0 / 3e7, -2.0, 123_456_789.0, f64::NAN, f64::INFINITY, 1e300, 0.0];
        let column: Numbers = numbers.into_iter().map(Number::from).chain([Number(None)]).collect();
        let text = serde_json::to_string(&column).unwrap();
        assert_eq!(text, "[0.3,3.333333e-8,-2,123456789,null,null,1e+300,0,null]");
    }
}
