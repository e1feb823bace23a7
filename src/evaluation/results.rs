//! Accuracies of a task, and the results file in the harness's format.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Question, Task};

/// A share of right answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    pub mean: f64,
    /// Standard error of the mean.
    pub error: f64,
}

/// The result of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskResult {
    pub task: Task,
    /// Accuracy when the largest sum of log-probabilities is chosen.
    pub acc: Accuracy,
    /// The same after division by the answer's number of characters, which are Unicode scalar values as in Python.
    pub acc_norm: Accuracy,
    /// Number of questions asked.
    pub asked: usize,
    /// Number of rows in the data, including those left out.
    pub rows: usize,
    /// For each question, the answer chosen by either rule.
    pub chosen: Vec<[usize; 2]>,
}

impl TaskResult {
    /// Evaluates the sums of a task's answers. The data had `rows` rows.
    pub fn new(task: Task, questions: &[Question], rows: usize, sums: &[Vec<f64>]) -> Self {
        let chosen: Vec<[usize; 2]> = questions
            .iter()
            .zip(sums)
            .map(|(question, sums)| {
                let by_length =
                    question.choices.iter().zip(sums).map(|(choice, sum)| sum / choice.chars().count() as f64);
                [largest(sums.iter().copied()), largest(by_length)]
            })
            .collect();
        let accuracy = |rule: usize| {
            Accuracy::of(chosen.iter().zip(questions).map(|(chosen, question)| chosen[rule] == question.gold))
        };
        Self { task, acc: accuracy(0), acc_norm: accuracy(1), asked: questions.len(), rows, chosen }
    }
}

impl Accuracy {
    fn of(right: impl ExactSizeIterator<Item = bool>) -> Self {
        let count = right.len() as f64;
        let mean = right.filter(|right| *right).count() as f64 / count;
        // The standard deviation of a sample of zeros and ones.
        let deviation = (mean * (1.0 - mean) * count / (count - 1.0).max(1.0)).sqrt();
        Self { mean, error: deviation / count.sqrt() }
    }
}

/// Index of the largest value, the first of equal ones, like numpy's argmax.
fn largest(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

/// `results.json` in the harness's format. `model` and `arguments` describe the call, and `limit` is the maximum number
/// of questions per task.
pub fn report(results: &[TaskResult], model: &str, arguments: &str, limit: Option<usize>, seconds: f64) -> Value {
    let of_tasks = |value: &dyn Fn(&TaskResult) -> Value| -> BTreeMap<&str, Value> {
        results.iter().map(|result| (result.task.name(), value(result))).collect()
    };
    json!({
        "results": of_tasks(&|result| json!({
            "alias": result.task.name(),
            "acc,none": result.acc.mean,
            "acc_stderr,none": result.acc.error,
            "acc_norm,none": result.acc_norm.mean,
            "acc_norm_stderr,none": result.acc_norm.error,
        })),
        "group_subtasks": of_tasks(&|_| json!([])),
        "versions": of_tasks(&|_| json!(1.0)),
        "n-shot": of_tasks(&|_| json!(0)),
        "higher_is_better": of_tasks(&|_| json!({ "acc": true, "acc_norm": true })),
        "n-samples": of_tasks(&|result| json!({ "original": result.rows, "effective": result.asked })),
        "config": { "model": "gauntlet", "model_args": arguments, "limit": limit, "num_fewshot": 0 },
        "model_source": "gauntlet",
        "model_name": model,
        "gauntlet_version": env!("CARGO_PKG_VERSION"),
        "total_evaluation_time_seconds": seconds.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracies_follow_either_rule() {
        let question = |gold, choices: [&str; 2]| Question {
            context: "q".into(),
            choices: choices.map(String::from).to_vec(),
            gold,
        };
        let questions = [question(0, ["ab", "abcdefgh"]), question(1, ["a", "ä"]), question(0, ["x", "y"])];
        // The first is right by its sum and wrong by its length; the second has ä as one character; the third is a tie,
        // which goes to the first answer.
        let result =
            TaskResult::new(Task::Piqa, &questions, 4, &[vec![-2.0, -4.0], vec![-2.0, -1.9], vec![-1.0, -1.0]]);
        assert_eq!(result.chosen, [[0, 1], [1, 1], [0, 0]]);
        assert_eq!(result.acc, Accuracy { mean: 1.0, error: 0.0 });
        assert!((result.acc_norm.mean - 2.0 / 3.0).abs() < 1e-12);
        // [0, 1, 1]: variance 1/3.
        assert!((result.acc_norm.error - 1.0 / 3.0).abs() < 1e-12);
        let report = report(&[result], "m", "m", None, 1.5);
        assert_eq!(report["results"]["piqa"]["acc,none"], 1.0);
        assert_eq!(report["n-samples"]["piqa"], json!({ "original": 4, "effective": 3 }));
    }
}
