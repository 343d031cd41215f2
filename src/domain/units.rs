//! Quantities with their units: CPU, memory, money, durations. What a person or the API server writes is parsed here, once, into
//! integers; floats never carry money or resources across a tick.

use std::fmt;
use std::ops::{Add, AddAssign, Mul, Sub};
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// CPU in thousandths of a core (Kubernetes' `m`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Millicores(pub u64);

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// Money in millionths of a US dollar. A price is this an hour; sums stay exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MicroUsd(pub i64);

/// Why a quantity or a duration could not be read. The text names the value and the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not in the grammar of Kubernetes quantities.
    #[error(
        "`{0}` is not a Kubernetes quantity: write digits, an optional fraction, and one of n u m k M G T P E Ki Mi Gi Ti Pi Ei or an exponent (500m, 1.5Gi, 2e3)"
    )]
    Quantity(String),
    /// A quantity below zero where none can be.
    #[error("`{0}` is negative: CPU and memory start at 0")]
    Negative(String),
    /// Larger than what 64 bits hold.
    #[error("`{0}` is too large: the limit is 2^63-1 of the smallest unit")]
    TooLarge(String),
    /// Not a Go duration.
    #[error("`{0}` is not a duration: write Go's form with a unit, such as 250ms, 45s, 10m, 1h30m, 24h (days as 14d)")]
    Duration(String),
    /// Not an amount of money.
    #[error("`{0}` is not an amount of US dollars: write a number such as 12.50")]
    Money(String),
}

/// The exact value of a Kubernetes quantity, scaled by `10^9` (the API server's smallest unit is nano).
fn parse_nano(text: &str) -> Result<i128, UnitError> {
    let bad = || UnitError::Quantity(shortened(text));
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let digits_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(digits_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return Err(bad());
    }
    // value = mantissa * 10^exponent * 2^shift
    let mut exponent: i32 = -i32::try_from(fraction.len()).map_err(|_| bad())?;
    let mut shift: u32 = 0;
    match suffix {
        "" => {}
        "n" => exponent -= 9,
        "u" => exponent -= 6,
        "m" => exponent -= 3,
        "k" => exponent += 3,
        "M" => exponent += 6,
        "G" => exponent += 9,
        "T" => exponent += 12,
        "P" => exponent += 15,
        "E" => exponent += 18,
        "Ki" => shift = 10,
        "Mi" => shift = 20,
        "Gi" => shift = 30,
        "Ti" => shift = 40,
        "Pi" => shift = 50,
        "Ei" => shift = 60,
        _ => {
            let power = suffix.strip_prefix(['e', 'E']).ok_or_else(bad)?;
            let power = power.strip_prefix('+').unwrap_or(power);
            exponent += power.parse::<i16>().map(i32::from).map_err(|_| bad())?;
        }
    }
    let mut mantissa: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        mantissa = mantissa
            .checked_mul(10)
            .and_then(|m| m.checked_add(i128::from(digit - b'0')))
            .ok_or_else(|| UnitError::TooLarge(shortened(text)))?;
    }
    if mantissa == 0 {
        return Ok(0);
    }
    let too_large = || UnitError::TooLarge(shortened(text));
    mantissa = mantissa.checked_shl(shift).filter(|m| m >> shift == mantissa).ok_or_else(too_large)?;
    let scale = exponent + 9;
    let nano = if scale >= 0 {
        let factor = 10i128.checked_pow(scale.unsigned_abs()).ok_or_else(too_large)?;
        mantissa.checked_mul(factor).ok_or_else(too_large)?
    } else {
        // The API server rounds away from zero what is finer than nano.
        10i128.checked_pow(scale.unsigned_abs()).map_or(1, |divisor| div_ceil(mantissa, divisor))
    };
    Ok(sign * nano)
}

fn div_ceil(value: i128, divisor: i128) -> i128 {
    (value + divisor - 1) / divisor
}

