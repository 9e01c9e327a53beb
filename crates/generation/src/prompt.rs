//! A conversation as a prompt that fits.

use crate::{Error, Message, Model};

/// A conversation as its model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatPrompt {
    /// As the template writes it.
    pub text: String,
    /// The same as ids.
    pub tokens: Vec<u32>,
    /// Exchanges that were left out at the beginning, for room.
    pub dropped_exchanges: usize,
}

impl Model {
    /// Writes a conversation as a prompt of at most `max_prompt_tokens`. Where it is longer, the oldest exchanges
    /// go, a question with all that answered it, until it fits; the system message and the last question stay.
    ///
    /// # Errors
    /// The model has no template, the template refuses the conversation, or even the last question does not fit.
    pub fn chat_prompt(&self, messages: &[Message], max_prompt_tokens: usize) -> Result<ChatPrompt, Error> {
        self.chat_prompt_from(messages, max_prompt_tokens, &[])
    }

    /// As [`Model::chat_prompt`]; where `known` tokens are a beginning of the text, they are kept as they are, so
    /// that an answer stays in the tokens that it was made of.
    pub(crate) fn chat_prompt_from(
        &self,
        messages: &[Message],
        max_prompt_tokens: usize,
        known: &[u32],
    ) -> Result<ChatPrompt, Error> {
        let template = self.template.as_ref().ok_or_else(|| Error::NoTemplate { path: self.path.clone() })?;
        let special_tokens = self.tokenizer.special_tokens();
        let mut messages = messages.to_vec();
        let mut dropped_exchanges = 0;
        loop {
            let text = template.render(&messages, true, &special_tokens)?;
            let tokens = self.continue_tokens(known, &text);
            if tokens.len() <= max_prompt_tokens {
                return Ok(ChatPrompt { text, tokens, dropped_exchanges });
            }
            if !drop_oldest_exchange(&mut messages) {
                return Err(Error::PromptTooLong { tokens: tokens.len(), context: max_prompt_tokens });
            }
            dropped_exchanges += 1;
        }
    }

    /// The ids of `text`, beginning with `known` where their text is its beginning and a special token follows
    /// or ends it, which separates the two for the tokenizer.
    fn continue_tokens(&self, known: &[u32], text: &str) -> Vec<u32> {
        let t = &self.tokenizer;
        let special = |token: Option<&u32>| token.is_some_and(|&token| t.is_special(token));
        if let Some(rest) = text.strip_prefix(&t.decode_with_special(known)).filter(|_| !known.is_empty()) {
            let rest = t.encode(rest);
            if special(known.last()) || special(rest.first()) {
                return [known, &rest].concat();
            }
        }
        t.encode(text)
    }
}

/// Takes out the first question and what follows it up to the next; false where no next is left.
fn drop_oldest_exchange(messages: &mut Vec<Message>) -> bool {
    let mut questions = messages.iter().enumerate().filter(|(_, m)| m.role == "user").map(|(i, _)| i);
    let oldest = questions.next().zip(questions.next());
    drop(questions);
    let Some((first, second)) = oldest else { return false };
    messages.drain(first..second);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_question_goes_with_its_answers() {
        let message = |role: &str| Message::new(role, "");
        let mut messages: Vec<_> =
            ["system", "user", "assistant", "assistant", "user", "assistant", "user"].map(message).into();
        let roles =
            |messages: &[Message]| messages.iter().map(|m| m.role.clone()).collect::<Vec<_>>().join(" ");
        assert!(drop_oldest_exchange(&mut messages));
        assert_eq!(roles(&messages), "system user assistant user");
        assert!(drop_oldest_exchange(&mut messages));
        assert_eq!(roles(&messages), "system user");
        assert!(!drop_oldest_exchange(&mut messages));
    }
}
