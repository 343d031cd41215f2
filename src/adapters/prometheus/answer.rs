//! What the HTTP API answers, read leniently where one sample is odd and strictly where the whole is: an odd sample becomes a fault, an
//! odd answer becomes an error. Leaves out transport.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::domain::signal::SampleFault;

/// Labels of a series.
pub type Labels = BTreeMap<String, String>;

/// One series: of an instant query it has one reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Labels.
    pub labels: Labels,
    /// Readings, oldest first as the server sends them.
    pub readings: Vec<Reading>,
}

/// One sample: when, and what, or why not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Seconds since the epoch.
    pub at: f64,
    /// The value; NaN and infinities are faults already.
    pub value: Result<f64, SampleFault>,
}

/// An answer of status `success`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Series.
    pub rows: Vec<Row>,
    /// Whether the server warned that the answer is incomplete (a Thanos store or a Mimir ingester that is down). `infos` are advice on
    /// style and are not counted.
    pub warned: bool,
}

/// Why a body is no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// Not the API's JSON (a login page, a cut body).
    NotTheApi,
    /// Status `error`, with its `errorType`.
    Refused(String),
    /// A result that is no vector and no matrix.
    WrongShape,
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    error_type: Option<String>,
    #[serde(default)]
    warnings: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default, rename = "resultType")]
    result_type: String,
    #[serde(default)]
    result: ResultRows,
}

/// Series of a vector or a matrix; a scalar or a string has none.
#[derive(Default)]
struct ResultRows(Vec<Row>);

/// Reads the body of an answer.
///
/// # Errors
/// [`AnswerError`] when it is no answer of the API, or one of status `error`.
pub fn read(body: &[u8]) -> Result<Rows, AnswerError> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|_| AnswerError::NotTheApi)?;
    match envelope.status.as_str() {
        "success" => {}
        "error" => return Err(AnswerError::Refused(envelope.error_type.unwrap_or_default().chars().take(40).collect())),
        _ => return Err(AnswerError::NotTheApi),
    }
    let data = envelope.data.ok_or(AnswerError::NotTheApi)?;
    if !matches!(data.result_type.as_str(), "vector" | "matrix") {
        return Err(AnswerError::WrongShape);
    }
    Ok(Rows { rows: data.result.0, warned: envelope.warnings.is_some_and(|w| !w.is_empty()) })
}

/// Prometheus writes a value as a string; what is no number in there is a fault of the sample.
fn parse_value(text: &str) -> Result<f64, SampleFault> {
    let value = text.trim().parse::<f64>().map_err(|_| SampleFault::Malformed)?;
    check(value)
}

fn check(value: f64) -> Result<f64, SampleFault> {
    if value.is_nan() {
        Err(SampleFault::NotANumber)
    } else if value.is_infinite() {
        Err(SampleFault::Infinite)
    } else {
        Ok(value)
    }
}

impl<'de> Deserialize<'de> for ResultRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RowsVisitor;
        impl<'de> Visitor<'de> for RowsVisitor {
            type Value = ResultRows;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of series")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ResultRows, A::Error> {
                let mut rows = Vec::new();
                // A scalar or a string is a list of two plain values, which are no rows.
                while let Some(item) = seq.next_element::<Item>()? {
                    if let Item::Row(row) = item {
                        rows.push(row);
                    }
                }
                Ok(ResultRows(rows))
            }
            fn visit_unit<E: de::Error>(self) -> Result<ResultRows, E> {
                Ok(ResultRows::default())
            }
        }
        deserializer.deserialize_any(RowsVisitor)
    }
}

enum Item {
    Row(Row),
    Other,
}

macro_rules! visit_plain {
    ($value:expr, $($method:ident($type:ty)),*) => {$(
        fn $method<E: de::Error>(self, _: $type) -> Result<Self::Value, E> { Ok($value) }
    )*};
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = Item;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a series")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
                let (mut labels, mut readings) = (Labels::new(), Vec::new());
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "metric" => labels = map.next_value()?,
                        "value" => readings = vec![map.next_value()?],
                        "values" => readings = map.next_value()?,
                        // Native histograms are no single number.
                        "histogram" | "histograms" if readings.is_empty() => {
                            map.next_value::<IgnoredAny>()?;
                            readings = vec![Reading { at: f64::NAN, value: Err(SampleFault::Malformed) }];
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Item::Row(Row { labels, readings }))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Item, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Item::Other)
            }
            visit_plain!(Item::Other, visit_str(&str), visit_f64(f64), visit_u64(u64), visit_i64(i64), visit_bool(bool));
            fn visit_unit<E: de::Error>(self) -> Result<Item, E> {
                Ok(Item::Other)
            }
        }
        deserializer.deserialize_any(ItemVisitor)
    }
}

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ReadingVisitor;
        impl<'de> Visitor<'de> for ReadingVisitor {
            type Value = Reading;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pair of time and value")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Reading, A::Error> {
                let at = seq.next_element::<Number>()?.map_or(Err(SampleFault::Malformed), |n| n.0);
                let value = seq.next_element::<Number>()?.map_or(Err(SampleFault::Malformed), |n| n.0);
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(at.map_or(Reading { at: f64::NAN, value: Err(SampleFault::Malformed) }, |at| Reading { at, value }))
            }
        }
        deserializer.deserialize_seq(ReadingVisitor)
    }
}

