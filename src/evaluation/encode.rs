//! Turns a question into tokens, as the harness does.

use super::Question;
use super::python::is_space;
use crate::model::tokenizer::Tokenizer;

/// A question in tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens before each answer; at least one.
    pub context: Vec<u32>,
    /// The answers, each of at least one token.
    pub choices: Vec<Vec<u32>>,
}

/// Encodes a question.
///
/// An answer's tokens are those that context and answer together have in addition to the context alone, so they are the
/// tokens of a continuous text. Spaces at the end of the context go to the answer (`_encode_pair` of the harness).
///
/// # Errors
/// The tokenizer fails, or an answer adds no token.
pub fn encode(question: &Question, tokenizer: &Tokenizer) -> Result<Encoded, String> {
    let stem = question.context.trim_end_matches(is_space);
    // A text that begins with the start token is not given another one.
    let first = tokenizer.begin().or(tokenizer.end());
    let tokens = |text: &str| tokenizer.encode_with(text, !first.is_some_and(|(name, _)| text.starts_with(name)));
    let context = tokens(stem)?;
    if context.is_empty() {
        return Err("the tokenizer makes nothing of the question".into());
    }
    let choices = question.choices.iter().map(|choice| {
        let whole = tokens(&format!("{} {choice}", question.context))?;
        let answer = whole.get(context.len()..).unwrap_or_default().to_vec();
        if answer.is_empty() {
            return Err(format!("the tokenizer makes nothing of the answer {choice:?}"));
        }
        Ok(answer)
    });
    Ok(Encoded { choices: choices.collect::<Result<_, _>>()?, context })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_between_go_to_the_answer() {
        for context in ["ab", "ab ", "ab\u{1f}"] {
            let question = Question { context: context.into(), choices: vec!["c".into(), "de".into()], gold: 0 };
            let encoded = encode(&question, &Tokenizer::Bytes).unwrap();
            assert_eq!(encoded.context, [97, 98]);
            let spaces = [&context.as_bytes()[2..], b" "].concat();
            assert_eq!(encoded.choices[0], [&spaces[..], b"c"].concat().into_iter().map(u32::from).collect::<Vec<_>>());
            assert_eq!(encoded.choices[1].len(), spaces.len() + 2);
        }
        let question = Question { context: " ".into(), choices: vec!["c".into()], gold: 0 };
        assert!(encode(&question, &Tokenizer::Bytes).unwrap_err().contains("nothing of the question"));
    }
}
