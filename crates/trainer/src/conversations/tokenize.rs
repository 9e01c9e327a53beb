//! A conversation as tokens, and which of them are the assistant's.
//!
//! A template says nothing of who speaks, so it is found out: the text up to an answer, with the opening of an answer,
//! must be the beginning of the whole text, and so must the text up to the answer's end; what lies between is the
//! answer. It is trained on from its first token to the token that ends the turn, which is the first in it that ends
//! generation. A template that writes a turn differently when others follow cannot be told about, and is refused.

use sai_tokenizer::{ChatTemplate, Message, SpecialTokens, TemplateError, Tokenizer};
use std::ops::Range;

/// A conversation as a model is taught it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizedConversation {
    /// The whole conversation up to the last token that is trained on.
    pub tokens: Vec<u32>,
    /// The tokens of each answer with the one that ends it; the model is to predict these.
    pub answers: Vec<Range<usize>>,
    /// Bytes of each answer's text.
    pub answer_bytes: Vec<u64>,
    /// Answers whose first token began in the opening, so that it is not trained on.
    pub straddling: usize,
}

/// Why a conversation is no lesson.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The conversation's own fault.
    Conversation(String),
    /// The template's, or the tokenizer's: others would fare no better.
    Template(String),
}

/// Writes conversations as lessons.
pub(super) struct Teacher<'t> {
    tokenizer: &'t Tokenizer,
    template: &'t ChatTemplate,
    /// Texts of the special tokens, which no turn may hold.
    specials: Vec<&'t str>,
    special_tokens: SpecialTokens,
}

impl<'t> Teacher<'t> {
    pub(super) fn new(tokenizer: &'t Tokenizer, template: &'t ChatTemplate) -> Teacher<'t> {
        let specials = tokenizer.added_tokens().filter(|token| token.special && !token.content.is_empty());
        let specials = specials.map(|token| token.content.as_str()).collect();
        Teacher { tokenizer, template, specials, special_tokens: tokenizer.special_tokens() }
    }

    /// Writes a conversation whose answers after the first `prompt` turns are trained on.
    pub(super) fn lesson(
        &self,
        messages: &[Message],
        prompt: usize,
    ) -> Result<TokenizedConversation, Refusal> {
        for (i, message) in messages.iter().enumerate() {
            if let Some(special) = self.specials.iter().find(|&&special| message.content.contains(special)) {
                let fact = format!("turn {} spells the special token {special}", i + 1);
                return Err(Refusal::Conversation(fact));
            }
        }
        let whole = self.render(messages, false)?;
        let placed = self.tokenizer.encode_with_offsets(&whole);
        let placed = placed.map_err(|e| Refusal::Conversation(e.to_string()))?;

        let mut lesson = TokenizedConversation {
            tokens: Vec::new(),
            answers: Vec::new(),
            answer_bytes: Vec::new(),
            straddling: 0,
        };
        let answers = messages.iter().enumerate().skip(prompt);
        for (i, _) in answers.filter(|(_, message)| message.role == "assistant") {
            let opened = self.beginning(&messages[..i], true)?;
            let closed = match i + 1 == messages.len() {
                true => whole.clone(),
                false => self.beginning(&messages[..=i], false)?,
            };
            for part in [&opened, &closed] {
                if !whole.starts_with(part.as_str()) || part.len() < opened.len() {
                    return Err(Refusal::Template(format!(
                        "the chat template writes turn {} in another way when it is not the last, so that its tokens \
                         cannot be told; give another `template`",
                        i + 1
                    )));
                }
            }
            let first = placed.partition_point(|(_, bytes)| bytes.start < opened.len());
            let behind = placed.partition_point(|(_, bytes)| bytes.start < closed.len());
            let end = (first..behind).find(|&at| self.tokenizer.eos().contains(&placed[at].0));
            let Some(end) = end else {
                return Err(Refusal::Template(format!(
                    "the chat template closes turn {} with no token that ends an answer; give another `template`",
                    i + 1
                )));
            };
            let straddles = first > 0 && placed[first - 1].1.end > opened.len();
            lesson.straddling += usize::from(straddles);
            lesson.answer_bytes.push(placed[end].1.start.saturating_sub(placed[first].1.start) as u64);
            lesson.answers.push(first..end + 1);
        }
        let length = lesson.answers.last().map_or(0, |answer| answer.end);
        lesson.tokens = placed.into_iter().take(length).map(|(id, _)| id).collect();
        Ok(lesson)
    }

    /// The first turns of a conversation whose whole the template writes: where it does not write these, it is for this
    /// conversation.
    fn beginning(&self, messages: &[Message], open: bool) -> Result<String, Refusal> {
        self.render(messages, open).map_err(|refusal| match (refusal, messages.len()) {
            (Refusal::Template(fact), 0) => Refusal::Conversation(format!(
                "the chat template cannot write no turn before an answer: {fact}"
            )),
            (Refusal::Template(fact), turns) => {
                Refusal::Conversation(format!("the chat template cannot write {turns} turns: {fact}"))
            }
            (own, _) => own,
        })
    }

    fn render(&self, messages: &[Message], open: bool) -> Result<String, Refusal> {
        self.template.render(messages, open, &self.special_tokens).map_err(|e| match e {
            TemplateError::Refused { .. } => Refusal::Conversation(e.to_string()),
            other => Refusal::Template(other.to_string()),
        })
    }
}

impl TokenizedConversation {
    /// Cuts what does not fit into `context` rows, after the last whole answer that does. Whether one does.
    pub(super) fn fit(&mut self, context: usize) -> Fit {
        // The last token is predicted and not read.
        if self.tokens.len() <= context + 1 {
            return Fit::Whole;
        }
        self.answers.retain(|answer| answer.end <= context + 1);
        self.answer_bytes.truncate(self.answers.len());
        let Some(last) = self.answers.last() else { return Fit::TooLong };
        self.tokens.truncate(last.end);
        Fit::Cut
    }
}

/// How a conversation fits into a context; of two the worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Whole,
    Cut,
    TooLong,
}
