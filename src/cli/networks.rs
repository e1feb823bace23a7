//! Progress over many networks: a bar on a terminal, otherwise a plain line from time to time.

use std::sync::Mutex;
use std::time::Instant;

use gauntlet::lab::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::progress::{PLAIN_EVERY, columns};

/// Shows the number of finished networks.
pub struct Networks {
    bar: ProgressBar,
    plain: bool,
    said: Mutex<Instant>,
}

impl Networks {
    /// Shows nothing if `quiet`.
    pub fn new(quiet: bool) -> Self {
        let terminal = columns().is_some();
        let bar = ProgressBar::new(0);
        let target = if quiet || !terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        bar.set_draw_target(target);
        let style = ProgressStyle::with_template("network {pos}/{len} {bar:30} {elapsed} elapsed, {eta} left");
        bar.set_style(style.expect("a constant template"));
        Self { bar, plain: !quiet && !terminal, said: Mutex::new(Instant::now()) }
    }

    /// Shows an event.
    pub fn tell(&self, event: Event<'_>) {
        match event {
            Event::Done { done, of, found } => {
                self.bar.set_length(of as u64);
                self.bar.set_position(done as u64);
                if found {
                    // A found result took no time, so it must not affect the estimate.
                    self.bar.reset_eta();
                }
                let mut said = self.said.lock().expect("no panic while held");
                if self.plain && said.elapsed() >= PLAIN_EVERY {
                    *said = Instant::now();
                    eprintln!("network {done}/{of}, {} s left", self.bar.eta().as_secs());
                }
            }
            Event::Damaged { object, reason } => {
                self.bar.suspend(|| eprintln!("warning: {object} is damaged ({reason}); its network is run again"));
            }
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
