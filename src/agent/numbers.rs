//! Numbers as a model reads them: four significant digits, whole where they are whole, `null` where there is none.

use serde_json::Value;

use crate::domain::units::{Bytes, MicroUsd, Millicores};

/// Significant digits: more is noise to a reader and costs tokens.
const DIGITS: i32 = 4;

/// A number for a model; not finite is `null`.
#[must_use]
pub fn number(value: f64) -> Value {
    if !value.is_finite() {
        return Value::Null;
    }
    let rounded = significant(value);
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 { Value::from(rounded as i64) } else { Value::from(rounded) }
}

/// The same for a value that may be missing.
#[must_use]
pub fn maybe(value: Option<f64>) -> Value {
    value.map_or(Value::Null, number)
}

/// Dollars.
#[must_use]
pub fn dollars(value: Option<MicroUsd>) -> Value {
    maybe(value.map(MicroUsd::dollars))
}

/// Mebibytes.
#[must_use]
pub fn mebibytes(bytes: Bytes) -> Value {
    number(bytes.0 as f64 / Bytes::MIB as f64)
}

/// Millicores.
#[must_use]
pub fn millicores(cpu: Millicores) -> Value {
    Value::from(cpu.0)
}

fn significant(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let magnitude = value.abs().log10().floor() as i32;
    let places = DIGITS - 1 - magnitude;
    if places <= 0 {
        return value.round();
    }
    // Through text: multiplying by a power of ten leaves 0.30000000000000004 behind.
    format!("{value:.*}", places.unsigned_abs().min(12) as usize).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_carry_four_digits() {
        let read = [0.0, 12.0, 0.123_456, 1234.56, 1_234_567.8, f64::NAN, -0.000_123_46].map(number);
        assert_eq!(read, [json!(0), json!(12), json!(0.1235), json!(1235), json!(1_234_568), json!(null), json!(-0.000_123_5)]);
    }
}
