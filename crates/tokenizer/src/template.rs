//! Chat templates: how a conversation becomes the one text that a model was taught to continue.

mod chatml;
mod dialect;
mod filters;
mod fortytwo_dot;
mod jinja;
mod json;
mod message;
mod methods;
mod python;
mod sources;
mod special_tokens;
mod strftime;

pub use message::Message;
pub use sources::TemplateSources;
pub use special_tokens::SpecialTokens;

use jiff::civil::DateTime;
use serde_json::{Map, Value};

/// What stands behind the last message while it is written, to find its end by; its own words may stand elsewhere too. The
/// name is that of `transformers`.
const CONTINUE_FINAL_MESSAGE_TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG";

/// Why a conversation could not be written. One line each: the template's file, the fact, the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The template is not Jinja that sai can read.
    #[error("{origin}: the chat template has an error: {fact}; correct it, or give another template")]
    Syntax {
        /// Where the template is from.
        origin: String,
        /// What and where.
        fact: String,
    },
    /// A model has several templates, and none of the name that is wanted.
    #[error(
        "{origin}: no chat template is named `{name}`; there are: {names}; choose one with --chat-template NAME, or give a \
         file with one (in a recipe: `template`)"
    )]
    NotNamed {
        /// Where the templates are from.
        origin: String,
        /// The name that is wanted.
        name: String,
        /// Those that there are.
        names: String,
    },
    /// The template refuses this conversation with `raise_exception`.
    #[error("{origin}: the chat template refuses this conversation: {message}")]
    Refused {
        /// Where the template is from.
        origin: String,
        /// The template's own words.
        message: String,
    },
    /// The template failed on this conversation.
    #[error("{origin}: the chat template fails on this conversation: {fact}")]
    Failed {
        /// Where the template is from.
        origin: String,
        /// What and where.
        fact: String,
    },
    /// The template went on past its budget of steps, depth or output.
    #[error("{origin}: the chat template {fact}; it loops, give another template")]
    Endless {
        /// Where the template is from.
        origin: String,
        /// Which budget ran out.
        fact: String,
    },
}

/// What a template is told besides the messages, by the names of `apply_chat_template`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TemplateInput<'a> {
    /// Whether the text ends with the opening of an answer.
    pub add_generation_prompt: bool,
    /// Whether the text ends where the last message's does, so that it is continued.
    pub continue_final_message: bool,
    /// Functions that may be called, each a JSON schema as OpenAI's API has it.
    pub tools: &'a [Value],
    /// Variables of this template's own, such as `enable_thinking`.
    pub kwargs: Option<&'a Map<String, Value>>,
}

/// A way to write conversations.
///
/// What [`ChatTemplate::render`] returns is the whole text, BOS included where the model wants one: encode it
/// with [`crate::Tokenizer::encode`] and add nothing.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    form: Form,
    now: Option<DateTime>,
}

#[derive(Clone, Debug)]
enum Form {
    Jinja(jinja::Jinja),
    FortyTwoDot,
}

impl ChatTemplate {
    /// A model's own Jinja template. `origin` names its file in messages.
    ///
    /// # Errors
    /// [`TemplateError::Syntax`] where it is not a template.
    pub fn jinja(source: &str, origin: &str) -> Result<ChatTemplate, TemplateError> {
        Ok(ChatTemplate { form: Form::Jinja(jinja::Jinja::new(source, origin)?), now: None })
    }

    /// The form that 42dot's LLM-SFT was taught: see [`ChatTemplate::FORTYTWO_DOT_SYSTEM`].
    pub fn fortytwo_dot() -> ChatTemplate {
        ChatTemplate { form: Form::FortyTwoDot, now: None }
    }

    /// The same form as a Jinja template, for files that carry one.
    pub const FORTYTWO_DOT_JINJA: &str = fortytwo_dot::JINJA;

    /// ChatML as a Jinja template: turns between `<|im_start|>` and `<|im_end|>`, which must be tokens.
    pub const CHATML_JINJA: &str = chatml::JINJA;

    /// What 42dot's model reads first when a conversation brings no system message.
    pub const FORTYTWO_DOT_SYSTEM: &str = fortytwo_dot::SYSTEM;

    /// The same template with the local time that `strftime_now` tells. Without one the function is undefined,
    /// and templates fall back to a date of their own.
    pub fn at(mut self, now: DateTime) -> ChatTemplate {
        self.now = Some(now);
        self
    }

    /// The Jinja source, where it is Jinja.
    pub fn source(&self) -> Option<&str> {
        match &self.form {
            Form::Jinja(jinja) => Some(jinja.source()),
            Form::FortyTwoDot => None,
        }
    }

    /// Writes a conversation, ended by the opening of an answer if `add_generation_prompt`. The special tokens are
    /// those of [`crate::Tokenizer::special_tokens`]; `tools` and `documents` are none.
    ///
    /// # Errors
    /// Where the template refuses the conversation, fails on it, or runs past its budget.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        special_tokens: &SpecialTokens,
    ) -> Result<String, TemplateError> {
        let input = TemplateInput { add_generation_prompt, ..TemplateInput::default() };
        self.render_with(messages, &input, special_tokens)
    }

    /// As [`ChatTemplate::render`], with all that a template can be told.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`]; and where the last message is to be continued and the template does not write it as it is,
    /// or tools are given to a form that has none.
    pub fn render_with(
        &self,
        messages: &[Message],
        input: &TemplateInput<'_>,
        special_tokens: &SpecialTokens,
    ) -> Result<String, TemplateError> {
        let open = input.add_generation_prompt && !input.continue_final_message;
        let mut marked = Vec::new();
        let messages = if input.continue_final_message {
            marked.extend_from_slice(messages);
            if let Some(last) = marked.last_mut() {
                last.content.push_str(CONTINUE_FINAL_MESSAGE_TAG);
            }
            &marked
        } else {
            messages
        };
        let (text, origin) = match &self.form {
            Form::Jinja(jinja) => {
                (jinja.render(messages, open, input, special_tokens, self.now)?, jinja.origin())
            }
            Form::FortyTwoDot if !input.tools.is_empty() => {
                let message = "this form of conversation has no tools".to_owned();
                return Err(TemplateError::Refused { origin: "42dot".to_owned(), message });
            }
            Form::FortyTwoDot => {
                let (bos, eos) = (special_tokens.get("bos_token"), special_tokens.get("eos_token"));
                (fortytwo_dot::render(messages, open, bos, eos)?, "42dot")
            }
        };
        if !input.continue_final_message {
            return Ok(text);
        }
        match text.rfind(CONTINUE_FINAL_MESSAGE_TAG) {
            Some(end) => Ok(text[..end].to_owned()),
            None => Err(TemplateError::Failed {
                origin: origin.to_owned(),
                fact: "it does not write the last message as it is, so that it cannot be continued"
                    .to_owned(),
            }),
        }
    }
}
