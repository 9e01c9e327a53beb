//! From a context and a continuation to tokens, by the rules of each branch.

use crate::{Profile, python};
use sai_generation::Tokenizer;

/// Tokens to be scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Context and continuation, cut from the left where they are too long.
    pub tokens: Vec<u32>,
    /// The number of the continuation's first token, at least 1.
    pub first: usize,
    /// Tokens that were cut from the context.
    pub cut: usize,
}

/// What the rules need to know of a vocabulary.
pub trait Vocabulary {
    /// Ids of a text in which special tokens are meant; nothing is added.
    ///
    /// # Errors
    /// In words: it is elsewhere, and does not answer.
    fn encode(&self, text: &str) -> Result<Vec<u32>, String>;
    /// The token that opens a text, where there is one.
    fn bos(&self) -> Option<u32>;
    /// The token that ends a text, where there is one.
    fn eos(&self) -> Option<u32>;
    /// Whether the vocabulary opens texts by itself.
    fn add_bos(&self) -> bool;
    /// Whether the vocabulary ends texts by itself.
    fn add_eos(&self) -> bool;
    /// How a token is written, where that is known.
    fn written(&self, token: u32) -> Option<String>;
}

impl Vocabulary for Tokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        Ok(Tokenizer::encode(self, text))
    }

    fn bos(&self) -> Option<u32> {
        Tokenizer::bos(self)
    }

    fn eos(&self) -> Option<u32> {
        Tokenizer::eos(self).first().copied()
    }

    fn add_bos(&self) -> bool {
        Tokenizer::add_bos(self)
    }

    fn add_eos(&self) -> bool {
        Tokenizer::add_eos(self)
    }

    fn written(&self, token: u32) -> Option<String> {
        Some(self.decode_with_special(&[token]))
    }
}

/// The tokens of a pair by the rules of a branch; at most `max_length` of them are read before the last one.
///
/// # Errors
/// In words: the continuation has no token of its own or is longer than the context, or there is no token to open an
/// empty context with.
pub fn encode(
    vocabulary: &dyn Vocabulary,
    profile: Profile,
    context: &str,
    continuation: &str,
    max_length: usize,
) -> Result<Pair, String> {
    let (context, continuation) = match profile {
        Profile::Polyglot => apart(vocabulary, context, continuation)?,
        Profile::Main => together(vocabulary, context, continuation)?,
    };
    if continuation.is_empty() {
        return Err(
            "a choice has no token of its own beside the context's, so nothing can be scored".to_owned()
        );
    }
    if context.is_empty() {
        return Err("the context has no tokens, so nothing comes before the choice".to_owned());
    }
    if continuation.len() > max_length {
        let n = continuation.len();
        return Err(format!("a choice has {n} tokens, and the model's context has {max_length}"));
    }
    let n = continuation.len();
    let mut tokens = context;
    tokens.extend(continuation);
    // The last token is scored and not read, so that one more than the model reads is kept.
    let cut = tokens.len().saturating_sub(max_length + 1);
    tokens.drain(..cut);
    Ok(Pair { first: tokens.len() - n, tokens, cut })
}

/// `polyglot`: each by itself, nothing added, and the token that ends a text for an empty context.
fn apart(
    vocabulary: &dyn Vocabulary,
    context: &str,
    continuation: &str,
) -> Result<(Vec<u32>, Vec<u32>), String> {
    let before = match context.is_empty() {
        true => vec![
            vocabulary.eos().ok_or("the context is empty, and the vocabulary has no token to end a text")?,
        ],
        false => vocabulary.encode(context)?,
    };
    Ok((before, vocabulary.encode(continuation)?))
}

/// `main`: white space at the context's end belongs to the continuation, which is what the whole has after as many tokens
/// as the context has by itself. Tokens that open and end a text are added as the vocabulary does.
fn together(
    vocabulary: &dyn Vocabulary,
    context: &str,
    continuation: &str,
) -> Result<(Vec<u32>, Vec<u32>), String> {
    let prefix = vocabulary.bos().or(vocabulary.eos());
    if context.is_empty() {
        let prefix = prefix.ok_or("the context is empty, and the vocabulary has no token to open a text")?;
        let mut tokens = vocabulary.encode(continuation)?;
        if tokens.first() == Some(&prefix) {
            tokens.remove(0);
        }
        return Ok((vec![prefix], tokens));
    }
    let kept = python::rstrip(context);
    let mut whole = opened(vocabulary, &format!("{context}{continuation}"))?;
    let before = opened(vocabulary, kept)?;
    let continuation = whole.split_off(before.len().min(whole.len()));
    Ok((before, continuation))
}

/// `main`: a text with the tokens that open and end one, as the vocabulary adds them.
fn opened(vocabulary: &dyn Vocabulary, text: &str) -> Result<Vec<u32>, String> {
    let prefix = vocabulary.bos().or(vocabulary.eos());
    let mut tokens = vocabulary.encode(text)?;
    // A text that is opened already is taken as it is.
    let written = prefix.and_then(|prefix| vocabulary.written(prefix));
    if written.is_none_or(|written| !text.starts_with(&written)) {
        if let Some(bos) = vocabulary.bos().filter(|_| vocabulary.add_bos()) {
            tokens.insert(0, bos);
        }
        tokens.extend(vocabulary.eos().filter(|_| vocabulary.add_eos()));
    }
    Ok(tokens)
}

