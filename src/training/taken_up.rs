//! Whether work changes a training state.
//!
//! Who does a peer's work again starts from the state that the peer shows. In a state of huge values gradients are lost to rounding, so that the next
//! state, and the upload, could be told without any work.

use bytes::Bytes;

use super::core::TrainingCore;
use super::{Replica, Round};
use crate::corpus::{PageError, PageId};

/// Of the values that differ after different work in the states of a peer that has trained once, the least part that must differ in another's. What
/// may stay as it is, a peer could spare: of a tenth of the weights, their gradients.
const TAKEN_UP: f64 = 0.9;

/// How many tokens [`TrainingCore::takes_up_work`] runs forward on pages of this length, each with a gradient, for work of so many inner steps.
pub fn tokens_to_take_up(sequence_length: usize, steps: usize) -> usize {
    5 * piece(sequence_length) * steps
}

/// Tokens of a piece of a page. With one token alone, attention has nothing to choose from, and so no gradient.
fn piece(sequence_length: usize) -> usize {
    (sequence_length / 16).max(4).min(sequence_length)
}

impl TrainingCore {
    /// The inner steps of a peer's work on so many pages; `said` is what it says, where it does not do as many as the scheme says.
    pub fn inner_steps(&self, said: Option<usize>, pages: usize) -> usize {
        let of_scheme = self.steps_of_scheme().map(|usual| said.unwrap_or(usual));
        of_scheme.unwrap_or(1).clamp(1, pages.max(1))
    }

    /// How many tokens [`takes_up_work`](Self::takes_up_work) runs forward, each with a gradient, for work of so many inner steps.
    pub fn tokens_to_take_up(&self, steps: usize) -> usize {
        tokens_to_take_up(self.config.sequence_length, steps)
    }

    /// Whether work changes a training state: other data must lead to other values, about as many as for a peer that has trained once.
    /// `false` for bytes that are no state.
    ///
    /// Compares what two pieces of a page lead to. In work of `steps` inner steps, the data differ in step `at` alone: a state could be such that one step
    /// makes all others void. Whoever does not know `at` has to do all.
    ///
    /// # Errors
    /// The page cannot be read.
    pub fn takes_up_work(
        &self,
        state: &[u8],
        replica: &Replica,
        (page, steps, at): (PageId, usize, usize),
        round: u64,
    ) -> Result<bool, PageError> {
        let (page, piece) = (self.corpus.pages(&[page])?.swap_remove(0), piece(self.config.sequence_length));
        let [one, other] = [&page[..=piece], &page[page.len() - piece - 1..]];
        let round = Round { number: round, lr: self.schedule.lr(round), steps: Some(steps) };
        let after = |from: &[u8], differs: bool| -> Result<Bytes, String> {
            let mut local = self.local();
            local.restore(from)?;
            let data = |step| if differs && step == at { other } else { one };
            let pages: Vec<Vec<u32>> = (0..steps).map(|step| data(step).to_vec()).collect();
            local.train(&self.evaluator, replica, &pages, round);
            Ok(local.saved())
        };
        let changed = |from: &[u8]| Ok::<usize, String>(differing(&after(from, false)?, &after(from, true)?));
        let expected =
            after(&self.local().saved(), false).and_then(|state| changed(&state)).expect("states of its own");
        Ok(changed(state).is_ok_and(|changed| changed as f64 >= TAKEN_UP * expected as f64))
    }
}

/// How many values of four bytes differ in two states of one form. Values may begin anywhere: the lowest byte comes first, and differs
/// in all but one of 256 values that do.
fn differing(a: &[u8], b: &[u8]) -> usize {
    let (mut at, mut count) = (0, a.len().abs_diff(b.len()) / 4);
    while let Some(next) = a.iter().zip(b).skip(at).position(|(a, b)| a != b) {
        (at, count) = (at + next + 4, count + 1);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::super::core::tests::of_every_scheme;
    use crate::model::init_theta;
    use crate::training::Data;

    /// A state with this value everywhere. A state is the values of one vector, or vectors with their lengths first and small numbers.
    fn filled(state: &[u8], parameters: usize, value: f32) -> Vec<u8> {
        let mut filled = state.to_vec();
        let mut fill = |from: usize, to: usize| {
            filled[from..to].as_chunks_mut().0.iter_mut().for_each(|bytes| *bytes = value.to_le_bytes());
        };
        if state.len() == 4 * parameters {
            fill(0, state.len());
            return filled;
        }
        let mut at = 0;
        while let Ok((number, rest)) = postcard::take_from_bytes::<usize>(&state[at..]) {
            at = state.len() - rest.len();
            if number > 1000 {
                fill(at, at + 4 * number);
                at += 4 * number;
            }
        }
        filled
    }

    /// In all values of what is kept, or in the error feedback alone.
    #[test]
    fn a_state_that_swallows_work_is_found_under_every_scheme() {
        for (kind, core) in of_every_scheme() {
            let replica = core.replica(init_theta(&core.config, 2));
            let mut local = core.local();
            let steps = core.inner_steps(None, 4);
            let takes_up = |state: &[u8], round| {
                let takes_up = |at| core.takes_up_work(state, &replica, (3, steps, at), round).unwrap();
                let all: Vec<bool> = (0..steps).map(takes_up).collect();
                (all.contains(&true), all.contains(&false))
            };
            for round in 0..30 {
                assert_eq!(takes_up(&local.saved(), round), (true, false), "{kind}, round {round}");
                let pages = (4 * round..4 * round + 4).collect();
                let data = Data { pages, part: 1.0, poison: Default::default(), steps: None };
                core.train(&mut *local, &replica, &data, round).unwrap();
            }
            let state = local.saved();
            // Schemes that keep nothing have nothing to hide work in.
            if state.is_empty() {
                continue;
            }
            for value in [f32::NAN, f32::INFINITY, f32::MAX, -1e30, 1e12] {
                let hostile = filled(&state, core.layout.total(), value);
                assert!(core.local().restore(&hostile).is_ok(), "{kind}");
                assert_eq!(takes_up(&hostile, 30), (false, true), "{kind}, {value}");
            }
            local.scale_kept(1e12);
            let scaled = local.saved();
            assert!(scaled == state || takes_up(&scaled, 30) == (false, true), "{kind}");
            assert_eq!(takes_up(&state[..state.len() - 1], 30), (false, true), "{kind}");
        }
    }
}