/// A number, as a string or bare; anything else is malformed, whatever it is.
struct Number(Result<f64, SampleFault>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl<'de> Visitor<'de> for NumberVisitor {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                Ok(Number(parse_value(text)))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(check(value)))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(Ok(value as f64)))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(Ok(value as f64)))
            }
            visit_plain!(Number(Err(SampleFault::Malformed)), visit_bool(bool));
            fn visit_unit<E: de::Error>(self) -> Result<Number, E> {
                Ok(Number(Err(SampleFault::Malformed)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Number, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Number(Err(SampleFault::Malformed)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Number(Err(SampleFault::Malformed)))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector(results: &str) -> Result<Rows, AnswerError> {
        read(format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{results}]}}}}"#).as_bytes())
    }

    #[test]
    fn a_vector_and_a_matrix_are_read_as_the_api_writes_them() {
        let rows = vector(r#"{"metric":{"pod":"a"},"value":[1700000000.5,"2.5"]}"#).unwrap();
        assert_eq!(rows.rows[0].labels["pod"], "a");
        assert_eq!(rows.rows[0].readings, [Reading { at: 1_700_000_000.5, value: Ok(2.5) }]);
        let matrix = br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[61,"2"]]}]},"warnings":["store down"],"infos":["x"]}"#;
        let rows = read(matrix).unwrap();
        assert_eq!(rows.rows[0].readings.len(), 2);
        assert!(rows.warned);
    }

    #[test]
    fn fault_m02_one_odd_sample_is_a_fault_of_that_sample_alone() {
        for (value, fault) in [
            (r#""NaN""#, SampleFault::NotANumber),
            (r#""+Inf""#, SampleFault::Infinite),
            (r#""-Inf""#, SampleFault::Infinite),
            (r#""five""#, SampleFault::Malformed),
            (r#""""#, SampleFault::Malformed),
            ("null", SampleFault::Malformed),
            ("{}", SampleFault::Malformed),
            ("[1]", SampleFault::Malformed),
        ] {
            let rows = vector(&format!(r#"{{"metric":{{}},"value":[1,{value}]}},{{"metric":{{}},"value":[1,"7"]}}"#)).unwrap();
            assert_eq!(rows.rows[0].readings[0].value, Err(fault), "{value}");
            assert_eq!(rows.rows[1].readings[0].value, Ok(7.0), "{value}");
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error_of_its_kind() {
        assert_eq!(read(b"<html>login</html>"), Err(AnswerError::NotTheApi));
        assert_eq!(read(br#"{"status":"success","data":{"resultType":"vector","result":[{"metric""#), Err(AnswerError::NotTheApi));
        assert_eq!(
            read(br#"{"status":"error","errorType":"execution","error":"too many samples"}"#),
            Err(AnswerError::Refused("execution".into()))
        );
        assert_eq!(read(br#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#), Err(AnswerError::WrongShape));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<f64>().prop_map(|v| serde_json::json!(v)),
            "[a-zNI0-9.+-]{0,6}".prop_map(Into::into)
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map("(status|data|result|resultType|metric|value|values|histogram|[a-z]{1,3})", inner, 0..6)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect()))
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_the_reader_panic(result in any_json(), kind in "(vector|matrix|scalar|string|x)") {
            let body = serde_json::json!({"status": "success", "data": {"resultType": kind, "result": result}}).to_string();
            if let Ok(rows) = read(body.as_bytes()) {
                for reading in rows.rows.iter().flat_map(|r| &r.readings) {
                    prop_assert!(reading.value.is_err() || reading.value.is_ok_and(f64::is_finite));
                }
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body);
        }
    }
}
