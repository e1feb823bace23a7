//! The glossary, as `sim --help` prints it.

use gauntlet::words::GLOSSARY;

/// A line for each word. A line fits a terminal of 80 columns.
pub fn lines() -> String {
    let lines = GLOSSARY.map(|(word, meaning)| format!("\n  {word:<15}  {meaning}"));
    format!("Words:{}", lines.concat())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_line_fits_a_terminal() {
        let lines = super::lines();
        assert_eq!(lines.lines().count(), super::GLOSSARY.len() + 1);
        assert!(lines.lines().all(|line| line.chars().count() <= 80), "{lines}");
    }
}
