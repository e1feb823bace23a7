//! The learning rate of each round.

use crate::training::TrainingSettings;

/// Linear warm-up, then a cosine down to a fraction of the peak, then constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    peak: f64,
    warmup_rounds: u64,
    warmup_from: f64,
    final_fraction: f64,
    /// Round at which the cosine has ended.
    end: u64,
}

impl Schedule {
    /// The schedule of a run of `rounds` rounds, unless the settings state another end of the cosine.
    pub fn new(settings: &TrainingSettings, rounds: u64) -> Self {
        Self {
            peak: settings.lr,
            warmup_rounds: settings.warmup_rounds,
            warmup_from: settings.warmup_from,
            final_fraction: settings.final_fraction,
            end: settings.schedule_rounds.unwrap_or(rounds),
        }
    }

    /// Learning rate of `round`, where the first round is 0; the same on every machine.
    pub fn lr(&self, round: u64) -> f64 {
        let fraction = if round < self.warmup_rounds {
            let done = round as f64 / self.warmup_rounds as f64;
            self.warmup_from + (1.0 - self.warmup_from) * done
        } else if round < self.end {
            let done = (round - self.warmup_rounds) as f64 / (self.end - self.warmup_rounds) as f64;
            let cosine = libm::cos(std::f64::consts::PI * done);
            self.final_fraction + (1.0 - self.final_fraction) * (1.0 + cosine) / 2.0
        } else {
            self.final_fraction
        };
        self.peak * fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-15
    }

    #[test]
    fn warms_up_falls_and_stays() {
        let schedule = Schedule::new(&TrainingSettings::default(), 20_000);
        let lr = |round| schedule.lr(round);
        assert!(close(lr(0), 4e-5) && close(lr(125), 2.2e-4) && close(lr(250), 4e-4));
        assert!(close(lr((250 + 20_000) / 2), 2.2e-4));
        assert!(close(lr(20_000), 4e-5) && close(lr(u64::MAX), 4e-5));
        assert!((250..20_000).all(|round| lr(round + 1) < lr(round)));
    }

    #[test]
    fn the_cosine_may_end_before_or_after_the_run() {
        let settings = TrainingSettings { schedule_rounds: Some(1_000), ..TrainingSettings::default() };
        assert_eq!(Schedule::new(&settings, 20).lr(500), Schedule::new(&settings, 20_000).lr(500));
        assert!(close(Schedule::new(&settings, 20_000).lr(1_000), 4e-5));
    }

    #[test]
    fn degenerate_lengths_have_a_rate() {
        let all_warmup = Schedule::new(&TrainingSettings::default(), 10);
        assert!(close(all_warmup.lr(9), 4e-4 * (0.1 + 0.9 * 9.0 / 250.0)) && close(all_warmup.lr(250), 4e-5));
        let no_warmup = Schedule::new(&TrainingSettings { warmup_rounds: 0, ..TrainingSettings::default() }, 0);
        assert!(close(no_warmup.lr(0), 4e-5));
    }
}
