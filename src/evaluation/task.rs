//! The tasks: from a row of their data to a question with answers.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// A task of the harness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Zellers et al. 2019: how does a description go on?
    HellaSwag,
    /// Bisk et al. 2020: which of two ways leads to the goal?
    Piqa,
    /// Clark et al. 2018: questions of science for schools, the easy set.
    ArcEasy,
}

/// A question whose answers a model is to weigh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What the model reads.
    pub context: String,
    /// What it may go on with, without the space between.
    pub choices: Vec<String>,
    /// The right one.
    pub gold: usize,
}

/// Why a task's data cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    #[error("there is no task {name:?}; expected some of {known}")]
    Unknown { name: String, known: String },
    #[error("{path}: {source}; --data names the folder with a file TASK.jsonl for each task")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}, line {line}: {problem}")]
    Row { path: PathBuf, line: usize, problem: String },
    #[error("{path}: no questions in it")]
    Empty { path: PathBuf },
}

/// A row as the data set has it, or as it is after the harness has prepared it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Row {
    Prepared {
        query: String,
        choices: Vec<String>,
        gold: usize,
    },
    Piqa {
        goal: String,
        sol1: String,
        sol2: String,
        label: Value,
    },
    Arc {
        question: String,
        choices: ArcChoices,
        #[serde(rename = "answerKey")]
        answer_key: String,
    },
    HellaSwag {
        activity_label: String,
        ctx_a: String,
        ctx_b: String,
        endings: Vec<String>,
        label: Value,
    },
}

#[derive(Deserialize)]
struct ArcChoices {
    text: Vec<String>,
    label: Vec<String>,
}

impl Task {
    /// All tasks.
    pub const ALL: [Self; 3] = [Self::HellaSwag, Self::Piqa, Self::ArcEasy];

    /// The harness's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HellaSwag => "hellaswag",
            Self::Piqa => "piqa",
            Self::ArcEasy => "arc_easy",
        }
    }

    /// The task of a name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<Self, DataError> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let task = Self::ALL.into_iter().find(|task| task.name() == name);
        task.ok_or_else(|| DataError::Unknown { name: name.into(), known: known() })
    }

    fn question(self, row: Row) -> Result<Question, String> {
        let answered = |query: String| format!("Question: {query}\nAnswer:");
        let question = match (self, row) {
            (Self::HellaSwag, Row::Prepared { query, choices, gold }) => Question { context: query, choices, gold },
            (_, Row::Prepared { query, choices, gold }) => {
                let query = query.strip_suffix('\n').unwrap_or(&query);
                Question { context: format!("{query}\nAnswer:"), choices, gold }
            }
            (Self::Piqa, Row::Piqa { goal, sol1, sol2, label }) => {
                Question { context: answered(goal), choices: vec![sol1, sol2], gold: number(&label)? }
            }
            (Self::ArcEasy, Row::Arc { question, choices, answer_key }) => {
                let gold = choices.label.iter().position(|label| *label == answer_key);
                let gold = gold.ok_or_else(|| format!("answerKey {answer_key:?} is none of {:?}", choices.label))?;
                Question { context: answered(question), choices: choices.text, gold }
            }
            (Self::HellaSwag, Row::HellaSwag { activity_label, ctx_a, ctx_b, endings, label }) => {
                let context = tidy(&format!("{activity_label}: {ctx_a} {}", capitalised(&ctx_b)));
                let choices = endings.iter().map(|ending| tidy(ending)).collect();
                Question { context, choices, gold: number(&label)? }
            }
            (task, _) => return Err(format!("a row of another task, expected one of {}", task.name())),
        };
        if question.gold >= question.choices.len() {
            return Err(format!("answer {} is right, of {}", question.gold, question.choices.len()));
        }
        if question.context.trim().is_empty() || question.choices.iter().any(String::is_empty) {
            return Err("an empty question or answer".into());
        }
        Ok(question)
    }
}

/// A label, as a number or as text.
fn number(label: &Value) -> Result<usize, String> {
    let text = label.as_str().map(str::to_string).unwrap_or_else(|| label.to_string());
    text.trim().parse().map_err(|_| format!("label {label}: expected the number of an answer"))
}

/// Python's `str.capitalize`: the first letter large, all others small.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters.flat_map(char::to_lowercase)).collect()
}

