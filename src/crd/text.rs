//! Numbers that custom resources write as text: durations, quantities, money, decimals. Their schema bounds the text; reading one gives the
//! domain's unit or an error that names the field.

use std::borrow::Cow;
use std::fmt::Display;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::error::{SpecError, quoted};
use crate::domain::units::{Bytes, GoDuration, MicroUsd, Millicores, parse_thousandths};

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident, $most:literal, $pattern:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl From<&str> for $name {
            fn from(text: &str) -> Self { Self(text.to_owned()) }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> { stringify!($name).into() }
            fn inline_schema() -> bool { true }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "maxLength": $most, "pattern": $pattern })
            }
        }
    )*};
}
texts!(
    /// A Go duration (`250ms`, `1h30m`). CEL's `duration()` reads what the pattern lets through.
    DurationText, 24, r"^([0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h))+$";
    /// CPU or memory as a Kubernetes quantity (`500m`, `1.5Gi`).
    QuantityText, 32, r"^[0-9]{1,19}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$";
    /// US dollars (`12.50`).
    MoneyText, 20, r"^-?[0-9]{1,10}(\.[0-9]{1,6})?$";
    /// A decimal number of at most three places (`99.95`, `2.5`).
    DecimalText, 16, r"^[0-9]{1,9}(\.[0-9]{1,3})?$";
);

impl DurationText {
    /// The duration, if it is no longer than `most`.
    ///
    /// # Errors
    /// [`SpecError`] at `path` when it is no duration, or longer.
    pub fn read(&self, path: &dyn Display, most: GoDuration) -> Result<GoDuration, SpecError> {
        let duration: GoDuration = self.0.parse().map_err(|e| SpecError::new(path, e))?;
        if duration > most {
            return Err(SpecError::new(path, format_args!("{duration} is longer than {most}; write a shorter duration")));
        }
        Ok(duration)
    }

    /// The duration, if it is above zero and no longer than `most`.
    ///
    /// # Errors
    /// [`SpecError`] at `path` when it is no duration, zero, or longer.
    pub fn read_positive(&self, path: &dyn Display, most: GoDuration) -> Result<GoDuration, SpecError> {
        let duration = self.read(path, most)?;
        if duration == GoDuration::default() {
            return Err(SpecError::new(path, "0s is no time at all; write a duration above it, such as 30m"));
        }
        Ok(duration)
    }
}

impl QuantityText {
    /// As CPU.
    ///
    /// # Errors
    /// [`SpecError`] at `path` when it is no quantity.
    pub fn cpu(&self, path: &dyn Display) -> Result<Millicores, SpecError> {
        Millicores::parse(&self.0).map_err(|e| SpecError::new(path, e))
    }

    /// As memory.
    ///
    /// # Errors
    /// [`SpecError`] at `path` when it is no quantity.
    pub fn memory(&self, path: &dyn Display) -> Result<Bytes, SpecError> {
        Bytes::parse(&self.0).map_err(|e| SpecError::new(path, e))
    }
}

impl MoneyText {
    /// The amount, of either sign.
    ///
    /// # Errors
    /// [`SpecError`] at `path` when it is no amount.
    pub fn read(&self, path: &dyn Display) -> Result<MicroUsd, SpecError> {
        self.0.parse().map_err(|e| SpecError::new(path, e))
    }

    /// The amount of a budget, which starts at 0.
    ///
    /// # Errors
    /// [`SpecError`] at `path` when it is no amount, or below zero.
    pub fn budget(&self, path: &dyn Display) -> Result<MicroUsd, SpecError> {
        let amount = self.read(path)?;
        if amount < MicroUsd::default() {
            return Err(SpecError::new(path, format_args!("{} is negative; a budget starts at 0", quoted(&self.0))));
        }
        Ok(amount)
    }

    /// An amount as this text.
    #[must_use]
    pub fn write(amount: MicroUsd) -> Self {
        let sign = if amount.0 < 0 { "-" } else { "" };
        let micro = amount.0.unsigned_abs();
        Self(format!("{sign}{}.{:06}", micro / 1_000_000, micro % 1_000_000))
    }
}

impl DecimalText {
    /// In thousandths, rounded up.
    ///
    /// # Errors
    /// [`SpecError`] at `path` when it is no number, or not between `least` and `most` thousandths.
    pub fn thousandths(&self, path: &dyn Display, least: u64, most: u64) -> Result<u64, SpecError> {
        let value = parse_thousandths(&self.0).map_err(|e| SpecError::new(path, e))?;
        if value < least || value > most {
            let decimal = |thousandths: u64| thousandths as f64 / 1000.0;
            return Err(SpecError::new(
                path,
                format_args!("{} is out of range; write a number from {} to {}", quoted(&self.0), decimal(least), decimal(most)),
            ));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fault_t16_a_budget_is_neither_negative_nor_a_word() {
        let budget = |text: &str| MoneyText::from(text).budget(&"spec.costBudget.perHour").map_err(|e| e.to_string());
        assert_eq!(budget("12.5"), Ok(MicroUsd(12_500_000)));
        assert_eq!(budget("-1"), Err("spec.costBudget.perHour: `-1` is negative; a budget starts at 0".into()));
        for text in ["NaN", "inf", "", "1e30", "ten"] {
            assert!(budget(text).unwrap_err().starts_with("spec.costBudget.perHour: "), "{text}");
        }
    }

    #[test]
    fn a_duration_of_no_length_or_too_much_is_refused() {
        let read = |text: &str| DurationText::from(text).read_positive(&"x", GoDuration::from_mins(60)).map_err(|e| e.to_string());
        assert_eq!(read("30m"), Ok(GoDuration::from_mins(30)));
        assert_eq!(read("0s"), Err("x: 0s is no time at all; write a duration above it, such as 30m".into()));
        assert_eq!(read("61m"), Err("x: 1h1m is longer than 1h; write a shorter duration".into()));
    }

    proptest! {
        #[test]
        fn money_is_read_back_as_it_was_written(micro in -1_000_000_000_000i64..=1_000_000_000_000) {
            prop_assert_eq!(MoneyText::write(MicroUsd(micro)).read(&"x"), Ok(MicroUsd(micro)));
        }
    }
}
