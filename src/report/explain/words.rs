//! Numbers, rounds and statuses in words.

use crate::mechanism::Status;

/// Width of a line of text, in characters.
const WIDTH: usize = 110;

/// Three significant digits.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let size = value.abs().log10().floor();
    if !(-4.0..15.0).contains(&size) {
        return format!("{value:.1e}");
    }
    format!("{value:.*}", (2.0 - size).max(0.0) as usize)
}

/// A share of a round's pay.
pub fn percent(share: f64) -> String {
    format!("{} %", number(100.0 * share))
}

/// `before -> after`, or one number if both are equal.
pub fn change(before: f64, after: f64) -> String {
    let (before, after) = (number(before), number(after));
    if before == after { after } else { format!("{before} -> {after}") }
}

/// `round 3`, or `rounds 3 to 9`.
pub fn span(from: u64, to: u64) -> String {
    if from == to { format!("round {from}") } else { format!("rounds {from} to {to}") }
}

/// Sorted numbers with neighbours joined: `0 to 15, 17`.
pub fn ranges(sorted: &[u64]) -> String {
    let runs = sorted.chunk_by(|a, b| *b == a.saturating_add(1));
    let run = |run: &[u64]| match run {
        [one] => one.to_string(),
        run => format!("{} to {}", run[0], run[run.len() - 1]),
    };
    runs.map(run).collect::<Vec<_>>().join(", ")
}

/// `once`, `twice`, `7 times`.
pub fn times(count: usize) -> String {
    match count {
        1 => "once".into(),
        2 => "twice".into(),
        count => format!("{count} times"),
    }
}

/// `1st`, `2nd`, `11th`.
pub fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// Describes the upload that a status stands for.
pub fn upload(status: Status) -> &'static str {
    match status {
        Status::Passed => "uploaded in time",
        Status::Absent => "no upload",
        Status::TooEarly => "uploaded before the put window opened",
        Status::TooLate => "uploaded after the put window had closed",
        Status::LateKey => "put the key of its upload after the reveal window",
        Status::WrongKey => "put a key that does not open its upload",
        Status::MisplacedKey => "put the key of another upload",
        Status::Malformed => "malformed upload",
        Status::OutOfSync => "upload computed on another model",
        Status::StartedOver => "computed from another training state than its last upload ended with",
        Status::Copy => "copied upload",
        Status::Excluded => "excluded for an earlier offence",
        Status::Unregistered => "held no slot when the round began",
    }
}

/// Breaks a text into lines. The first keeps its indent; the others are indented by this much.
pub fn wrapped(text: &str, indent: usize) -> String {
    let (start, text) = text.split_at(text.len() - text.trim_start().len());
    let mut lines = vec![start.to_string()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a first one");
        if line.chars().count() + 1 + word.chars().count() > WIDTH && !line.trim().is_empty() {
            lines.push(format!("{}{word}", " ".repeat(indent)));
        } else {
            if !line.trim().is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let told = [0.0, -0.0, 27.2637, 0.016007, -0.0060794, 123.4, 98765.4, 2.2e-7, 0.99, 1e20, 1e-300].map(number);
        assert_eq!(
            told,
            ["0", "0", "27.3", "0.0160", "-0.00608", "123", "98765", "2.2e-7", "0.990", "1.0e20", "1.0e-300"]
        );
        assert_eq!(percent(0.083333), "8.33 %");
        assert_eq!((change(1.0, 2.0), change(1.0, 1.0001)), ("1.00 -> 2.00".into(), "1.00".into()));
    }

    #[test]
    fn counts_read_as_people_say_them() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0 to 2, 5, 7 to 8");
        assert_eq!(ranges(&[]), "");
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 21, 112].map(ordinal),
            ["1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "112th"]
        );
        assert_eq!((span(3, 3), span(3, 9), times(2)), ("round 3".into(), "rounds 3 to 9".into(), "twice".into()));
    }

    #[test]
    fn long_texts_are_wrapped() {
        let text = format!("  rounds 1 to 2: {}", "word ".repeat(30).trim());
        let lines = wrapped(&text, 4);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= WIDTH) && lines[1].starts_with("    word"));
        assert!(lines[0].starts_with("  rounds 1 to"));
        assert_eq!(lines.concat().matches("word").count(), 30);
    }
}