/// What HellaSwag's texts from WikiHow are rid of: " [title]", other bracketed words, double spaces.
fn tidy(text: &str) -> String {
    let text = text.trim().replace(" [title]", ". ");
    let mut tidied = String::new();
    let mut rest = text.as_str();
    // A bracket goes up to the first that closes one, on the same line.
    while let Some(open) = rest.find('[') {
        let inside = &rest[open + 1..];
        let close = inside.find([']', '\n']).filter(|&close| inside[close..].starts_with(']'));
        let (kept, from) = match close {
            Some(close) => (open, open + 1 + close + 1),
            None => (open + 1, open + 1),
        };
        tidied += &rest[..kept];
        rest = &rest[from..];
    }
    tidied += rest;
    tidied.replace("  ", " ")
}

/// The questions of a task from `folder/TASK.jsonl`, at most `limit`: rows as the data set has them (`goal`, `sol1`,
/// ...), or prepared ones (`query`, `choices`, `gold`).
///
/// # Errors
/// No such file, or a line that is no such row.
pub fn read_questions(task: Task, folder: &Path, limit: Option<usize>) -> Result<Vec<Question>, DataError> {
    let path = folder.join(format!("{}.jsonl", task.name()));
    let failed = |source| DataError::Io { path: path.clone(), source };
    let mut questions = Vec::new();
    for (index, line) in BufReader::new(File::open(&path).map_err(failed)?).lines().enumerate() {
        let line = line.map_err(failed)?;
        if line.trim().is_empty() {
            continue;
        }
        if limit.is_some_and(|limit| questions.len() >= limit) {
            break;
        }
        let wrong = |problem: String| DataError::Row { path: path.clone(), line: index + 1, problem };
        let row = serde_json::from_str(&line).map_err(|error| {
            wrong(format!("{error}; expected query, choices and gold, or the columns of {}", task.name()))
        })?;
        questions.push(task.question(row).map_err(wrong)?);
    }
    match questions.is_empty() {
        true => Err(DataError::Empty { path }),
        false => Ok(questions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(task: Task, row: Value) -> Result<Question, String> {
        task.question(serde_json::from_value(row).unwrap())
    }

    #[test]
    fn rows_of_the_data_sets_and_prepared_ones_make_the_same_questions() {
        let piqa = serde_json::json!({ "goal": "To boil", "sol1": "cool", "sol2": "heat", "label": 1 });
        let prepared = serde_json::json!({ "query": "Question: To boil\n", "choices": ["cool", "heat"], "gold": 1 });
        let expected = Question {
            context: "Question: To boil\nAnswer:".into(),
            choices: vec!["cool".into(), "heat".into()],
            gold: 1,
        };
        assert_eq!(question(Task::Piqa, piqa).unwrap(), expected);
        assert_eq!(question(Task::Piqa, prepared.clone()).unwrap(), expected);
        let arc = serde_json::json!({
            "question": "To boil", "choices": { "text": ["cool", "heat"], "label": ["A", "B"] }, "answerKey": "B"
        });
        assert_eq!(question(Task::ArcEasy, arc.clone()).unwrap(), expected);
        assert!(question(Task::Piqa, arc).unwrap_err().contains("another task"));
    }

    #[test]
    fn hellaswag_is_tidied() {
        let row = serde_json::json!({
            "activity_label": "Cooking", "ctx_a": "How to cook [title] Wash [step] it.", "ctx_b": "the Cook",
            "endings": ["[header] cuts.", "a  b"], "label": "1",
        });
        let found = question(Task::HellaSwag, row).unwrap();
        assert_eq!(found.context, "Cooking: How to cook.  Wash it. The cook".replace("  ", " "));
        assert_eq!(found.choices, [" cuts.", "a b"]);
        assert_eq!(tidy(" a [b c [d] e] f [g"), "a e] f [g");
    }

    #[test]
    fn a_wrong_row_names_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("piqa.jsonl");
        let good = r#"{"query":"Question: a\n","choices":["b","c"],"gold":0}"#;
        for (bad, expected) in [
            ("{}", "line 2: data did not match"),
            (r#"{"query":"Question: a\n","choices":["b","c"],"gold":2}"#, "line 2: answer 2 is right, of 2"),
            (r#"{"query":"a","choices":["b",""],"gold":0}"#, "line 2: an empty question or answer"),
        ] {
            std::fs::write(&file, format!("{good}\n{bad}\n")).unwrap();
            let error = read_questions(Task::Piqa, folder.path(), None).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("piqa.jsonl"), "{error}");
            assert_eq!(read_questions(Task::Piqa, folder.path(), Some(1)).unwrap().len(), 1);
        }
        assert!(matches!(read_questions(Task::ArcEasy, folder.path(), None), Err(DataError::Io { .. })));
    }
}
