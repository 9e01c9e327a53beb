//! What sai says to a person: one file a language, chosen by the locale.
//!
//! Here are the notices of a chat, of a first run, and the refusals that a newcomer meets. Flags, verbs, JSON and what
//! libraries say of a file are English everywhere.

mod en;
mod ko;

use std::ffi::OsString;
use std::fmt::Display;
use std::sync::OnceLock;

use sai_generation::Error;

use crate::chat::commands::Verb;
pub(crate) use en::ENGLISH;
pub(crate) use ko::KOREAN;

/// What is put into a text.
type Shown<'a> = &'a dyn Display;
/// A text made of one thing.
type Of = fn(Shown<'_>) -> String;
/// A text made of two.
type Of2 = fn(Shown<'_>, Shown<'_>) -> String;
/// A text made of three.
type Of3 = fn(Shown<'_>, Shown<'_>, Shown<'_>) -> String;

/// All texts of a language. A text that takes things names them, in order, in its comment.
pub(crate) struct Texts {
    // The beginning of a chat.
    /// The device, why it was taken, the size of the model, the memory that is free.
    pub(crate) device: fn(Shown<'_>, bool, Shown<'_>, Option<Shown<'_>>) -> String,
    /// The model, seconds, tokens of its context.
    pub(crate) loaded: Of3,
    /// The name of the built-in model; where there is a network: what another weighs, and its name.
    pub(crate) built_in: fn(Shown<'_>, Option<(Shown<'_>, Shown<'_>)>) -> String,
    pub(crate) keys: &'static str,
    /// The name of a saved conversation, how many turns it has.
    pub(crate) going_on: fn(Shown<'_>, usize) -> String,
    /// The model until now, the model from now on.
    pub(crate) other_model: Of2,
    pub(crate) stopped: &'static str,
    pub(crate) unanswered: &'static str,

    // Its end.
    /// How the shell writes the name.
    pub(crate) saved_goes_on: Of,
    pub(crate) leave_again: &'static str,

    // What an answer took.
    pub(crate) tokens: Of,
    pub(crate) tokens_per_second: Of,
    pub(crate) first_after: Of,
    /// Tokens that are used, tokens of the whole.
    pub(crate) context: Of2,
    pub(crate) figures_stopped: &'static str,
    pub(crate) cut_by_length: &'static str,
    pub(crate) cut_by_context: &'static str,
    /// Exchanges that left it.
    pub(crate) context_full: fn(usize) -> String,
    /// Tokens of the question, of the context, and what is left.
    pub(crate) question_takes: Of3,
    /// Of `/stats`: load, prompt, first token, answer, guessed, seed, context.
    pub(crate) stats: [&'static str; 7],
    /// Tokens, those of them that were kept, seconds, tokens a second.
    pub(crate) stats_prompt: fn(usize, usize, f64, f64) -> String,
    /// Tokens, seconds, tokens a second, why it ended.
    pub(crate) stats_answer: fn(usize, f64, f64, &str) -> String,
    pub(crate) stats_first: Of,
    pub(crate) stats_context: Of2,
    pub(crate) stats_guessed: Of2,

    // Commands.
    pub(crate) command: fn(Verb) -> &'static str,
    pub(crate) help_keys: &'static str,
    /// The command, and the one that may be meant.
    pub(crate) no_command: fn(&str, Option<&str>) -> String,
    pub(crate) no_question_to_edit: &'static str,
    pub(crate) no_question_to_answer: &'static str,
    pub(crate) nothing_to_take_back: &'static str,
    pub(crate) taken_back: Of,
    pub(crate) export_wants_a_name: &'static str,
    pub(crate) export_form: Of,
    pub(crate) export_exists: Of,
    pub(crate) written_to: Of,
    pub(crate) no_answer_yet: &'static str,
    pub(crate) debug_on: &'static str,
    pub(crate) debug_off: &'static str,
    pub(crate) new_conversation: &'static str,
    /// Tokens of it.
    pub(crate) model_context: Of,
    pub(crate) no_system: &'static str,
    pub(crate) system_removed: &'static str,
    pub(crate) system_set: &'static str,
    pub(crate) not_kept: &'static str,
    /// The id, and the name if it has one.
    pub(crate) saved_as: fn(&str, Option<&str>) -> String,
    pub(crate) named: Of,
    pub(crate) name_rule: &'static str,
    pub(crate) name_taken: Of,
    pub(crate) none_saved: &'static str,
    pub(crate) turns: fn(usize) -> String,
    pub(crate) older: fn(usize) -> String,
    /// What was asked for, and the folder.
    pub(crate) no_conversation: Of2,
    /// What was asked for, and how many begin so.
    pub(crate) many_conversations: Of2,
    pub(crate) no_exchange: &'static str,
    /// Titles of `/tokens`: a text's, a question's, an answer's.
    pub(crate) token_titles: [&'static str; 3],
    /// The new id.
    pub(crate) changed_elsewhere: Of,
    pub(crate) not_saved: Of,
    pub(crate) line_not_kept: Of,

    // Questions through a pipe.
    /// The line, and why.
    pub(crate) line_failed: Of2,
    /// Lines, of how many.
    pub(crate) lines_unanswered: Of2,

    // Models that are not there.
    /// The short names.
    pub(crate) model_empty: Of,
    pub(crate) built_in_wins: Of,
    pub(crate) no_such_file: Of,
    /// What was asked for, the short names, the nearest of them.
    pub(crate) no_such_model: fn(&str, Shown<'_>, Option<&str>) -> String,
    pub(crate) no_gpu: Of,
    /// The id, and the folder of the cache.
    pub(crate) offline: Of2,
    /// The id, and why.
    pub(crate) from_cache: Of2,
    /// The id, the Hub's address, why it cannot be reached, and the folder of the cache.
    pub(crate) unreachable: fn(Shown<'_>, Shown<'_>, Shown<'_>, Shown<'_>) -> String,
    /// The id.
    pub(crate) no_public_model: Of,
    /// The id, and the Hub's address.
    pub(crate) no_model_at: Of2,
    /// The id, and the page of its licence.
    pub(crate) licence_first: Of2,

    // A server.
    /// The models, and the address.
    pub(crate) serving: Of2,
    pub(crate) serving_a_page: &'static str,
    pub(crate) host_without_keys: Of,
    pub(crate) port_taken: Of,

    // What the engine refuses.
    /// In other words than the engine's own, if there are any.
    pub(crate) engine_error: fn(&Error) -> Option<String>,

    // Before something is done.
    pub(crate) yes_or_no: &'static str,
    pub(crate) nobody_to_ask: Of,
}

/// The texts of the person's language.
pub(crate) fn texts() -> &'static Texts {
    static CHOSEN: OnceLock<&Texts> = OnceLock::new();
    // Tests of this crate hold its English, whoever runs them.
    if cfg!(test) { &ENGLISH } else { CHOSEN.get_or_init(|| of_locale(|name| std::env::var_os(name))) }
}

/// By the first of the locale's variables that says anything, as POSIX has it for messages.
fn of_locale(variable: impl Fn(&str) -> Option<OsString>) -> &'static Texts {
    let locale =
        ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    let language = locale.as_ref().and_then(|value| value.to_str()).unwrap_or("");
    let language = language.split(['_', '.', '@', '-']).next().unwrap_or("");
    if language.eq_ignore_ascii_case("ko") || language.eq_ignore_ascii_case("korean") {
        &KOREAN
    } else {
        &ENGLISH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides_by_its_first_variable_that_says_anything() {
        let korean = |set: &[(&str, &str)]| {
            let texts = of_locale(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into()));
            std::ptr::eq(texts, &raw const KOREAN)
        };
        assert!(korean(&[("LANG", "ko_KR.UTF-8")]));
        assert!(korean(&[("LC_ALL", ""), ("LC_MESSAGES", "ko"), ("LANG", "en_US.UTF-8")]));
        assert!(korean(&[("LC_ALL", "ko_KR.eucKR")]));
        assert!(!korean(&[("LC_ALL", "C"), ("LANG", "ko_KR.UTF-8")]));
        assert!(!korean(&[("LC_MESSAGES", "en_US.UTF-8"), ("LANG", "ko_KR.UTF-8")]));
        // Konkani is another language.
        assert!(!korean(&[("LANG", "kok_IN.UTF-8")]));
        assert!(!korean(&[]));
    }
}
