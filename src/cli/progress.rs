//! Shows the progress of a run: a bar on a terminal, otherwise a plain line from time to time.

use std::time::{Duration, Instant};

use gauntlet::engine::{BaselineState, BaselineStep, Checkpoint, Observer, ObserverError, Traffic};
use gauntlet::node::RoundReport;
use gauntlet::report::RunWriter;
use gauntlet::training::Replica;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::columns;

/// Time between two plain lines.
pub const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Columns from which a bar and all parts fit.
const WIDE: u16 = 130;

/// The first parts that fit into a line. Without this, the line would be cut in the middle of a number.
fn fit(parts: &[String], columns: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let longer = if line.is_empty() { part.clone() } else { format!("{line}, {part}") };
        if longer.chars().count() > columns {
            break;
        }
        line = longer;
    }
    line
}

/// A progress line, redrawn on a terminal or printed from time to time.
pub struct Line {
    pub bar: ProgressBar,
    /// Time between two updates.
    every: Duration,
    said: Instant,
    plain: bool,
    quiet: bool,
}

impl Line {
    /// A line for work of this length; `unit` is a template for the position.
    pub fn new(length: u64, unit: &str, quiet: bool) -> Self {
        let columns = columns();
        let bar = ProgressBar::new(length);
        bar.set_draw_target(match columns {
            Some(_) if !quiet => ProgressDrawTarget::stderr(),
            _ => ProgressDrawTarget::hidden(),
        });
        let template = match columns {
            Some(columns) if columns >= WIDE => format!("{unit} {{bar:30}} {{msg}}  {{elapsed}} elapsed, {{eta}} left"),
            _ => "{msg}".into(),
        };
        bar.set_style(ProgressStyle::with_template(&template).expect("a constant template"));
        let every = if columns.is_some() { Duration::from_millis(100) } else { PLAIN_EVERY };
        Self { bar, every, said: Instant::now(), plain: columns.is_none(), quiet }
    }

    /// Whether the next update is due.
    pub fn is_due(&self) -> bool {
        !self.quiet && self.said.elapsed() >= self.every
    }

    /// Shows the position, then the parts, the most important first.
    pub fn say(&mut self, place: &str, parts: &[String]) {
        self.said = Instant::now();
        // Nobody knows before the first part is done.
        let left = (self.bar.position() > 0).then(|| format!("{:#} left", HumanDuration(self.bar.eta())));
        match columns() {
            _ if self.quiet => {}
            None if self.plain => {
                eprintln!("{place}: {}", parts.iter().cloned().chain(left).collect::<Vec<_>>().join(", "))
            }
            Some(columns) if columns < WIDE => {
                let first = parts.first().cloned();
                let rest = parts.get(1..).unwrap_or_default().iter().cloned();
                let all: Vec<String> = [place.to_string()].into_iter().chain(first).chain(left).chain(rest).collect();
                self.bar.set_message(fit(&all, usize::from(columns).saturating_sub(1)));
            }
            _ => self.bar.set_message(parts.join(", ")),
        }
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

pub struct Progress {
    line: Line,
    loss: Option<f64>,
    tokens: f64,
    started: Instant,
}

impl Progress {
    /// A line for `rounds` rounds.
    pub fn new(rounds: u64, quiet: bool) -> Self {
        let line = Line::new(rounds, "round {pos}/{len}", quiet);
        Self { line, loss: None, tokens: 0.0, started: Instant::now() }
    }

    /// Records a finished round, which trained on `tokens` tokens.
    pub fn round(&mut self, round: u64, loss: Option<f64>, tokens: f64) {
        self.loss = loss.or(self.loss);
        self.tokens += tokens;
        self.line.bar.set_position(round + 1);
        if !self.line.is_due() {
            return;
        }
        let loss = self.loss.map_or("-".into(), |loss| format!("{loss:.3}"));
        let mut parts = vec![format!("loss {loss}")];
        if self.tokens > 0.0 {
            let speed = self.tokens / self.started.elapsed().as_secs_f64().max(1e-3) / 1e3;
            parts.push(format!("{speed:.0} K tokens/s"));
        }
        let place = format!("round {}/{}", round + 1, self.line.bar.length().unwrap_or(0));
        self.line.say(&place, &parts);
    }

    /// Records that the network is done, but not the baseline.
    pub fn waiting_for_baseline(&mut self, round: u64) {
        if self.line.is_due() {
            self.line.say("done", &[format!("AdamW is at round {}", round + 1)]);
        }
    }

    /// Sets the start of a resumed run.
    pub fn start_at(&mut self, round: u64) {
        self.line.bar.set_position(round);
        self.line.bar.reset_eta();
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.line.finish();
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
        let pages: usize = training.map(|operator| operator.uids * scenario.pages_of_steps(operator.inner_steps)).sum();
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

    fn average(&mut self, round: u64, theta: &[f32]) -> Result<(), ObserverError> {
        self.writer.average(round, theta)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), ObserverError> {
        self.writer.checkpoint(checkpoint)
    }

    fn baseline_checkpoint(&mut self, state: &BaselineState) -> Result<(), ObserverError> {
        self.writer.baseline_checkpoint(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_line_are_shown_whole_or_not_at_all() {
        let parts = ["round 12345/20000", "loss 5.545", "12m left", "1234 K tokens/s"].map(String::from);
        for (columns, expected) in [
            (79, "round 12345/20000, loss 5.545, 12m left, 1234 K tokens/s"),
            (39, "round 12345/20000, loss 5.545, 12m left"),
            (38, "round 12345/20000, loss 5.545"),
            (20, "round 12345/20000"),
            (16, ""),
            (0, ""),
        ] {
            assert_eq!(fit(&parts, columns), expected);
        }
    }
}
