//! Ledger entries to an answer whose every sentence cites the entries it rests on. No model, no cluster: what is not recorded is not said.

mod question;
mod why;

pub use question::understand;
pub use why::why;

use serde::Serialize;

/// An answer, in the form people and programs read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The sentences, each followed by the records it cites.
    pub answer: String,
    /// What was cited: record, field, value.
    pub evidence: Vec<Citation>,
    /// How far the records carry the answer.
    pub confidence: Confidence,
    /// What would be needed to say more.
    pub unknowns: Vec<String>,
}

/// One field of one ledger entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Citation {
    /// Entry id (`e1042`).
    pub record: String,
    /// Field within it.
    pub field: String,
    /// Its value.
    pub value: String,
}

/// How far the records carry an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Confidence {
    /// The whole line from inputs to outcome is recorded.
    Recorded,
    /// Part of it is.
    Partial,
    /// Nothing is recorded about it.
    None,
}

/// Builds an answer sentence by sentence, so that none is left without its records.
#[derive(Default)]
struct Builder {
    sentences: Vec<String>,
    evidence: Vec<Citation>,
    unknowns: Vec<String>,
}

impl Builder {
    fn say(&mut self, sentence: &str, citations: &[(u64, &str, String)]) {
        let mut records: Vec<u64> = citations.iter().map(|(record, _, _)| *record).collect();
        records.sort_unstable();
        records.dedup();
        let cited: Vec<String> = records.iter().map(|r| format!("e{r}")).collect();
        self.sentences.push(format!("{sentence} [{}]", cited.join(", ")));
        for (record, field, value) in citations {
            let citation = Citation { record: format!("e{record}"), field: (*field).to_owned(), value: value.clone() };
            if !self.evidence.contains(&citation) {
                self.evidence.push(citation);
            }
        }
    }

    fn unknown(&mut self, what: &str) {
        self.unknowns.push(what.to_owned());
    }

    fn finish(self, confidence: Confidence) -> Answer {
        Answer { answer: self.sentences.join("\n"), evidence: self.evidence, confidence, unknowns: self.unknowns }
    }
}
