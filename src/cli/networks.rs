//! Progress over many networks: a bar on a terminal, otherwise a plain line from time to time.

use std::sync::{Mutex, MutexGuard};

use gauntlet::lab::Event;

use super::progress::Line;

/// Shows how many networks are done.
pub struct Networks(Mutex<State>);

struct State {
    line: Line,
    /// Networks before those that run now.
    before: usize,
    /// All networks, if more are to come than run now.
    all: Option<usize>,
    /// What they are run for.
    words: Vec<String>,
}

impl Networks {
    /// Shows nothing with `quiet`. `all` is the number of all networks, if they are run in several batches.
    pub fn new(all: Option<usize>, quiet: bool) -> Self {
        let line = Line::new(all.unwrap_or_default() as u64, "network {pos}/{len}", quiet);
        Self(Mutex::new(State { line, before: 0, all, words: Vec::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while held")
    }

    /// A batch begins after so many networks, for this.
    pub fn batch(&self, before: usize, words: &str) {
        let mut state = self.state();
        (state.before, state.words) = (before, vec![words.to_string()]);
    }

    /// Shows an event.
    pub fn tell(&self, event: Event<'_>) {
        let state = &mut *self.state();
        match event {
            Event::Done { done, of, found } => {
                let (done, all) = (state.before + done, state.all.unwrap_or(of));
                state.line.bar.set_length(all as u64);
                state.line.bar.set_position(done as u64);
                if found {
                    // A found result took no time, so it must not affect the estimate.
                    state.line.bar.reset_eta();
                }
                if state.line.is_due() {
                    state.line.say(&format!("network {done}/{all}"), &state.words);
                }
            }
            Event::Damaged { object, reason } => {
                let told = || eprintln!("warning: {object} is damaged ({reason}); its network is run again");
                state.line.bar.suspend(told);
            }
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.state().line.finish();
    }
}
