//! `events.jsonl`: what the cluster noted, one JSON object a line, in order of time.

use jiff::Timestamp;
use serde::Deserialize;

use super::IncidentEvent;
use super::error::LineError;
use super::samples::seconds;

/// One line as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine {
    t: EventTime,
    kind: String,
    object: String,
    reason: String,
    #[serde(default = "once")]
    count: u32,
    #[serde(default)]
    note: String,
}

/// Seconds from the start, or RFC 3339.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "whole seconds from spec.start, or an RFC 3339 time")]
enum EventTime {
    Seconds(u32),
    Text(String),
}

/// The events of a file.
///
/// # Errors
/// [`LineError`] for the first line that cannot be taken.
pub(super) fn read(text: &str, start: Timestamp) -> Result<Vec<IncidentEvent>, LineError> {
    let mut events: Vec<IncidentEvent> = Vec::new();
    for (line, text) in (1u64..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let event = event(text, line, start)?;
        if let Some(before) = events.last().filter(|before| before.t_s > event.t_s) {
            return Err(LineError::new(line, "t", format_args!("{} comes after {}; sort the lines by t", event.t_s, before.t_s)));
        }
        events.push(event);
    }
    Ok(events)
}

fn event(text: &str, line: u64, start: Timestamp) -> Result<IncidentEvent, LineError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let EventLine { t, kind, object, reason, count, note } = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "the line" } else { &path };
        LineError::new(line, field, format_args!("{}; write {EXAMPLE}", error.inner()))
    })?;
    reader.end().map_err(|_| LineError::new(line, "the line", "there is text after the object; write one object a line"))?;
    let t_s = match t {
        EventTime::Seconds(seconds) => seconds,
        EventTime::Text(text) => seconds(&text, start).map_err(|problem| LineError::new(line, "t", problem))?,
    };
    Ok(IncidentEvent { t_s, kind, object, reason, count, note })
}

const EXAMPLE: &str = r#"{"t":60,"kind":"Pod","object":"web-1","reason":"OOMKilling","count":1,"note":""}"#;

const fn once() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Vec<IncidentEvent>, LineError> {
        read(text, "2026-03-02T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_example_of_the_message_is_read_and_count_and_note_may_be_left_out() {
        let text = format!("{EXAMPLE}\n\n{}\n", r#"{"t":"2026-03-02T00:02:00Z","kind":"Node","object":"n","reason":"NotReady"}"#);
        let events = check(&text).unwrap();
        let event = |t_s, kind: &str, object: &str, reason: &str| IncidentEvent {
            t_s,
            kind: kind.into(),
            object: object.into(),
            reason: reason.into(),
            count: 1,
            note: String::new(),
        };
        assert_eq!(events, [event(60, "Pod", "web-1", "OOMKilling"), event(120, "Node", "n", "NotReady")]);
    }

    #[test]
    fn each_broken_line_is_refused_with_its_number_and_field() {
        for (text, line, field) in [
            ("{\"t\":1}\n", 1, "the line"),
            ("\n{\"t\":1,\"kind\":\"Pod\",\"object\":\"a\",\"reason\":\"x\",\"level\":1}", 2, "level"),
            ("{\"t\":1,\"kind\":\"Pod\",\"object\":\"a\",\"reason\":\"x\",\"count\":-1}", 1, "count"),
            ("{\"t\":-1,\"kind\":\"Pod\",\"object\":\"a\",\"reason\":\"x\"}", 1, "t"),
            ("{\"t\":\"noon\",\"kind\":\"Pod\",\"object\":\"a\",\"reason\":\"x\"}", 1, "t"),
            ("{\"t\":1,\"kind\":\"Pod\",\"object\":\"a\",\"reason\":\"x\"} {}", 1, "the line"),
            ("not json", 1, "the line"),
        ] {
            let error = check(text).unwrap_err();
            assert_eq!((error.line, error.field.as_str()), (line, field), "{text}: {error:?}");
        }
        let unsorted = [9, 3].map(|t| format!("{{\"t\":{t},\"kind\":\"Pod\",\"object\":\"a\",\"reason\":\"x\"}}")).join("\n");
        assert_eq!(check(&unsorted).unwrap_err(), LineError::new(2, "t", "3 comes after 9; sort the lines by t"));
    }
}
