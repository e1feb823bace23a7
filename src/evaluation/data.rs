//! Reads the questions of a task from its file, and notes the unusable ones.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::{DataError, Encoded, Question, Task, encode};
use crate::model::tokenizer::Tokenizer;
use crate::words::{counted, json_reason, other_encoding, unmarked, without_nan};

/// A task's questions.
#[derive(Clone, Debug)]
pub struct TaskData {
    pub task: Task,
    path: PathBuf,
    pub questions: Vec<Question>,
    /// For each question: its row, counted from 0 without blank lines, and its line, counted from 1.
    places: Vec<(usize, usize)>,
    /// Number of rows read, including those left out.
    pub rows: usize,
    /// Line and reason of each row left out.
    pub left_out: Vec<(usize, String)>,
    skip: bool,
}

impl TaskData {
    /// Reads `folder/TASK.jsonl`, at most `limit` rows, in the form of the data set (`goal`, `sol1`, ...) or prepared
    /// (`query`, `choices`, `gold`). With `skip`, unusable rows are left out and noted.
    ///
    /// # Errors
    /// The file does not exist or has no usable question, or without `skip` a row is unusable.
    pub fn read(task: Task, folder: &Path, limit: Option<usize>, skip: bool) -> Result<Self, DataError> {
        let path = folder.join(format!("{}.jsonl", task.name()));
        let unreadable = |error: std::io::Error| DataError::Unreadable {
            path: path.clone(),
            reason: error.to_string().split(" (os error ").next().unwrap_or_default().to_string(),
        };
        let mut file = BufReader::new(File::open(&path).map_err(unreadable)?);
        let mut data = Self {
            task,
            path: path.clone(),
            questions: Vec::new(),
            places: Vec::new(),
            rows: 0,
            left_out: Vec::new(),
            skip,
        };
        let (mut bytes, mut line) = (Vec::new(), 0);
        while limit.is_none_or(|limit| data.rows < limit) {
            bytes.clear();
            if file.read_until(b'\n', &mut bytes).map_err(unreadable)? == 0 {
                break;
            }
            line += 1;
            // Where marked files were put together, each of them begins with its mark.
            let text = unmarked(&bytes);
            if text.trim_ascii().is_empty() {
                continue;
            }
            data.rows += 1;
            match question(task, text) {
                Ok(question) => {
                    data.questions.push(question);
                    data.places.push((data.rows - 1, line));
                }
                Err(problem) => data.leave_out(line, problem)?,
            }
        }
        data.some()
    }

    /// Encodes the questions. With `skip`, questions that the tokenizer cannot encode are left out too.
    ///
    /// # Errors
    /// Without `skip`, a question cannot be encoded; or no question can.
    pub fn encode(&mut self, tokenizer: &Tokenizer) -> Result<Vec<Encoded>, DataError> {
        let mut encoded = Vec::with_capacity(self.questions.len());
        let questions = std::mem::take(&mut self.questions);
        for (question, place) in questions.into_iter().zip(std::mem::take(&mut self.places)) {
            match encode(&question, tokenizer) {
                Ok(tokens) => {
                    encoded.push(tokens);
                    self.questions.push(question);
                    self.places.push(place);
                }
                Err(problem) => self.leave_out(place.1, problem)?,
            }
        }
        let empty = self.questions.is_empty();
        if empty { Err(self.empty()) } else { Ok(encoded) }
    }

    /// The row of a question, counted from 0.
    pub fn row(&self, question: usize) -> usize {
        self.places[question].0
    }

    /// What is left out, one line per row; `None` if nothing is.
    pub fn summary(&self) -> Option<String> {
        const SHOWN: usize = 10;
        if self.left_out.is_empty() {
            return None;
        }
        let mut text =
            format!("{}: {} of {} left out", self.path.display(), self.left_out.len(), counted(self.rows, "row"));
        for (line, problem) in self.left_out.iter().take(SHOWN) {
            text += &format!("\n  line {line}: {problem}");
        }
        let more = self.left_out.len().saturating_sub(SHOWN);
        if more > 0 {
            text += &format!("\n  and {more} more");
        }
        Some(text)
    }

    fn leave_out(&mut self, line: usize, problem: String) -> Result<(), DataError> {
        if !self.skip {
            return Err(DataError::Row { path: self.path.clone(), line, problem });
        }
        self.left_out.push((line, problem));
        Ok(())
    }

    fn some(self) -> Result<Self, DataError> {
        if self.questions.is_empty() { Err(self.empty()) } else { Ok(self) }
    }

