//! Shows the progress of a run: a bar on a terminal, otherwise a plain line from time to time.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use gauntlet::engine::{BaselineState, BaselineStep, Checkpoint, Observer, ObserverError, Traffic};
use gauntlet::node::RoundReport;
use gauntlet::report::RunWriter;
use gauntlet::training::Replica;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two lines without a terminal.
pub const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Width of the terminal for progress; `None` if progress cannot be drawn: on a pipe, or on a terminal that has no name
/// or cannot move its cursor.
pub fn columns() -> Option<u16> {
    let can_move = std::env::var("TERM").is_ok_and(|name| !name.is_empty() && name != "dumb");
    if !std::io::stderr().is_terminal() || (cfg!(unix) && !can_move) {
        return None;
    }
    #[cfg(unix)]
    {
        // SAFETY: the call fills in the structure that it is given, or fails.
        let mut size: libc::winsize = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let done = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &raw mut size) };
        if done == 0 && size.ws_col > 0 {
            return Some(size.ws_col);
        }
    }
    Some(WIDE)
}

/// A terminal with at least this many columns has room for everything. On a narrower one, a line could be cut in the
/// middle of a number.
pub const WIDE: u16 = 110;

pub struct Progress {
    /// Whether there is room for everything.
    wide: bool,
    bar: ProgressBar,
    plain: bool,
    said: Instant,
    loss: Option<f64>,
    tokens: f64,
    started: Instant,
}

impl Progress {
    /// A line for `rounds` rounds.
    pub fn new(rounds: u64, quiet: bool) -> Self {
        let columns = columns();
        let (terminal, wide) = (columns.is_some(), columns.is_none_or(|columns| columns >= WIDE));
        let bar = ProgressBar::new(rounds);
        bar.set_draw_target(if quiet || !terminal {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        });
        let template = if wide {
            "round {pos}/{len} {bar:30} {msg}  {elapsed} elapsed, {eta} left"
        } else {
            "{pos}/{len} {msg}, {eta} left"
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.expect("a constant template"));
        let now = Instant::now();
        Self { wide, bar, plain: !quiet && !terminal, said: now, loss: None, tokens: 0.0, started: now }
    }

    /// Notes that a round is done, which trained on `tokens` tokens.
    pub fn round(&mut self, round: u64, loss: Option<f64>, tokens: f64) {
        self.loss = loss.or(self.loss);
        self.tokens += tokens;
        let loss = self.loss.map_or("-".into(), |loss| format!("{loss:.3}"));
        let speed = self.tokens / self.started.elapsed().as_secs_f64().max(1e-3) / 1e3;
        let message = if self.tokens > 0.0 && self.wide {
            format!("loss {loss}, {speed:.0} K tokens/s")
        } else {
            format!("loss {loss}")
        };
        self.bar.set_message(message.clone());
        self.bar.set_position(round + 1);
        if self.plain && self.said.elapsed() >= PLAIN_EVERY {
            self.said = Instant::now();
            let left = self.bar.eta().as_secs();
            eprintln!("round {}/{}: {message}, {left} s left", round + 1, self.bar.length().unwrap_or(0));
        }
    }

    /// Notes that the network is done, but not the baseline.
    pub fn waiting_for_baseline(&mut self, round: u64) {
        self.bar.set_message(format!("done; AdamW is at round {}", round + 1));
    }

    /// Sets the start of a resumed run.
    pub fn start_at(&mut self, round: u64) {
        self.bar.set_position(round);
        self.bar.reset_eta();
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Writes the events of a run and shows its progress.
pub struct Shown {
    pub writer: RunWriter,
    pub progress: Progress,
    tokens_per_round: f64,
}

impl Shown {
    /// Starts after `rounds` finished rounds of a run.
    pub fn new(writer: RunWriter, rounds: u64, sequence_length: usize, quiet: bool) -> Self {
        let (manifest, scenario) = (&writer.manifest, &writer.manifest.scenario);
        let mut progress = Progress::new(scenario.rounds, quiet);
        progress.start_at(rounds);
        let training = scenario.each_operator().filter(|operator| operator.behaviour().build().trains());
        let pages = training.map(|operator| operator.uids).sum::<usize>() * scenario.training.pages_per_round;
        let tokens = if manifest.central { manifest.tokens_per_round as f64 } else { (pages * sequence_length) as f64 };
        Self { writer, progress, tokens_per_round: tokens }
    }

    /// Writes and shows a round of a network with unknown traffic.
    pub fn write_round(&mut self, report: &RoundReport) -> Result<(), gauntlet::report::ReportError> {
        self.writer.write_round(report, None)?;
        self.progress.round(report.round, report.loss, self.tokens_per_round);
        Ok(())
    }
}

impl Observer for Shown {
    fn round(&mut self, report: &RoundReport, traffic: Traffic) -> Result<(), ObserverError> {
        self.writer.round(report, traffic)?;
        self.progress.round(report.round, report.loss, self.tokens_per_round);
        Ok(())
    }

    fn baseline(&mut self, step: BaselineStep) -> Result<(), ObserverError> {
        self.writer.baseline(step)?;
        let manifest = &self.writer.manifest;
        if manifest.central {
            self.progress.round(step.round, step.loss, self.tokens_per_round);
        } else if manifest.rounds_done == manifest.scenario.rounds {
            self.progress.waiting_for_baseline(step.round);
        }
        Ok(())
    }

    fn model(&mut self, round: u64, replica: &Replica) -> Result<(), ObserverError> {
        self.writer.model(round, replica)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), ObserverError> {
        self.writer.checkpoint(checkpoint)
    }

    fn baseline_checkpoint(&mut self, state: &BaselineState) -> Result<(), ObserverError> {
        self.writer.baseline_checkpoint(state)
    }
}