/// Errors quote the input, but never a megabyte of it.
fn shortened(text: &str) -> String {
    let mut out: String = text.chars().take(40).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

fn non_negative(text: &str, unit_in_nano: i128) -> Result<u64, UnitError> {
    let nano = parse_nano(text)?;
    if nano < 0 {
        return Err(UnitError::Negative(shortened(text)));
    }
    let value = div_ceil(nano, unit_in_nano);
    u64::try_from(value).ok().filter(|v| i64::try_from(*v).is_ok()).ok_or_else(|| UnitError::TooLarge(shortened(text)))
}

impl Millicores {
    /// Parses a CPU quantity (`500m`, `1.5`, `2e3m`); finer than a millicore is rounded up, as kubelet does.
    ///
    /// # Errors
    /// [`UnitError`] when the text is no quantity, is negative or too large.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        non_negative(text, 1_000_000).map(Self)
    }

    /// Whole cores, for arithmetic with measured usage.
    #[must_use]
    pub fn cores(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The quantity as Kubernetes writes it.
    #[must_use]
    pub fn quantity(self) -> String {
        if self.0.is_multiple_of(1000) { format!("{}", self.0 / 1000) } else { format!("{}m", self.0) }
    }
}

impl Bytes {
    /// One mebibyte.
    pub const MIB: u64 = 1 << 20;

    /// Parses a memory quantity (`512Mi`, `1.5Gi`, `1e9`); a fraction of a byte is rounded up.
    ///
    /// # Errors
    /// [`UnitError`] when the text is no quantity, is negative or too large.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        non_negative(text, 1_000_000_000).map(Self)
    }

    /// The quantity as Kubernetes writes it, in the largest binary unit that is exact.
    #[must_use]
    pub fn quantity(self) -> String {
        for (shift, suffix) in [(40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")] {
            if self.0 != 0 && self.0 & ((1 << shift) - 1) == 0 {
                return format!("{}{suffix}", self.0 >> shift);
            }
        }
        self.0.to_string()
    }
}

/// Parses a plain count (pods, GPUs) in the grammar of quantities.
///
/// # Errors
/// [`UnitError`] when the text is no quantity, is negative or too large.
pub fn parse_count(text: &str) -> Result<u64, UnitError> {
    non_negative(text, 1_000_000_000)
}

/// Parses a plain decimal (a ratio, a rate, a percentage) in the grammar of quantities, in thousandths; what is finer is rounded up.
///
/// # Errors
/// [`UnitError`] when the text is no quantity, is negative or too large.
pub fn parse_thousandths(text: &str) -> Result<u64, UnitError> {
    non_negative(text, 1_000_000)
}

/// Parses a plain decimal in the grammar of quantities that is finer than a thousandth (core-seconds of one request), to a billionth.
///
/// # Errors
/// [`UnitError`] when the text is no quantity, is negative or too large.
pub fn parse_decimal(text: &str) -> Result<f64, UnitError> {
    non_negative(text, 1).map(|nano| nano as f64 / 1e9)
}

impl MicroUsd {
    /// From dollars as a float, for prices that arrive as JSON numbers. Not finite becomes `None`.
    #[must_use]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let micro = (dollars * 1e6).round();
        (micro.is_finite() && micro.abs() < 9.0e18).then_some(Self(micro as i64))
    }

    /// Dollars, for printing and for arithmetic that ends in a rounding.
    #[must_use]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl FromStr for MicroUsd {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let dollars: f64 = text.trim().trim_start_matches('$').parse().map_err(|_| UnitError::Money(shortened(text)))?;
        Self::from_dollars(dollars).ok_or_else(|| UnitError::Money(shortened(text)))
    }
}

impl fmt::Display for Millicores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.quantity())
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.quantity())
    }
}

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let decimals = if self.0.abs() < 10_000_000 { 4 } else { 2 };
        write!(f, "{sign}${:.decimals$}", self.dollars().abs())
    }
}

macro_rules! arithmetic {
    ($($unit:ident),*) => {$(
        impl Add for $unit {
            type Output = Self;
            fn add(self, other: Self) -> Self { Self(self.0.saturating_add(other.0)) }
        }
        impl AddAssign for $unit {
            fn add_assign(&mut self, other: Self) { *self = *self + other; }
        }
        impl Sub for $unit {
            type Output = Self;
            fn sub(self, other: Self) -> Self { Self(self.0.saturating_sub(other.0)) }
        }
        impl std::iter::Sum for $unit {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self { items.fold(Self::default(), Add::add) }
        }
    )*};
}
arithmetic!(Millicores, Bytes, MicroUsd);

impl Mul<u32> for Millicores {
    type Output = Self;
    fn mul(self, n: u32) -> Self {
        Self(self.0.saturating_mul(u64::from(n)))
    }
}

impl Mul<u32> for Bytes {
    type Output = Self;
    fn mul(self, n: u32) -> Self {
        Self(self.0.saturating_mul(u64::from(n)))
    }
}

