//! The table of losses: the network's and the central trainer's.

use super::ruled::{Look, NONE, Ruled, digits};
use crate::report::RunData;
use crate::report::diverged::shown;

/// The loss at the start and after each quarter of the rounds, beside the central trainer's; then the losses of simpler models.
pub fn losses(run: &RunData, look: Look) -> String {
    let network: Vec<_> = run.rounds.iter().map(|row| (row.round, row.loss)).collect();
    let baseline: Vec<_> = run.baseline.iter().map(|row| (row.round, row.loss)).collect();
    let start = run.manifest.initial_loss;
    let central = run.manifest.scenario.baseline.optimizer.name();
    let mut table = Ruled::new(look, 0, &["rounds done", "network", central, "difference"]);
    let mut line = |done: String, ours: Option<f64>, central: Option<f64>| {
        let cell = |loss: Option<f64>| loss.map_or_else(|| NONE.into(), shown);
        let difference =
            ours.zip(central).map(|(ours, central)| ours - central).filter(|difference| difference.is_finite());
        let difference = difference.map_or_else(|| NONE.into(), |difference| format!("{difference:+.4}"));
        table.line([done, cell(ours), cell(central), difference]);
    };
    line("0".into(), start, start.filter(|_| !baseline.is_empty()));
    let rounds = run.manifest.rounds_done;
    let mut shown = 0;
    for quarter in 1..=4 {
        let done = rounds * quarter / 4;
        if done > shown {
            line(done.to_string(), last_measured(&network, done), last_measured(&baseline, done));
            shown = done;
        }
    }
    let references = run.manifest.references;
    for (name, loss) in [("bigram", references.bigram), ("entropy floor", references.entropy_floor)] {
        if let Some(loss) = loss {
            table.line([name.into(), digits(loss, 4), String::new(), String::new()]);
        }
    }
    table.text()
}

/// The last loss measured up to this number of rounds.
fn last_measured(losses: &[(u64, Option<f64>)], done: u64) -> Option<f64> {
    losses.iter().take_while(|(round, _)| *round < done).filter_map(|(_, loss)| *loss).last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn losses_stand_beside_the_baseline() {
        let mut run = sample::copycat();
        for row in &mut run.rounds {
            row.loss = row.loss.map(|_| 2.0 + 1.0 / (row.round + 1) as f64);
        }
        for row in &mut run.baseline {
            row.loss = Some(2.0);
        }
        insta::assert_snapshot!(losses(&run, Look::Plain), @"
        |   rounds done | network |  AdamW | difference |
        |---------------|---------|--------|------------|
        |             0 |  5.5500 | 5.5500 |    +0.0000 |
        |            37 |  2.0286 | 2.0000 |    +0.0286 |
        |            75 |  2.0133 | 2.0000 |    +0.0133 |
        |           112 |  2.0091 | 2.0000 |    +0.0091 |
        |           150 |  2.0067 | 2.0000 |    +0.0067 |
        |        bigram |  2.3010 |        |            |
        | entropy floor |  1.3860 |        |            |
        ");
        run.baseline.clear();
        run.manifest.rounds_done = 2;
        assert_eq!(losses(&run, Look::Plain).matches("| -").count(), 0);
    }
}
