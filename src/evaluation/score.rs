//! Computes log-likelihoods of answers by a model.
//!
//! Contexts of one length are read together, each once for all of its answers. The answers continue from there, those
//! of similar length together.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Encoded;
use crate::model::{Llama, Read};

/// Approximate number of tokens per pass.
const PASS_TOKENS: usize = 4096;

/// A context and the answers after it.
struct Item<'a> {
    context: &'a [u32],
    /// Question, number of the answer, tokens.
    answers: Vec<(usize, usize, &'a [u32])>,
}

/// The sum of the log-probabilities of an answer's tokens, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    pub question: usize,
    /// Number of the answer within the question.
    pub choice: usize,
    pub log_likelihood: f64,
}

/// Answers that were read together. The questions and the model's length determine which answers a number stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    pub number: usize,
    pub answers: Vec<Answer>,
}

/// The log-likelihood of each answer, for each question, in nats.
///
/// Texts longer than the model's sequence lose their beginning. Passes in `known`, from an earlier call with the same
/// questions, are not computed again. `told` is called for each computed pass and can end the work; then there is no
/// result. Results depend neither on the number of threads nor on `known`.
pub fn log_likelihoods(
    model: &Llama,
    questions: &[Encoded],
    threads: usize,
    known: Vec<Pass>,
    told: impl Fn(&Pass) -> ControlFlow<()> + Sync,
) -> Option<Vec<Vec<f64>>> {
    let (mut items, cut) = items(questions, model.config().sequence_length);
    for Cut { question, answer, tokens } in &cut {
        let of_answer = questions[*question].choices[*answer].len().min(tokens.len() - 1);
        let (context, rest) = tokens.split_at(tokens.len() - of_answer);
        items.push(Item { context, answers: vec![(*question, *answer, rest)] });
    }
    // Long ones come first, so that a lack of memory shows at once.
    items.sort_by_key(|item| std::cmp::Reverse(item.context.len()));
    let batches: Vec<&[Item]> = items
        .chunk_by(|a, b| a.context.len() == b.context.len())
        .flat_map(|same| same.chunks((PASS_TOKENS / same[0].context.len()).max(1)))
        .collect();
    let known: BTreeMap<usize, Pass> = known.into_iter().map(|pass| (pass.number, pass)).collect();
    let found = Mutex::new(questions.iter().map(|question| vec![0.0; question.choices.len()]).collect::<Vec<_>>());
    let next = AtomicUsize::new(0);
    let ended = AtomicBool::new(false);
    let work = || {
        while !ended.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(batch) = batches.get(number) else { return };
            let note = |pass: &Pass| {
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                for answer in &pass.answers {
                    found[answer.question][answer.choice] = answer.log_likelihood;
                }
            };
            if let Some(pass) = known.get(&number).filter(|pass| is_of(pass, batch)) {
                note(pass);
                continue;
            }
            let pass = Pass { number, answers: score(model, batch) };
            note(&pass);
            if told(&pass).is_break() {
                ended.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, batches.len().max(1)) {
            scope.spawn(work);
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    (!ended.into_inner()).then_some(found)
}

/// Whether a pass has exactly the answers of a batch.
fn is_of(pass: &Pass, batch: &[Item]) -> bool {
    let asked = batch.iter().flat_map(|item| item.answers.iter().map(|&(question, choice, _)| (question, choice)));
    asked.eq(pass.answers.iter().map(|answer| (answer.question, answer.choice)))
}

/// An answer that is too long for the model together with its context.
struct Cut {
    question: usize,
    answer: usize,
    /// The last tokens of both.
    tokens: Vec<u32>,
}

/// Questions that fit the model, and answers that do not.
fn items(questions: &[Encoded], longest: usize) -> (Vec<Item<'_>>, Vec<Cut>) {
    let (mut items, mut cut) = (Vec::new(), Vec::new());
    for (index, question) in questions.iter().enumerate() {
        let mut answers = Vec::new();
        for (at, answer) in question.choices.iter().enumerate() {
            // The last token is only predicted.
            if question.context.len() + answer.len() <= longest + 1 {
                answers.push((index, at, &answer[..]));
            } else {
                let whole = [&question.context[..], answer].concat();
                let tokens = whole[whole.len() - (longest + 1)..].to_vec();
                cut.push(Cut { question: index, answer: at, tokens });
            }
        }
        if !answers.is_empty() {
            items.push(Item { context: &question.context, answers });
        }
    }
    (items, cut)
}

/// The answers for contexts of one length, in the order of the items.
fn score(model: &Llama, items: &[Item]) -> Vec<Answer> {
    let length = items[0].context.len();
    let contexts: Vec<u32> = items.iter().flat_map(|item| item.context).copied().collect();
    let read = model.read(None, &contexts, length);
    let answers: Vec<(u32, usize, usize, &[u32])> = items
        .iter()
        .enumerate()
        .flat_map(|(row, item)| {
            item.answers.iter().map(move |&(question, at, tokens)| (row as u32, question, at, tokens))
        })
        .collect();
    let first: Vec<_> = answers.iter().map(|(row, _, _, tokens)| (*row as usize, length - 1, tokens[0])).collect();
    let first = model.log_probabilities(&read, &first);
    let mut sums: Vec<Answer> = answers
        .iter()
        .zip(first)
        .map(|(&(_, question, choice, _), log)| Answer { question, choice, log_likelihood: f64::from(log) })
        .collect();
    // Answers of one token are done. The others are sorted by length, so that little padding is read.
    let mut order: Vec<usize> = (0..answers.len()).filter(|&index| answers[index].3.len() > 1).collect();
    order.sort_by_key(|&index| answers[index].3.len());
    let mut rest = &order[..];
    while let Some(&last) = rest.last() {
        let longest = answers[last].3.len() - 1;
        let (before, together) = rest.split_at(rest.len().saturating_sub((PASS_TOKENS / (length + longest)).max(1)));
        let logs = go_on(model, &read, together.iter().map(|&index| (answers[index].0, answers[index].3)), longest);
        for (&index, log) in together.iter().zip(logs) {
            sums[index].log_likelihood += log;
        }
        rest = before;
    }
    sums
}

/// Sums over all but the first token of answers, continued from rows that were read.
fn go_on<'a>(
    model: &Llama,
    read: &Read,
    answers: impl Iterator<Item = (u32, &'a [u32])> + Clone,
    longest: usize,
) -> Vec<f64> {
    let rows: Vec<u32> = answers.clone().map(|(row, _)| row).collect();
    let mut inputs = vec![0; rows.len() * longest];
    let mut asked = Vec::new();
    for (at, ((_, tokens), row)) in answers.clone().zip(inputs.chunks_exact_mut(longest)).enumerate() {
        row[..tokens.len() - 1].copy_from_slice(&tokens[..tokens.len() - 1]);
        asked.extend(tokens[1..].iter().enumerate().map(|(position, &token)| (at, position, token)));
    }
    let after = model.read(Some(read.cache.select(&rows)), &inputs, longest);
    let mut logs = model.log_probabilities(&after, &asked).into_iter();
    answers.map(|(_, tokens)| logs.by_ref().take(tokens.len() - 1).map(f64::from).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelSettings;
    use crate::model::{Device, LlamaConfig, init_theta};

    fn model() -> Llama {
        let settings = ModelSettings { preset: "nano".into(), sequence_length: Some(24), ..Default::default() };
        let config = LlamaConfig::from_settings(&settings).unwrap();
        let theta: Vec<f32> = init_theta(&config, 3).iter().map(|value| value * 10.0).collect();
        Llama::from_flat(&config, &theta, &Device::Cpu)
    }

    fn tokens(seed: u32, length: u32) -> Vec<u32> {
        (0..length).map(|at| (at * at * 3 + 11 * at + 17 * seed) % 256).collect()
    }

    /// Reads each answer with its context alone.
    fn alone(model: &Llama, context: &[u32], answer: &[u32]) -> f64 {
        let whole = [context, answer].concat();
        let whole = &whole[whole.len().saturating_sub(25)..];
        let length = whole.len() - 1;
        let losses = model.token_losses(&whole[..length], whole[1..].into(), length).into_data();
        -losses.as_slice::<f32>().unwrap()[length - answer.len()..].iter().map(|&loss| f64::from(loss)).sum::<f64>()
    }

    /// Some contexts of one length, answers of one token and of many, and one too long for the model.
    fn questions() -> Vec<Encoded> {
        (0..40)
            .map(|seed| Encoded {
                context: tokens(seed, 3 + seed % 5 + if seed == 7 { 30 } else { 0 }),
                choices: (0..3).map(|choice| tokens(100 + seed * 3 + choice, 1 + (seed * choice) % 19)).collect(),
            })
            .collect()
    }

    #[test]
    fn sums_are_those_of_each_answer_alone() {
        let (model, questions) = (model(), questions());
        let told = AtomicUsize::new(0);
        let found = log_likelihoods(&model, &questions, 3, Vec::new(), |pass| {
            told.fetch_add(pass.answers.len(), Ordering::Relaxed);
            ControlFlow::Continue(())
        });
        assert_eq!(told.into_inner(), 120);
        for (question, sums) in questions.iter().zip(found.expect("nobody ended it")) {
            for (choice, sum) in question.choices.iter().zip(sums) {
                let expected = alone(&model, &question.context, choice);
                assert!((sum - expected).abs() < 1e-5 * expected.abs().max(100.0), "{sum} for {expected}");
            }
        }
    }

    #[test]
    fn work_that_was_ended_goes_on_to_the_same_sums() {
        let (model, questions) = (model(), questions());
        let whole = log_likelihoods(&model, &questions, 2, Vec::new(), |_| ControlFlow::Continue(()));
        let passes = Mutex::new(Vec::new());
        let ended = log_likelihoods(&model, &questions, 1, Vec::new(), |pass| {
            let mut passes = passes.lock().unwrap();
            passes.push(pass.clone());
            if passes.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(ended, None);
        let mut known = passes.into_inner().unwrap();
        assert_eq!(known.len(), 3);
        // Answers that do not belong to the pass are computed; those that do are taken as they are.
        known[0].answers.pop();
        known[1].answers[0].question = 1000;
        let Answer { question, choice, .. } = known[2].answers[0];
        known[2].answers[0].log_likelihood = 17.5;
        let mut resumed = log_likelihoods(&model, &questions, 2, known, |_| ControlFlow::Continue(())).unwrap();
        let mut whole = whole.unwrap();
        assert_eq!(resumed[question][choice], 17.5);
        (resumed[question][choice], whole[question][choice]) = (0.0, 0.0);
        assert_eq!(resumed, whole);
    }
}
