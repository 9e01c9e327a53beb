//! Any text as a chat template over any conversation: a text, or one line; in bounded time and memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_tokenizer::{ChatTemplate, DateTime, Message, SpecialTokens};

fuzz_target!(|input: (&str, Vec<(bool, String)>)| {
    let (source, turns) = input;
    let messages: Vec<Message> = turns
        .into_iter()
        .map(|(user, content)| Message::new(if user { "user" } else { "assistant" }, content))
        .collect();
    let now = DateTime::constant(2026, 3, 9, 14, 5, 7, 0);
    let rendered = ChatTemplate::jinja(source, "fuzzed").and_then(|t| t.at(now).render(&messages, true, &SpecialTokens::from([("bos_token", "<s>"), ("eos_token", "</s>")])));
    if let Err(error) = rendered {
        assert!(!error.to_string().contains('\n'));
    }
});
