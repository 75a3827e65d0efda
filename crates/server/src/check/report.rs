use event_store_parquet::{CheckStep, Finding};

use crate::byte_progress::ByteProgress;
use crate::output;

/// Collects findings; shows them to people as they come, with how far the reading is.
pub(super) struct Report {
    for_people: bool,
    progress: Option<ByteProgress>,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn start(for_people: bool) -> Self {
        Self { for_people, progress: None, findings: Vec::new() }
    }

    /// What is read from now on.
    pub(super) fn stage(&mut self, name: &'static str) {
        self.end_stage();
        self.progress = Some(ByteProgress::start(name));
    }

    fn end_stage(&mut self) {
        self.progress.take().iter().for_each(ByteProgress::finish);
    }

    pub(super) fn step(&mut self, step: CheckStep) {
        match step {
            CheckStep::Found(finding) => self.find(finding),
            CheckStep::Total { bytes } => self.progress.iter_mut().for_each(|progress| progress.expect(bytes)),
            CheckStep::Done { bytes } => self.progress.iter_mut().for_each(|progress| progress.add(bytes)),
        }
    }

    pub(super) fn find(&mut self, finding: Finding) {
        if self.for_people {
            let word = if finding.is_problem() { "PROBLEM" } else { "note" };
            let mut text = format!("{word} {}: {}", finding.place, finding.found);
            for (label, part) in [("means", &finding.meaning), ("do", &finding.remedy)] {
                if !part.is_empty() {
                    text.push_str(&format!("\n    {label}: {part}"));
                }
            }
            match &self.progress {
                Some(progress) => progress.say(&text),
                None => output::note(&text),
            }
        }
        self.findings.push(finding);
    }

    /// Problems, notes, and all of them.
    pub(super) fn finish(mut self) -> (usize, usize, Vec<Finding>) {
        self.end_stage();
        let problems = self.findings.iter().filter(|finding| finding.is_problem()).count();
        (problems, self.findings.len() - problems, self.findings)
    }
}