impl Mul<i64> for MicroUsd {
    type Output = Self;
    fn mul(self, n: i64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

/// A duration as Go and Kubernetes write it (`250ms`, `45s`, `1h30m`, `24h`); days (`14d`) are read too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub Duration);

impl GoDuration {
    /// A duration of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A duration of whole minutes.
    #[must_use]
    pub const fn from_mins(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }

    /// Seconds, with their fraction.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// The same as jiff's signed duration, for arithmetic on timestamps.
    #[must_use]
    pub fn signed(self) -> jiff::SignedDuration {
        jiff::SignedDuration::try_from(self.0).unwrap_or(jiff::SignedDuration::MAX)
    }
}

impl FromStr for GoDuration {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || UnitError::Duration(shortened(text));
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(bad());
        }
        let mut total = Duration::ZERO;
        while !rest.is_empty() {
            let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
            let value: f64 = rest[..number_end].parse().map_err(|_| bad())?;
            rest = &rest[number_end..];
            let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
            let seconds = match &rest[..unit_end] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return Err(bad()),
            };
            rest = &rest[unit_end..];
            let part = Duration::try_from_secs_f64(value * seconds).map_err(|_| bad())?;
            total = total.checked_add(part).ok_or_else(bad)?;
        }
        // Whole nanoseconds of a float carry noise; nothing here is finer than a microsecond.
        let micros = u64::try_from((total.as_nanos() + 500) / 1000).map_err(|_| bad())?;
        Ok(Self(Duration::from_micros(micros)))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        if micros == 0 {
            return f.write_str("0s");
        }
        if micros < 1_000 {
            return write!(f, "{micros}us");
        }
        if !micros.is_multiple_of(1_000_000) && micros < 1_000_000 {
            return write!(f, "{}ms", micros as f64 / 1000.0);
        }
        let (hours, minutes) = (self.0.as_secs() / 3600, self.0.as_secs() / 60 % 60);
        let seconds = (micros - u128::from(hours * 3600 + minutes * 60) * 1_000_000) as f64 / 1e6;
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        if seconds > 0.0 { write!(f, "{seconds}s") } else { Ok(()) }
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "GoDuration".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "maxLength": 32,
            "pattern": "^(0|([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h|d))+)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_follow_the_api_servers_grammar() {
        let cpu = |t: &str| Millicores::parse(t).map(|v| v.0);
        let memory = |t: &str| Bytes::parse(t).map(|v| v.0);
        assert_eq!(cpu("500m"), Ok(500));
        assert_eq!(cpu("1.5"), Ok(1500));
        assert_eq!(cpu(".5"), Ok(500));
        assert_eq!(cpu("1e3"), Ok(1_000_000));
        assert_eq!(cpu("100u"), Ok(1), "finer than a millicore is rounded up");
        assert_eq!(memory("0.5Gi"), Ok(536_870_912));
        assert_eq!(memory("1Ei"), Ok(1 << 60));
        assert_eq!(memory("128974848000m"), Ok(128_974_848));
        assert_eq!(memory("0"), Ok(0));
    }

    #[test]
    fn fault_g02_bad_quantities_are_refused_with_the_mend() {
        for text in ["100 m", "100MB", "", "m", "1.2.3", "five", "1ki", "Ki", "--1", "1e", "1e99999", "NaN", "0x10"] {
            assert!(Bytes::parse(text).is_err(), "{text} was taken");
            assert!(Millicores::parse(text).is_err(), "{text} was taken");
        }
        assert_eq!(Bytes::parse("-1"), Err(UnitError::Negative("-1".into())));
        assert_eq!(Bytes::parse("8Ei"), Err(UnitError::TooLarge("8Ei".into())));
        assert!(Bytes::parse("100MB").unwrap_err().to_string().contains("100MB"));
    }

    #[test]
    fn a_decimal_is_exact_to_a_billionth() {
        assert_eq!([parse_decimal("8m"), parse_decimal("400u"), parse_decimal("1.5")], [Ok(0.008), Ok(0.0004), Ok(1.5)]);
        assert_eq!(parse_decimal("-1"), Err(UnitError::Negative("-1".into())));
    }

    #[test]
    fn durations_follow_go() {
        let seconds = |t: &str| t.parse::<GoDuration>().map(GoDuration::seconds);
        assert_eq!(seconds("250ms"), Ok(0.25));
        assert_eq!(seconds("1h30m"), Ok(5400.0));
        assert_eq!(seconds("14d"), Ok(1_209_600.0));
        for text in ["", "5", "-1s", "1h ", "s", "1x", "1e9h", "9999999999999h"] {
            let trimmed_is_fine = text.trim() != text;
            assert!(text.parse::<GoDuration>().is_err() != trimmed_is_fine, "{text}");
        }
        for text in ["0s", "250ms", "45s", "1h30m", "24h", "1m30s", "2.5s"] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn fault_g02_no_text_panics(text in "\\PC{0,40}") {
            let _ = Millicores::parse(&text);
            let _ = Bytes::parse(&text);
            let _ = text.parse::<GoDuration>();
            let _ = text.parse::<MicroUsd>();
        }

        #[test]
        fn what_is_printed_is_read_back(value in 0u64..=i64::MAX as u64 / 1000) {
            prop_assert_eq!(Millicores::parse(&Millicores(value).quantity()), Ok(Millicores(value)));
            prop_assert_eq!(Bytes::parse(&Bytes(value).quantity()), Ok(Bytes(value)));
        }
    }
}
