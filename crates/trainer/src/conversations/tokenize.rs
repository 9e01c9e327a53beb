//! A conversation as tokens, and which of them are the assistant's.
//!
//! A template says nothing of who speaks, so it is found out: the text up to an answer, with the opening of an answer,
//! must be the beginning of the whole text, and so must the text up to the answer's end; what lies between is the
//! answer. It is trained on from its first token to the token that ends the turn, which is the first in it that ends
//! generation. A template that writes a turn differently when others follow cannot be told about, and is refused.
//!
//! Some templates end the opening with words that the answer is to go on from, as `<think>`. Where an answer begins is then
//! seen from two that differ in their first letter.

use super::forms::Conversation;
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
    /// Whether the template's opening of an answer goes on beyond what stands before one.
    opens_further: bool,
}

impl<'t> Teacher<'t> {
    pub(super) fn new(tokenizer: &'t Tokenizer, template: &'t ChatTemplate) -> Teacher<'t> {
        let specials = tokenizer.added_tokens().filter(|token| token.special && !token.content.is_empty());
        let specials = specials.map(|token| token.content.as_str()).collect();
        let special_tokens = tokenizer.special_tokens();
        let mut teacher = Teacher { tokenizer, template, specials, special_tokens, opens_further: false };
        let question = [Message::new("user", "a")];
        let opened = teacher.render(&question, true).unwrap_or_default();
        let header = teacher.header(&question);
        teacher.opens_further =
            header.is_some_and(|header| opened.len() > header.len() && opened.starts_with(&header));
        teacher
    }

    /// Writes a conversation. Its answers that are marked so are trained on.
    pub(super) fn lesson(&self, conversation: &Conversation) -> Result<TokenizedConversation, Refusal> {
        let Conversation { messages, trained } = conversation;
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
        for (i, _) in trained.iter().enumerate().filter(|(_, train)| **train) {
            let start = self.start(messages, i, &whole)?;
            let closed = match i + 1 == messages.len() {
                true => whole.clone(),
                false => self.beginning(&messages[..=i], false)?,
            };
            // What follows the end of a turn may differ.
            let same = common(&whole, &closed);
            let first = placed.partition_point(|(_, bytes)| bytes.start < start);
            let behind = placed.partition_point(|(_, bytes)| bytes.end <= same);
            let end = (first..behind).find(|&at| self.tokenizer.eos().contains(&placed[at].0));
            let Some(end) = end else {
                return Err(Refusal::Template(match same < closed.len() {
                    true => changes(i + 1),
                    false => format!(
                        "the chat template closes turn {} with no token that ends an answer; give another `template`",
                        i + 1
                    ),
                }));
            };
            let straddles = first > 0 && placed[first - 1].1.end > start;
            lesson.straddling += usize::from(straddles);
            lesson.answer_bytes.push(placed[end].1.start.saturating_sub(placed[first].1.start) as u64);
            lesson.answers.push(first..end + 1);
        }
        let length = lesson.answers.last().map_or(0, |answer| answer.end);
        lesson.tokens = placed.into_iter().take(length).map(|(id, _)| id).collect();
        Ok(lesson)
    }

    /// Where in the whole text the answer that is turn `i` begins.
    fn start(&self, messages: &[Message], i: usize, whole: &str) -> Result<usize, Refusal> {
        let opened = self.beginning(&messages[..i], true)?;
        let fits = whole.starts_with(&opened);
        if fits && !self.opens_further {
            return Ok(opened.len());
        }
        // A template that cannot write these two says so of the answer itself.
        match self.header(&messages[..i]) {
            Some(header) if whole.starts_with(&header) && opened.starts_with(&header) => Ok(header.len()),
            _ if fits => Ok(opened.len()),
            _ => {
                let at = common(whole, &opened);
                // What is not the same may lie in the turns themselves.
                if i > 0 && common(whole, &self.beginning(&messages[..i], false)?) >= at {
                    return Err(Refusal::Template(changes(i)));
                }
                Err(Refusal::Template(format!(
                    "the chat template opens an answer with `{}` and does not write turn {} so, so that its tokens \
                     cannot be told; give another `template`",
                    shown(&opened[at..]),
                    i + 1
                )))
            }
        }
    }

    /// The text up to the first letter of an answer to these turns.
    fn header(&self, messages: &[Message]) -> Option<String> {
        let answered = |content: &str| {
            let answer = Message::new("assistant", content);
            self.render(&[messages, &[answer]].concat(), false).ok()
        };
        let (mut a, b) = (answered("a")?, answered("b")?);
        a.truncate(common(&a, &b));
        Some(a)
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

/// Of a template that writes a turn, from 1, by what follows it.
fn changes(turn: usize) -> String {
    format!(
        "the chat template writes turn {turn} in another way when it is not the last, so that its tokens cannot be told; \
         give another `template`"
    )
}

/// The length of the beginning that two texts have in common.
fn common(a: &str, b: &str) -> usize {
    let mut pairs = a.char_indices().zip(b.chars());
    let differs = pairs.find(|((_, a), b)| a != b);
    differs.map_or(a.len().min(b.len()), |((at, _), _)| at)
}

/// The beginning of a template's text, for a message.
fn shown(text: &str) -> String {
    text.chars().take(40).collect::<String>().escape_debug().to_string()
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
