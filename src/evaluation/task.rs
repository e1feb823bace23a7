//! The tasks: a row of their data to a question with answers, exactly as the harness makes it.

use serde_json::Value;

use super::DataError;
use super::python::{capitalize, is_space};
use super::row::Row;
use crate::words::counted;

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

/// A question with answers for a model to weigh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What the model reads.
    pub context: String,
    /// The possible continuations, without the space before them.
    pub choices: Vec<String>,
    /// Index of the right one.
    pub gold: usize,
}

impl Task {
    /// All tasks.
    pub const ALL: [Self; 3] = [Self::HellaSwag, Self::Piqa, Self::ArcEasy];

    /// The harness's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HellaSwag => "hellaswag",
            Self::Piqa => "piqa",
            Self::ArcEasy => "arc_easy",
        }
    }

    /// The columns of its data set.
    pub(super) fn columns(self) -> &'static str {
        match self {
            Self::HellaSwag => "activity_label, ctx_a, ctx_b, endings, label",
            Self::Piqa => "goal, sol1, sol2, label",
            Self::ArcEasy => "question, choices, answerKey",
        }
    }

    /// The task with this name.
    ///
    /// # Errors
    /// No task has this name.
    pub fn named(name: &str) -> Result<Self, DataError> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let task = Self::ALL.into_iter().find(|task| task.name() == name);
        task.ok_or_else(|| DataError::Unknown { name: name.into(), known: known() })
    }

    /// The question in a row, either in the data set's form or as the harness has prepared it (`query`).
    ///
    /// # Errors
    /// What is wrong with the row.
    pub(super) fn question(self, row: &Value) -> Result<Question, String> {
        let row = Row::new(row)?;
        let question = match (self, row.has("query")) {
            (Self::HellaSwag, true) => {
                Question { context: row.text("query")?, choices: row.texts("choices")?, gold: row.number("gold")? }
            }
            (_, true) => {
                let query = row.text("query")?;
                let query = query.strip_suffix('\n').unwrap_or(&query);
                let context = format!("{query}\nAnswer:");
                Question { context, choices: row.texts("choices")?, gold: row.number("gold")? }
            }
            (Self::Piqa, false) => Question {
                context: answered(&row.text("goal")?),
                choices: vec![row.text("sol1")?, row.text("sol2")?],
                gold: row.number("label")?,
            },
            (Self::ArcEasy, false) => {
                let choices = row.object("choices")?;
                let (key, labels) = (row.text("answerKey")?, choices.texts("label")?);
                let gold = labels.iter().position(|label| *label == key);
                let texts = choices.texts("text")?;
                if labels.len() != texts.len() {
                    let (labels, texts) = (labels.len(), texts.len());
                    return Err(format!("`choices` has {} and {}", counted(labels, "label"), counted(texts, "text")));
                }
                Question {
                    context: answered(&row.text("question")?),
                    choices: texts,
                    gold: gold.ok_or_else(|| format!("`answerKey` is {key:?}, expected one of {labels:?}"))?,
                }
            }
            (Self::HellaSwag, false) => {
                let (a, b) = (row.text("ctx_a")?, row.text("ctx_b")?);
                let endings = row.texts("endings")?;
                Question {
                    context: tidy(&format!("{}: {a} {}", row.text("activity_label")?, capitalize(&b))),
                    choices: endings.iter().map(|ending| tidy(ending)).collect(),
                    gold: row.number("label")?,
                }
            }
        };
        let answers = question.choices.len();
        if question.gold >= answers {
            let gold = question.gold;
            let there = if answers == 1 { "is 1 answer".into() } else { format!("are {answers} answers") };
            return Err(format!("answer {gold}, counted from 0, is the right one, but there {there}"));
        }
        if question.context.is_empty() {
            return Err("the question is empty, expected some text".into());
        }
        Ok(question)
    }
}

fn answered(question: &str) -> String {
    format!("Question: {question}\nAnswer:")
}

/// Removes what HellaSwag's texts from WikiHow have too much: " [title]", other bracketed words, double spaces.
fn tidy(text: &str) -> String {
    let text = text.trim_matches(is_space).replace(" [title]", ". ");
    let mut tidied = String::new();
    let mut rest = text.as_str();
    // A bracket ends at the first closing one on the same line.
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_of_the_data_sets_and_prepared_ones_make_the_same_questions() {
        let piqa = json!({ "goal": "To boil", "sol1": "cool", "sol2": "heat", "label": 1 });
        let prepared = json!({ "query": "Question: To boil\n", "choices": ["cool", "heat"], "gold": 1 });
        let expected = Question {
            context: "Question: To boil\nAnswer:".into(),
            choices: vec!["cool".into(), "heat".into()],
            gold: 1,
        };
        assert_eq!(Task::Piqa.question(&piqa).unwrap(), expected);
        assert_eq!(Task::Piqa.question(&prepared).unwrap(), expected);
        let arc = json!({
            "question": "To boil", "choices": { "text": ["cool", "heat"], "label": ["A", "B"] }, "answerKey": "B"
        });
        assert_eq!(Task::ArcEasy.question(&arc).unwrap(), expected);
        assert_eq!(Task::Piqa.question(&arc).unwrap_err(), "`goal` is missing");
        let arc = json!({ "question": "a", "choices": { "text": ["b"], "label": ["A", "B"] }, "answerKey": "A" });
        assert_eq!(Task::ArcEasy.question(&arc).unwrap_err(), "`choices` has 2 labels and 1 text");
        let one = json!({ "query": "a", "choices": ["b"], "gold": 1 });
        assert_eq!(
            Task::Piqa.question(&one).unwrap_err(),
            "answer 1, counted from 0, is the right one, but there is 1 answer"
        );
    }

    #[test]
    fn hellaswag_is_tidied() {
        let row = json!({
            "activity_label": "Cooking", "ctx_a": "How to cook [title] Wash [step] it.", "ctx_b": "the Cook",
            "endings": ["[header] cuts.", "a  b"], "label": "1",
        });
        let found = Task::HellaSwag.question(&row).unwrap();
        assert_eq!(found.context, "Cooking: How to cook.  Wash it. The cook".replace("  ", " "));
        assert_eq!(found.choices, [" cuts.", "a b"]);
        assert_eq!(tidy(" a [b c [d] e] f [g"), "a e] f [g");
        assert_eq!(tidy("\u{1f}\u{3000}[a\n[b]\u{2028}] c\u{a0}"), "[a\n\u{2028}] c");
        // Python's capital letters, not Rust's; an ending may become empty.
        let row = json!({
            "activity_label": "მზა", "ctx_a": "", "ctx_b": "ტექსტი ΣΑΣ", "endings": ["[step]", "x"], "label": " 0 ",
        });
        let found = Task::HellaSwag.question(&row).unwrap();
        assert_eq!((found.context.as_str(), found.choices[0].as_str()), ("მზა: ტექსტი σας", ""));
    }
}