    fn empty(&self) -> DataError {
        DataError::Empty { path: self.path.clone(), rows: self.rows }
    }
}

fn question(task: Task, line: &[u8]) -> Result<Question, String> {
    let text = std::str::from_utf8(line).map_err(|error| {
        let at = error.valid_up_to() + 1;
        other_encoding(line).unwrap_or_else(|| format!("not UTF-8 at byte {at} of it"))
    })?;
    let line = text.trim_end().as_bytes();
    // Python writes NaN and Infinity, which JSON lacks.
    let row = serde_json::from_slice(line).or_else(|error| match without_nan(line) {
        Some(line) => serde_json::from_slice(&line),
        None => Err(error),
    });
    let row = row.map_err(|error| {
        let column = String::from_utf8_lossy(&line[..error.column().saturating_sub(1).min(line.len())]).chars().count();
        format!("not JSON: {}, column {}", json_reason(line, &error), column + 1)
    })?;
    task.question(&row).map_err(|problem| match problem.ends_with("is missing") {
        true => format!("{problem}; expected {}, or query, choices, gold", task.columns()),
        false => problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"query":"Question: a\n","choices":["b","c"],"gold":0}"#;

    #[test]
    fn a_wrong_row_names_its_line_and_can_be_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("piqa.jsonl");
        for (bad, expected) in [
            (&b"{}"[..], "`goal` is missing; expected goal, sol1, sol2, label, or query, choices, gold"),
            (br#"{"query":"a"#, "not JSON: it ends within a string, column 11"),
            (b"[1]", "expected an object with a value for each column"),
            (
                br#"{"query":"a","choices":["b","c"],"gold":2}"#,
                "answer 2, counted from 0, is the right one, but there are 2 answers",
            ),
            (br#"{"query":"a","choices":["b",7],"gold":0}"#, "`choices` is [\"b\",7], expected a list of texts"),
            (
                br#"{"goal":"a","sol1":"b","sol2":"c","label":""}"#,
                "`label` is \"\", expected the number of an answer, counted from 0",
            ),
            (
                br#"{"goal":"a","sol1":"b","sol2":"c","label":-1}"#,
                "`label` is -1, expected the number of an answer, counted from 0",
            ),
            (b"{\"query\":\"\xff\"}", "not UTF-8 at byte 11 of it"),
        ] {
            let text = [GOOD.as_bytes(), b"\n\n", bad, b"\r\n", GOOD.as_bytes()].concat();
            std::fs::write(&file, [b"\xef\xbb\xbf", &text[..]].concat()).unwrap();
            let error = TaskData::read(Task::Piqa, folder.path(), None, false).unwrap_err().to_string();
            let expected_error =
                format!("{}, line 3: {expected}; --skip-bad-rows leaves such rows out", file.display());
            assert_eq!(error, expected_error);
            assert_eq!(TaskData::read(Task::Piqa, folder.path(), Some(1), false).unwrap().questions.len(), 1);
            let mut data = TaskData::read(Task::Piqa, folder.path(), None, true).unwrap();
            assert_eq!((data.questions.len(), data.rows, data.row(1)), (2, 3, 2));
            assert_eq!(data.encode(&Tokenizer::Bytes).unwrap().len(), 2);
            let summary = format!("{}: 1 of 3 rows left out\n  line 3: {expected}", file.display());
            assert_eq!(data.summary(), Some(summary));
        }
    }

    #[test]
    fn what_python_writes_and_marks_before_a_row_make_it_no_worse() {
        let folder = tempfile::tempdir().unwrap();
        let row = r#"{"query":"NaN","choices":["b","c"],"gold":0,"score":NaN}"#;
        std::fs::write(folder.path().join("piqa.jsonl"), format!("{row}\n\u{feff}{row}\n")).unwrap();
        let data = TaskData::read(Task::Piqa, folder.path(), None, false).unwrap();
        assert_eq!(data.questions.len(), 2);
        assert_eq!(data.questions[1].context, "NaN\nAnswer:");
    }

    #[test]
    fn a_file_without_questions_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("arc_easy.jsonl");
        let error = |skip| TaskData::read(Task::ArcEasy, folder.path(), None, skip).unwrap_err().to_string();
        let hint = "; --data names the folder with a file TASK.jsonl for each task";
        assert_eq!(error(false), format!("{}: No such file or directory{hint}", file.display()));
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(error(false), format!("{}: it is empty", file.display()));
        std::fs::write(&file, "{}\n").unwrap();
        assert_eq!(error(true), format!("{}: its only row cannot be used", file.display()));
    }
}