/// The tokens of a text that is to be continued by at most `max_tokens`, cut from the left so that they have room.
///
/// # Errors
/// In words: there is no room, or nothing to go on from.
pub fn encode_context(
    vocabulary: &dyn Vocabulary,
    profile: Profile,
    context: &str,
    max_tokens: usize,
    max_length: usize,
) -> Result<(Vec<u32>, usize), String> {
    let mut tokens = match profile {
        Profile::Polyglot => vocabulary.encode(context)?,
        Profile::Main => opened(vocabulary, context)?,
    };
    if tokens.is_empty() {
        return Err("the context has no tokens, so that there is nothing to go on from".to_owned());
    }
    if max_tokens >= max_length {
        return Err(format!(
            "an answer may have {max_tokens} tokens, and the model's context has {max_length}"
        ));
    }
    let cut = tokens.len().saturating_sub(max_length - max_tokens);
    tokens.drain(..cut);
    Ok((tokens, cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters are tokens, `Ans` and `wer` merge where they meet, and two blanks are one token.
    struct Merging {
        add_bos: bool,
        bos: Option<u32>,
    }

    const EOS: u32 = 1;
    const BLANKS: u32 = 2;
    const ANSWER: u32 = 3;

    impl Vocabulary for Merging {
        fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
            let (mut ids, mut rest) = (Vec::new(), text);
            while let Some(c) = rest.chars().next() {
                let (id, bytes) = match rest {
                    _ if rest.starts_with("Answer") => (ANSWER, 6),
                    _ if rest.starts_with("  ") => (BLANKS, 2),
                    _ if rest.starts_with("<s>") => (0, 3),
                    _ => (u32::from(c), c.len_utf8()),
                };
                ids.push(id);
                rest = &rest[bytes..];
            }
            Ok(ids)
        }
        fn bos(&self) -> Option<u32> {
            self.bos
        }
        fn eos(&self) -> Option<u32> {
            Some(EOS)
        }
        fn add_bos(&self) -> bool {
            self.add_bos
        }
        fn add_eos(&self) -> bool {
            false
        }
        fn written(&self, token: u32) -> Option<String> {
            Some(if token == 0 { "<s>" } else { "</s>" }.to_owned())
        }
    }

    fn pair(profile: Profile, context: &str, continuation: &str, most: usize) -> Result<Pair, String> {
        encode(&Merging { add_bos: false, bos: None }, profile, context, continuation, most)
    }

    fn ids(text: &str) -> Vec<u32> {
        text.chars().map(u32::from).collect()
    }

    #[test]
    fn a_trailing_blank_moves_in_main_and_stays_in_polyglot() {
        let main = pair(Profile::Main, "답: ", " 예", 100).expect("sound");
        assert_eq!(main.tokens, [ids("답:"), vec![BLANKS], ids("예")].concat());
        assert_eq!(main.first, 2);
        let polyglot = pair(Profile::Polyglot, "답: ", " 예", 100).expect("sound");
        assert_eq!((polyglot.tokens, polyglot.first), (ids("답:  예"), 3));
    }

    #[test]
    fn separators_of_ascii_move_too() {
        let main = pair(Profile::Main, "a\u{1f}\u{1c}", "b", 100).expect("sound");
        assert_eq!((main.first, main.tokens.len()), (1, 4));
    }

    #[test]
    fn a_token_across_the_join_leaves_no_continuation_and_is_reported() {
        let error = pair(Profile::Main, "Ans", "wer", 100);
        // Three tokens of the context are more than the whole has.
        assert!(error.as_ref().is_err_and(|e| e.contains("no token of its own")), "{error:?}");
        assert!(pair(Profile::Polyglot, "a", "", 100).is_err());
        assert_eq!(pair(Profile::Polyglot, "Ans", "wer", 100).map(|p| p.tokens), Ok(ids("Answer")));
    }

    #[test]
    fn an_empty_context_is_opened_by_bos_or_else_eos_in_main_and_by_eos_in_polyglot() {
        let with_bos = Merging { add_bos: true, bos: Some(0) };
        let open = |profile, text| encode(&with_bos, profile, "", text, 9).expect("sound").tokens;
        assert_eq!(open(Profile::Main, "b"), [0, 98]);
        assert_eq!(open(Profile::Main, "<s>b"), [0, 98], "a prefix that is there is not put twice");
        assert_eq!(open(Profile::Polyglot, "b"), [EOS, 98]);
        assert_eq!(pair(Profile::Main, "", "b", 9).map(|p| p.tokens), Ok(vec![EOS, 98]));
    }

    #[test]
    fn main_opens_as_the_vocabulary_does_and_polyglot_never() {
        let with_bos = Merging { add_bos: true, bos: Some(0) };
        let of = |profile, text| encode(&with_bos, profile, text, "b", 9).expect("sound").tokens;
        assert_eq!(of(Profile::Main, "a"), [0, 97, 98]);
        assert_eq!(of(Profile::Main, "<s>a"), [0, 97, 98]);
        assert_eq!(of(Profile::Polyglot, "a"), [97, 98]);
    }

    #[test]
    fn one_more_than_the_context_is_kept() {
        let cut = pair(Profile::Polyglot, "abcdef", "gh", 4).expect("sound");
        assert_eq!((cut.tokens, cut.first, cut.cut), (ids("defgh"), 3, 3));
        let whole = pair(Profile::Polyglot, "ab", "cde", 4).expect("sound");
        assert_eq!((whole.first, whole.cut), (2, 0));
        assert_eq!(pair(Profile::Polyglot, "ab", "cdef", 4).map(|p| p.first), Ok(1));
        assert!(pair(Profile::Polyglot, "ab", "cdefg", 4).is_err_and(|e| e.contains("5 tokens")));
    }
}
