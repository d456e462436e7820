//! The breaches of one rule, gathered so that a failure names all of them at once.
//!
//! Sorted by path, so that the list falls into crates by itself. It never stops at the first one:
//! whoever mends a file wants to see the whole file's share.

/// What a rule found; empty is good.
#[derive(Default)]
pub(super) struct Report {
    breaches: Vec<(String, usize, String)>,
}

impl Report {
    /// Notes a breach: where it is, what it is, and what to do about it.
    pub(super) fn add(&mut self, path: &str, line: usize, what: impl Into<String>) {
        self.breaches.push((path.to_owned(), line, what.into()));
    }

    /// Every breach on a line of its own, by path and line.
    pub(super) fn lines(mut self) -> Vec<String> {
        self.breaches.sort();
        self.breaches.iter().map(|(path, line, what)| format!("{path}:{line}: {what}")).collect()
    }

    /// Fails the calling test with the list, unless the list is empty.
    #[track_caller]
    pub(super) fn finish(self) {
        let lines = self.lines();
        assert!(lines.is_empty(), "\n{}\n({} to mend)\n", lines.join("\n"), lines.len());
    }

    /// Fails the calling test unless there is exactly one breach per fragment, in order.
    #[track_caller]
    pub(super) fn expect(self, fragments: &[&str]) {
        let lines = self.lines();
        let matches = lines.iter().zip(fragments).all(|(line, part)| line.contains(part));
        assert!(matches && lines.len() == fragments.len(), "{fragments:?} wanted, got {lines:#?}");
    }
}

#[test]
fn a_report_lists_every_breach_by_path_and_line() {
    let mut report = Report::default();
    report.add("b.rs", 2, "second");
    report.add("b.rs", 1, "first");
    report.add("a.rs", 9, "before both");
    report.expect(&["a.rs:9: before both", "b.rs:1: first", "b.rs:2: second"]);
}
