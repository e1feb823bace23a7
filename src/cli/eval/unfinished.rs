//! Answers to a task that is not finished: `unfinished_TASK_DIGEST.csv` in the folder of the results, one line per
//! answer. The file exists from the first pass until the results are written. The digest covers model and questions, so
//! another evaluation in the same folder does not use these answers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use gauntlet::digest::Digest;
use gauntlet::evaluation::{Answer, Encoded, Pass, Task};
use gauntlet::model::LlamaConfig;
use gauntlet::report::write_file;

/// `answers` is the number of answers in the whole pass.
const COLUMNS: &str = "pass,answers,question,answer,log_likelihood";

/// The answers to a task so far, on disk.
pub struct Unfinished {
    path: PathBuf,
    file: File,
}

/// Identifies an evaluation: the model, the device that computes it, and the questions.
pub fn digest_of(config: &LlamaConfig, theta: &Digest, device: &str, questions: &[Encoded]) -> Digest {
    let mut tokens = Vec::new();
    let mut put = |tokens_of: &[u32]| {
        tokens.extend((tokens_of.len() as u32).to_le_bytes());
        tokens.extend(tokens_of.iter().flat_map(|token| token.to_le_bytes()));
    };
    for question in questions {
        put(&[question.choices.len() as u32]);
        put(&question.context);
        question.choices.iter().for_each(|choice| put(choice));
    }
    let config = serde_json::to_vec(config).expect("plain numbers");
    let version = env!("CARGO_PKG_VERSION");
    Digest::of_parts([&config, &theta.0[..], device.as_bytes(), version.as_bytes(), &tokens])
}

impl Unfinished {
    /// Opens the file of this work in `folder`, or creates it, and returns its complete passes.
    pub fn open(folder: &Path, task: Task, work: &Digest) -> anyhow::Result<(Self, Vec<Pass>)> {
        let path = path(folder, task, work);
        let head = format!("# {work}\n{COLUMNS}\n");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                let what = || format!("cannot read {}; without it the questions are asked again", path.display());
                return Err(error).with_context(what);
            }
        };
        let passes = text.strip_prefix(&head).map(passes).unwrap_or_default();
        // A line that a killed program left incomplete is dropped.
        let lines: String = passes.iter().map(lines).collect();
        write_file(&path, (head + &lines).as_bytes())?;
        let file = File::options().append(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok((Self { path, file }, passes))
    }

    /// Adds a pass.
    pub fn add(&mut self, pass: &Pass) -> anyhow::Result<()> {
        let written = self.file.write_all(lines(pass).as_bytes());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Removes the file of finished work from `folder`.
pub fn remove(folder: &Path, task: Task, work: &Digest) -> anyhow::Result<()> {
    let path = path(folder, task, work);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn path(folder: &Path, task: Task, work: &Digest) -> PathBuf {
    folder.join(format!("unfinished_{}_{}.csv", task.name(), work.short()))
}

fn lines(pass: &Pass) -> String {
    let line = |answer: &Answer| {
        let Answer { question, choice, log_likelihood } = answer;
        // The shortest digits that read back as the same number.
        format!("{},{},{question},{choice},{log_likelihood:?}\n", pass.number, pass.answers.len())
    };
    pass.answers.iter().map(line).collect()
}

/// The complete passes in the lines before the first damaged one.
fn passes(text: &str) -> Vec<Pass> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut passes: BTreeMap<(usize, usize), Vec<Answer>> = BTreeMap::new();
    for (pass, answer) in whole.lines().map_while(parsed) {
        passes.entry(pass).or_default().push(answer);
    }
    let whole = passes.into_iter().filter(|((_, count), answers)| answers.len() == *count);
    whole.map(|((number, _), answers)| Pass { number, answers }).collect()
}

/// Parses a line: the number of a pass, its number of answers, and one answer.
fn parsed(line: &str) -> Option<((usize, usize), Answer)> {
    let mut cells = line.split(',');
    let pass = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
    let (question, choice) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
    let log_likelihood = cells.next()?.parse().ok()?;
    cells.next().is_none().then_some((pass, Answer { question, choice, log_likelihood }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_of_the_same_work_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let (work, other) = (Digest::of(b"work"), Digest::of(b"other"));
        let pass = |number: usize| Pass {
            number,
            answers: (0..3)
                .map(|choice| Answer { question: 7 * number, choice, log_likelihood: -0.1 / (choice + number) as f64 })
                .collect(),
        };
        let (mut unfinished, known) = Unfinished::open(folder.path(), Task::Piqa, &work).unwrap();
        assert_eq!(known, []);
        [pass(2), pass(0)].iter().for_each(|pass| unfinished.add(pass).unwrap());
        drop(unfinished);
        let file = path(folder.path(), Task::Piqa, &work);
        let whole = fs::read(&file).unwrap();
        let open = |work| Unfinished::open(folder.path(), Task::Piqa, work).unwrap().1;
        assert_eq!(open(&work), [pass(0), pass(2)]);
        for cut in 0..whole.len() {
            fs::write(&file, &whole[..cut]).unwrap();
            let known = open(&work);
            assert!(known.iter().all(|known| *known == pass(known.number)), "{cut} bytes");
            // Saved passes are read back, and new ones are appended.
            let (mut unfinished, again) = Unfinished::open(folder.path(), Task::Piqa, &work).unwrap();
            assert_eq!(again, known, "{cut} bytes");
            unfinished.add(&pass(5)).unwrap();
            assert_eq!(open(&work).len(), known.len() + 1, "{cut} bytes");
        }
        fs::write(&file, &whole).unwrap();
        assert_eq!(open(&other), []);
        assert_eq!(open(&work).len(), 2);
        remove(folder.path(), Task::Piqa, &work).unwrap();
        remove(folder.path(), Task::Piqa, &work).unwrap();
        assert!(!file.exists() && path(folder.path(), Task::Piqa, &other).exists());
    }
}
