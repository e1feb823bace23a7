//! What the doctor found about one thing, and the table of all that it found.

use comfy_table::Table;
use serde::Serialize;

use crate::cli::terminal::ruled_words;

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// A node runs, and something may go wrong later.
    Warning,
    /// A node does not run, or would harm the network.
    Problem,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub what: &'static str,
    pub found: String,
    pub verdict: Verdict,
    /// What to do; empty if there is nothing to do.
    pub remedy: String,
}

impl Finding {
    pub fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, found: found.into(), verdict: Verdict::Ok, remedy: String::new() }
    }

    pub fn warning(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, found: found.into(), verdict: Verdict::Warning, remedy: remedy.into() }
    }

    pub fn problem(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, found: found.into(), verdict: Verdict::Problem, remedy: remedy.into() }
    }

    /// A problem told as messages tell it: what is wrong, and behind the first semicolon what to do.
    pub fn told(what: &'static str, message: &str) -> Self {
        let (found, remedy) = message.split_once("; ").unwrap_or((message, ""));
        Self::problem(what, found, remedy)
    }
}

/// All findings, a line each.
pub fn table(findings: &[Finding]) -> Table {
    let mut table = ruled_words();
    table.set_header(["what", "found", "", "what to do"]);
    for finding in findings {
        let verdict = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Problem => "PROBLEM",
        };
        table.add_row([finding.what, &finding.found, verdict, &finding.remedy]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_behind_what_is_wrong() {
        let told = Finding::told("list", "there is no such bucket; make it; or check its name");
        assert_eq!((told.found.as_str(), told.verdict), ("there is no such bucket", Verdict::Problem));
        assert_eq!(told.remedy, "make it; or check its name");
        assert_eq!(Finding::told("list", "it fails").remedy, "");
        let text = table(&[Finding::ok("list", "works"), told]).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[2].contains("| ok ") && lines[3].contains("| PROBLEM |"), "{text}");
    }
}
