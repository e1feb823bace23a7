//! Explains in words and numbers why a peer was or was not paid, from a run's rows alone and for any mechanism.

mod error;
mod history;
mod round;
mod stretch;
#[cfg(test)]
mod tests;
mod totals;
mod turning;
mod words;

pub use self::error::ExplainError;
use self::history::{History, Moment};
use self::words::{span, wrapped};
use super::tables::Look;
use super::{RunData, SlotRow};
use crate::Uid;

/// The story of a uid: for each holder, the stretches of similar rounds, the turning points, and the totals.
///
/// # Errors
/// [`ExplainError::NoPeer`], [`ExplainError::Central`].
pub fn story(run: &RunData, slots: &[SlotRow], uid: Uid) -> Result<String, ExplainError> {
    let history = History::of(run, uid)?;
    let holders: Vec<&[Moment]> = history.holders().collect();
    let mut parts = vec![title(run, uid)];
    if holders.len() > 1 {
        let in_turn = holders.iter().map(|moments| held(moments, slots));
        let in_turn: Vec<String> = in_turn.collect();
        parts.push(wrapped(&format!("The slot had {} holders: {}.", holders.len(), in_turn.join("; ")), 0));
    }
    parts.extend(few_lines(run));
    for moments in holders {
        parts.push(format!("{}\n{}", headline(moments, slots), lines(&history, moments)));
        parts.push(totals::told(&history, moments));
    }
    Ok(parts.join("\n\n"))
}

/// One round of a uid in detail, beside the peers ranked directly above and below.
///
/// # Errors
/// See [`ExplainError`].
pub fn round(run: &RunData, slots: &[SlotRow], (uid, round): (Uid, u64), look: Look) -> Result<String, ExplainError> {
    let history = History::of(run, uid)?;
    let name = || run.name.clone();
    let done = run.manifest.rounds_done;
    if round >= done {
        return Err(ExplainError::Beyond { run: name(), round, done });
    }
    let rounds = |rows: &mut dyn Iterator<Item = u64>| {
        let mut rounds: Vec<u64> = rows.collect();
        rounds.dedup();
        words::ranges(&rounds)
    };
    let Some(moment) = history.moments.iter().find(|moment| moment.row.round == round) else {
        if run.peers.iter().any(|row| row.round == round) {
            let there = rounds(&mut history.moments.iter().map(|moment| moment.row.round));
            return Err(ExplainError::NotThere { run: name(), uid, round, there });
        }
        let kept = rounds(&mut run.peers.iter().map(|row| row.round));
        return Err(ExplainError::NotKept { run: name(), round, kept });
    };
    let held = headline(std::slice::from_ref(moment), slots);
    Ok(format!("{}\n\n{held}\n{}", title(run, uid), round::told(run, &history, moment, look)))
}

fn title(run: &RunData, uid: Uid) -> String {
    let manifest = &run.manifest;
    let mechanism = manifest.scenario.registry.mechanisms.kind_of(&manifest.scenario.mechanism);
    let unfinished = if manifest.finished { "" } else { ", unfinished" };
    format!(
        "uid {uid} of {}: {} of {} rounds{unfinished}, judged by `{}`",
        run.name, manifest.rounds_done, manifest.scenario.rounds, mechanism
    )
}

/// A published folder of a long run has only some of the rounds.
fn few_lines(run: &RunData) -> Option<String> {
    let kept = run.peers.chunk_by(|a, b| a.round == b.round).count() as u64;
    let done = run.manifest.rounds_done;
    (kept < done)
        .then(|| format!("The folder has lines of peers for {kept} of {done} rounds; everything below is about these."))
}

/// A holder of the slot, and its rounds.
fn held(moments: &[Moment], slots: &[SlotRow]) -> String {
    let (first, last) = (moments[0].row, moments[moments.len() - 1].row);
    // A peer that renews its keys may take the same slot again.
    let taken = |slot: &&SlotRow| slot.uid == first.uid && slot.peer == first.owner && slot.round <= first.round;
    let key = slots.iter().rfind(taken).map(|slot| slot.hotkey.as_str());
    let key = key.map_or_else(String::new, |key| format!(", key {}", key.get(..8).unwrap_or(key)));
    format!("peer {} ({}{key}), {}", first.owner, first.behaviour, span(first.round, last.round))
}

fn headline(moments: &[Moment], slots: &[SlotRow]) -> String {
    let mut line = held(moments, slots);
    line.replace_range(..1, "P");
    line
}

fn lines(history: &History, moments: &[Moment]) -> String {
    let stretches = stretch::stretches(history, moments);
    let story = stretches.into_iter().map(|stretch| wrapped(&format!("  {}", stretch::told(history, stretch)), 6));
    let mut lines: Vec<String> = story.collect();
    lines.push("\nTurning points".into());
    lines.extend(turning::points(history, moments).iter().map(|point| wrapped(&format!("  {point}"), 6)));
    lines.join("\n")
}
