//! A scenario file: whatever it says, it is read or refused, and what is read says the same when it is written again.

use gauntlet::scenario::{Scenario, shipped};

use super::super::change::{change, take};

/// Reads an input.
pub fn run(mut input: &[u8]) {
    let [which] = take(&mut input);
    let shipped = shipped();
    let mut text = shipped[usize::from(which) % shipped.len()].text.as_bytes().to_vec();
    change(&mut text, input);
    let text = String::from_utf8_lossy(&text);
    let Ok(read) = Scenario::from_toml(&text, "fuzz.toml", &[]) else { return };
    let again = Scenario::from_toml(&read.to_toml(), "fuzz.toml", &[]);
    assert!(again.is_ok_and(|again| again == read), "a scenario that cannot be written");
}
