//! English.

use super::Texts;
use crate::chat::commands::Verb;

/// All of it.
pub(crate) static ENGLISH: Texts = Texts {
    device: |device, auto, size, free| {
        let why = if auto { "the only device of this build" } else { "as asked" };
        let free = free.map(|free| format!(", {free} free")).unwrap_or_default();
        format!("{device} ({why}) · model {size}{free}")
    },
    loaded: |model, seconds, context| format!("{model} · loaded in {seconds} s · context {context}"),
    built_in: |name, next| {
        let small = format!("{name} is the small built-in model");
        match next {
            Some((size, next)) => {
                format!("{small}; one that knows Korean well, {size} to fetch: sai chat --model {next}")
            }
            None => small,
        }
    },
    keys: "/help · Alt+Enter new line · Ctrl-C stops · Ctrl-D leaves",
    going_on: |name, count| {
        format!("going on with {name}, {count} {}", if count == 1 { "turn" } else { "turns" })
    },
    other_model: |before, now| format!("so far it was with {before}, from here on with {now}"),
    stopped: "(stopped)",
    unanswered: "(not answered yet: /regen answers it)",

    saved_goes_on: |name| format!("saved; sai chat --resume {name} goes on"),
    leave_again: "Ctrl-C again leaves, and so does Ctrl-D",

    tokens: |count| format!("{count} tokens"),
    tokens_per_second: |rate| format!("{rate} tok/s"),
    first_after: |seconds| format!("first after {seconds} s"),
    context: |used, whole| format!("context {used} of {whole}"),
    figures_stopped: "stopped",
    cut_by_length: "cut short by max-new-tokens",
    cut_by_context: "cut short: the context is full",
    context_full: |gone| {
        let said =
            if gone == 1 { "the oldest exchange".to_owned() } else { format!("the oldest {gone} exchanges") };
        format!("— the context is full: {said} left it (still saved) —")
    },
    question_takes: |tokens, context, left| {
        format!(
            "— the question takes {tokens} of the context's {context} tokens; {left} are left for the answer (--context) —"
        )
    },
    stats: ["load", "prompt", "first token", "answer", "guessed", "seed", "context"],
    stats_prompt: |tokens, kept, seconds, rate| {
        format!("{tokens} tokens, {kept} of them kept from before; {seconds:.2} s, {rate:.1} tok/s")
    },
    stats_answer: |tokens, seconds, rate, reason| {
        format!("{tokens} tokens in {seconds:.2} s, {rate:.1} tok/s; ended by {reason}")
    },
    stats_first: |seconds| format!("after {seconds} s"),
    stats_context: |used, whole| format!("{used} of {whole} tokens"),
    stats_guessed: |right, all| format!("{right} of {all} tokens rightly"),

    command,
    help_keys: "  Alt+Enter new line · Ctrl-O $EDITOR · Tab completes · Ctrl-R history",
    no_command: |name, near| {
        let near = near.map(|near| format!("; did you mean /{near}?")).unwrap_or_default();
        format!("no command /{name}{near} (/help lists them; //… asks the model)")
    },
    no_question_to_edit: "there is no question to edit yet",
    no_question_to_answer: "there is no question to answer again yet",
    nothing_to_take_back: "there is nothing to take back",
    taken_back: |question| format!("taken back: {question}"),
    export_wants_a_name: "/export needs the name of a file: .md, .json or .txt",
    export_form: |file| format!("{file}: name it .md, .json or .txt, so that its form is known"),
    export_exists: |file| format!("{file}: the file exists already; choose another name"),
    written_to: |path| format!("written to {path}"),
    no_answer_yet: "no answer yet",
    debug_on: "debug on: each step shows its candidates",
    debug_off: "debug off",
    new_conversation: "a new conversation",
    model_context: |tokens| format!("context {tokens}"),
    no_system: "no system prompt of yours; the model's template may bring its own",
    system_removed: "system prompt removed",
    system_set: "system prompt set; it holds from the next question on",
    not_kept: "nothing is kept here (--no-save, or there is no home folder)",
    saved_as: |id, name| match name {
        Some(name) => format!("saved as {id} ({name}); /save NAME renames it"),
        None => format!("saved as {id}; /save NAME gives it a name"),
    },
    named: |name| format!("saved as {name}"),
    name_rule: "a name is one line of at most 80 characters, and not `last`",
    name_taken: |id| format!("conversation {id} has that name already; choose another"),
    none_saved: "no conversation is saved yet",
    turns: |count| if count == 1 { "1 turn".to_owned() } else { format!("{count} turns") },
    older: |count| format!("  and {count} older"),
    no_conversation: |which, folder| format!("no conversation `{which}` in {folder}"),
    many_conversations: |which, count| {
        format!("`{which}` begins the ids of {count} conversations; write more of it")
    },
    no_exchange: "there is no exchange yet; /tokens TEXT shows a text's",
    token_titles: ["text", "question", "answer"],
    changed_elsewhere: |id| {
        format!("the conversation was changed by another sai meanwhile; this one goes on as {id}")
    },
    not_saved: |why| format!("the conversation is not saved any more: {why}"),
    line_not_kept: |why| format!("{why}; what you type is not kept"),

    line_failed: |line, why| format!("standard input, line {line}: {why}"),
    lines_unanswered: |count, all| format!("{count} of {all} lines of standard input were not answered"),

    model_empty: |names| {
        format!("--model is empty; give a GGUF file, a Hugging Face folder, a Hub id or one of {names}")
    },
    built_in_wins: |name| format!("{name} is the built-in model; what is here of that name is ./{name}"),
    no_such_file: |asked| {
        format!("{asked}: no such file or folder; give the path of a GGUF file or a Hugging Face folder")
    },
    no_such_model: |asked, names, near| {
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("{asked}: no file or folder, no short name ({names}), and no Hub id (owner/name){near}")
    },
    no_gpu: |device| {
        format!(
            "--device {device}: this build computes on the CPU only (a GPU device is not written yet); leave --device out, or give --device cpu"
        )
    },
    offline: |id, cache| {
        format!(
            "{id}: HF_HUB_OFFLINE is set and {cache} holds no whole copy; unset it, or give --model a local file"
        )
    },
    from_cache: |id, why| format!("{id}: the Hub cannot be reached ({why}); taking the copy in the cache"),
    unreachable: |id, endpoint, why, cache| {
        format!(
            "{id}: the Hub at {endpoint} cannot be reached ({why}) and {cache} holds no whole copy; check the network, \
             or give --model a local file"
        )
    },
    no_public_model: |id| {
        format!(
            "{id}: the Hub has no such public model; check the id, or set HF_TOKEN if the model is private"
        )
    },
    no_model_at: |id, endpoint| {
        format!("{id}: no such file or folder here, and no such model at {endpoint}; check the id")
    },
    licence_first: |id, page| {
        format!(
            "{id}: its files are for people who accepted the licence; accept it at {page} and set HF_TOKEN"
        )
    },

    serving: |models, address| format!("serving {models} at http://{address}"),
    serving_a_page: "a browser finds a chat there, clients the API below /v1; Ctrl-C ends it",
    host_without_keys: |host| {
        format!(
            "--host {host}: others can reach it; give --api-key-file FILE, or --no-keys to serve everybody"
        )
    },
    port_taken: |address| {
        format!("{address} cannot be listened at; is another server there? --port takes another")
    },

    engine_error: |_| None,

    yes_or_no: "[y/N]",
    nobody_to_ask: |question| format!("{question} Nobody is at a terminal to answer; give --yes to do it"),
};

fn command(verb: Verb) -> &'static str {
    match verb {
        Verb::Help => "this list",
        Verb::System => "show, set or remove the system prompt",
        Verb::Set => "show or change an option, by its flag's name",
        Verb::Regen => "answer the last question again, with a new seed",
        Verb::Undo => "take back the last question and its answer",
        Verb::Edit => "change the last question and ask again (Ctrl-O opens $EDITOR)",
        Verb::Save => "give this conversation a name",
        Verb::Load => "go on with another conversation; alone: list them",
        Verb::Export => "write the conversation as .md, .json or .txt",
        Verb::Stats => "times, speed and context of the last answer",
        Verb::Tokens => "token ids and pieces of the text, or of the last exchange",
        Verb::Debug => "show the likeliest candidates of each step, or stop showing them",
        Verb::Clear => "begin a new conversation (this one stays saved)",
        Verb::Model => "show the model, or go on with another",
        Verb::Quit => "leave (so does Ctrl-D)",
    }
}
