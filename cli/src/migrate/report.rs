//! What was found, worst first.

use serde_json::{Value, json};

use crate::output::printable;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Something that works with nats-server would not work.
    Blocks,
    /// It works, and not the same way.
    Differs,
    /// Worth knowing.
    Note,
}

impl Weight {
    const fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Differs => "differs",
            Self::Note => "note",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    weight: Weight,
    /// File with line and column, or account and user.
    place: String,
    text: String,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Adds a finding, once.
    pub(super) fn add(&mut self, weight: Weight, place: impl ToString, text: impl Into<String>) {
        let finding = Finding { weight, place: place.to_string(), text: text.into() };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Whether something at a place would stop working.
    pub(super) fn blocks_at(&self, place: &str) -> bool {
        self.findings.iter().any(|finding| finding.weight == Weight::Blocks && finding.place == place)
    }

    /// Whether anything would stop working.
    pub(super) fn blocks(&self) -> bool {
        self.findings.iter().any(|finding| finding.weight == Weight::Blocks)
    }

    fn sorted(&self) -> Vec<&Finding> {
        let mut sorted: Vec<_> = self.findings.iter().collect();
        sorted.sort_by_key(|finding| finding.weight);
        sorted
    }

    fn count(&self, weight: Weight) -> usize {
        self.findings.iter().filter(|finding| finding.weight == weight).count()
    }

    /// For people: a line for each, and what it comes to.
    pub(super) fn to_text(&self) -> String {
        let mut lines: Vec<String> = self
            .sorted()
            .into_iter()
            .map(|finding| {
                format!("{:<8} {}: {}", finding.weight.name(), printable(&finding.place), printable(&finding.text))
            })
            .collect();
        let (blocking, different) = (self.count(Weight::Blocks), self.count(Weight::Differs));
        lines.push(match (blocking, different) {
            (0, 0) => "nothing stands in the way, and no difference was found".to_owned(),
            (0, _) => format!("nothing stands in the way; {different} things differ"),
            _ => format!("{blocking} things would stop working, {different} differ"),
        });
        lines.join("\n")
    }

    /// For scripts.
    pub(super) fn to_json(&self) -> Value {
        let findings: Vec<Value> = self
            .sorted()
            .into_iter()
            .map(|finding| json!({"weight": finding.weight.name(), "place": finding.place, "text": finding.text}))
            .collect();
        json!({"blocks": self.blocks(), "findings": findings})
    }

    /// The texts of one weight, for tests.
    #[cfg(test)]
    pub(super) fn texts(&self, weight: Weight) -> Vec<String> {
        let of = self.findings.iter().filter(|finding| finding.weight == weight);
        of.map(|finding| format!("{}: {}", finding.place, finding.text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blocks_comes_first_and_is_counted() {
        let mut report = Report::default();
        assert!(!report.blocks());
        assert_eq!(report.to_text(), "nothing stands in the way, and no difference was found");
        report.add(Weight::Note, "b", "n");
        report.add(Weight::Differs, "b", "d\u{1b}");
        report.add(Weight::Blocks, "a", "x");
        report.add(Weight::Blocks, "a", "x");
        let text = report.to_text();
        assert_eq!(text, "blocks   a: x\ndiffers  b: d\\u{1b}\nnote     b: n\n1 things would stop working, 1 differ");
        assert_eq!(report.to_json()["blocks"], true);
        assert_eq!(report.to_json()["findings"][0]["weight"], "blocks");
    }
}
