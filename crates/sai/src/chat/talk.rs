//! A conversation at a terminal.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::Context;
use sai_generation::Model;

use super::commands::{COMMANDS, Input, Verb, parse};
use super::conversation::{Conversation, Exchange};
use super::echo_off::EchoOff;
use super::export::export;
use super::line::{LineEditor, LineInput};
use super::report::aligned;
use super::settings::NAMES;
use super::turn::{self, Voice};
use super::{Talk, open};
use crate::terminal;
use crate::terminal::style::fit;
use crate::texts::texts;
use crate::ui::{Ui, one_line};

/// Conversations that `/load` lists.
const LISTED: usize = 20;

/// What ended a stretch of talking.
enum Next {
    Leave,
    /// Go on with another model.
    With(Box<Model>),
}

/// Talks until the person leaves.
pub(super) fn run(talk: &mut Talk, model: Model, history: Option<PathBuf>, ui: &Ui) -> anyhow::Result<()> {
    let wake = std::sync::Arc::clone(&talk.signals.wake);
    let (mut line, trouble) = LineEditor::new(history, talk.screen.err_color, wake);
    if let Some(trouble) = trouble {
        talk.tell(format_args!("sai: {trouble}"));
    }
    talk.note(texts().keys);
    if !talk.conversation.exchanges.is_empty() {
        show_where_we_are(talk)?;
    }
    let mut model = Box::new(model);
    loop {
        let mut voice = Voice::new(&model, &talk.prompt_cache, ui)?;
        let next = chat_replies(talk, &mut voice, &mut line, ui)?;
        voice.keep(&talk.prompt_cache)?;
        drop(voice);
        match next {
            Next::Leave => break,
            Next::With(other) => model = other,
        }
    }
    if talk.store.is_some() && !talk.conversation.exchanges.is_empty() {
        let name = talk.conversation.name.as_ref().unwrap_or(&talk.conversation.id);
        talk.note((texts().saved_goes_on)(&shell_word(name)));
    }
    Ok(())
}

fn shell_word(word: &str) -> String {
    if word.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn chat_replies(
    talk: &mut Talk,
    voice: &mut Voice<'_>,
    line: &mut LineEditor,
    ui: &Ui,
) -> anyhow::Result<Next> {
    // Ctrl-C leaves when nothing but another Ctrl-C came before it.
    let mut leaving = false;
    let mut editing = false;
    loop {
        if talk.signals.ended() {
            return Ok(Next::Leave);
        }
        talk.signals.idle.store(true, Ordering::Relaxed);
        let typed = line.read().context("cannot read from the terminal");
        talk.signals.idle.store(false, Ordering::Relaxed);
        let text = match typed? {
            LineInput::Line(text) => text,
            LineInput::End | LineInput::Woken => return Ok(Next::Leave),
            LineInput::Interrupt { empty: true } if leaving => return Ok(Next::Leave),
            LineInput::Interrupt { empty } => {
                leaving = empty;
                editing = false;
                if empty {
                    talk.note(texts().leave_again);
                }
                continue;
            }
        };
        leaving = false;
        let edited = std::mem::take(&mut editing);
        match parse(&text) {
            Input::Question("") => {}
            Input::Question(question) => {
                if edited {
                    talk.conversation.exchanges.pop();
                }
                talk.again = 0;
                leaving = ask(talk, voice, question.to_owned())?;
            }
            Input::Unknown { name, nearest } => {
                talk.tell((texts().no_command)(name, nearest));
            }
            Input::Command { verb: Verb::Quit, .. } => return Ok(Next::Leave),
            Input::Command { verb: Verb::Regen, .. } => leaving = regenerate(talk, voice)?,
            Input::Command { verb: Verb::Edit, .. } => match talk.conversation.exchanges.last() {
                Some(exchange) => {
                    line.prefill(&exchange.question);
                    editing = true;
                }
                None => talk.tell(texts().no_question_to_edit),
            },
            Input::Command { verb: Verb::Model, argument } if !argument.is_empty() => {
                match other_model(talk, argument, ui) {
                    Ok(model) => return Ok(Next::With(Box::new(model))),
                    Err(error) => talk.tell(format_args!("sai: {}", one_line(&error))),
                }
            }
            Input::Command { verb, argument } => {
                if let Err(error) = command(talk, voice, verb, argument) {
                    talk.tell(format_args!("sai: {}", one_line(&error)));
                }
            }
        }
    }
}

/// Asks and waits for the answer. Says whether Ctrl-C stopped it. A question that could not be asked is
/// taken back.
fn ask(talk: &mut Talk, voice: &mut Voice<'_>, question: String) -> anyhow::Result<bool> {
    talk.conversation.model.clone_from(&talk.model_args.model);
    talk.conversation.exchanges.push(Exchange { question, answer: None });
    talk.keep();
    let stopped = listen(talk, voice)?;
    if stopped.is_none() {
        talk.conversation.exchanges.pop();
        talk.keep();
    }
    Ok(stopped.unwrap_or(false))
}

/// Has the last question answered. `None`: it could not be, and why was said.
fn listen(talk: &mut Talk, voice: &mut Voice<'_>) -> anyhow::Result<Option<bool>> {
    let hush = EchoOff::new();
    let turn = turn::answer(talk, voice);
    drop(hush);
    let turn = match turn {
        Ok(turn) => turn,
        // The screen itself is gone: nobody is there to read on.
        Err(error) if error.downcast_ref::<std::io::Error>().is_some() => return Err(error),
        Err(error) => {
            talk.tell(format_args!("sai: {}", one_line(&error)));
            return Ok(None);
        }
    };
    let stopped = turn.answer.interrupted();
    if let Some(exchange) = talk.conversation.exchanges.last_mut() {
        exchange.answer = Some(turn.answer);
    }
    talk.keep();
    talk.note(turn.figures.line());
    talk.note("");
    talk.last = Some(turn.figures);
    talk.signals.take_interrupt();
    Ok(Some(stopped))
}

fn regenerate(talk: &mut Talk, voice: &mut Voice<'_>) -> anyhow::Result<bool> {
    let Some(exchange) = talk.conversation.exchanges.last_mut() else {
        talk.tell(texts().no_question_to_answer);
        return Ok(false);
    };
    let before = exchange.answer.take();
    talk.again += 1;
    let stopped = listen(talk, voice)?;
    let unsaid = |exchange: &Exchange| exchange.answer.as_ref().is_none_or(|answer| answer.text.is_empty());
    if let Some(exchange) = talk.conversation.exchanges.last_mut()
        && stopped != Some(false)
        && unsaid(exchange)
    {
        // Stopped before a word was said: the earlier answer stays.
        exchange.answer = before;
        talk.keep();
    }
    Ok(stopped.unwrap_or(false))
}

fn other_model(talk: &mut Talk, spec: &str, ui: &Ui) -> anyhow::Result<Model> {
    let mut args = talk.model_args.clone();
    spec.clone_into(&mut args.model);
    let (model, load) = open(&args, talk.screen, ui)?;
    talk.conversation.model.clone_from(&args.model);
    talk.model_args = args;
    talk.settings.generation_config = model.generation_config;
    talk.load = load;
    talk.dropped = 0;
    if !talk.conversation.exchanges.is_empty() {
        talk.keep();
    }
    Ok(model)
}

fn command(talk: &mut Talk, voice: &Voice<'_>, verb: Verb, argument: &str) -> anyhow::Result<()> {
    match verb {
        Verb::Help => help(talk),
        Verb::System => system(talk, argument),
        Verb::Set => set(talk, argument)?,
        Verb::Undo => undo(talk),
        Verb::Save => save(talk, argument)?,
        Verb::Load if argument.is_empty() => list(talk)?,
        Verb::Load => load(talk, argument)?,
        Verb::Export => {
            anyhow::ensure!(!argument.is_empty(), texts().export_wants_a_name);
            let path = export(&talk.conversation, argument)?;
            talk.tell((texts().written_to)(&path.display()));
        }
        Verb::Stats => match &talk.last {
            Some(figures) => talk.tell(aligned(figures.table(), talk.screen.columns())),
            None => talk.tell(texts().no_answer_yet),
        },
        Verb::Tokens => tokens(talk, voice, argument)?,
        Verb::Debug => {
            talk.debug = !talk.debug;
            talk.tell(if talk.debug { texts().debug_on } else { texts().debug_off });
        }
        Verb::Clear => {
            let system = talk.conversation.system.clone();
            talk.conversation = Conversation::new(&talk.model_args.model, system);
            talk.dropped = 0;
            talk.last = None;
            if talk.screen.out_terminal {
                use std::io::Write;
                let mut out = std::io::stdout().lock();
                out.write_all(b"\x1b[H\x1b[2J")?;
                out.flush()?;
            }
            talk.tell(texts().new_conversation);
        }
        Verb::Model => {
            let context = voice.model.context;
            talk.tell(format_args!("{} · {}", talk.model_args.model, (texts().model_context)(&context)));
        }
        Verb::Regen | Verb::Edit | Verb::Quit => {}
    }
    Ok(())
}

fn help(talk: &Talk) {
    let rows: Vec<(String, String)> = COMMANDS
        .iter()
        .map(|entry| (format!("/{} {}", entry.name, entry.usage), (texts().command)(entry.verb).to_owned()))
        .collect();
    let mut text =
        aligned(rows.iter().map(|(name, help)| (name.trim_end(), help.clone())), talk.screen.columns());
    text += texts().help_keys;
    talk.tell(text);
}

fn system(talk: &mut Talk, argument: &str) {
    match argument {
        "" => match &talk.conversation.system {
            Some(system) => talk.tell(system),
            None => talk.tell(texts().no_system),
        },
        "none" => {
            talk.conversation.system = None;
            talk.tell(texts().system_removed);
        }
        text => {
            talk.conversation.system = Some(text.to_owned());
            talk.tell(texts().system_set);
        }
    }
    if !talk.conversation.exchanges.is_empty() && !argument.is_empty() {
        talk.keep();
    }
}

fn set(talk: &mut Talk, argument: &str) -> anyhow::Result<()> {
    let (name, value) = argument.split_once([' ', '=']).unwrap_or((argument, ""));
    if name.is_empty() {
        let rows = NAMES.iter().filter_map(|name| Some((*name, talk.settings.show(name)?)));
        talk.tell(aligned(rows, talk.screen.columns()));
        return Ok(());
    }
    if !value.trim().is_empty() {
        talk.settings.set(name, value.trim()).map_err(anyhow::Error::msg)?;
    }
    let shown = talk.settings.show(name).ok_or_else(|| anyhow::Error::msg(super::settings::unknown(name)))?;
    talk.tell(format_args!("{name} {shown}"));
    Ok(())
}

fn undo(talk: &mut Talk) {
    match talk.conversation.exchanges.pop() {
        Some(exchange) => {
            talk.keep();
            let question = exchange.question.lines().next().unwrap_or("").to_owned();
            talk.tell((texts().taken_back)(&fit(&question, 60).trim_end()));
        }
        None => talk.tell(texts().nothing_to_take_back),
    }
}

fn save(talk: &mut Talk, argument: &str) -> anyhow::Result<()> {
    let store = talk.store.as_ref().context(texts().not_kept)?;
    if argument.is_empty() {
        talk.tell((texts().saved_as)(&talk.conversation.id, talk.conversation.name.as_deref()));
        return Ok(());
    }
    anyhow::ensure!(
        argument.chars().count() <= 80 && !argument.contains(char::is_control) && argument != "last",
        texts().name_rule
    );
    let taken = store.list()?.into_iter().find(|saved| {
        saved.id != talk.conversation.id && (saved.name.as_deref() == Some(argument) || saved.id == argument)
    });
    if let Some(taken) = taken {
        anyhow::bail!((texts().name_taken)(&taken.id));
    }
    talk.conversation.name = Some(argument.to_owned());
    talk.keep();
    talk.tell((texts().named)(&argument));
    Ok(())
}

fn list(talk: &Talk) -> anyhow::Result<()> {
    let store = talk.store.as_ref().context(texts().not_kept)?;
    let saved = store.list()?;
    if saved.is_empty() {
        talk.tell(texts().none_saved);
        return Ok(());
    }
    let room = terminal::size().0.saturating_sub(42).clamp(10, 60);
    let rows: Vec<(String, String)> = saved
        .iter()
        .take(LISTED)
        .map(|s| {
            let question = s.first_question.lines().next().unwrap_or("");
            let count = (texts().turns)(s.exchanges);
            (
                s.name.clone().unwrap_or_else(|| s.id.clone()),
                format!("{count:>9}  {}", fit(question, room).trim_end()),
            )
        })
        .collect();
    let mut text =
        aligned(rows.iter().map(|(name, rest)| (name.as_str(), rest.clone())), talk.screen.columns());
    if saved.len() > LISTED {
        text += &(texts().older)(saved.len() - LISTED);
    }
    talk.tell(text);
    Ok(())
}

fn load(talk: &mut Talk, which: &str) -> anyhow::Result<()> {
    let store = talk.store.as_ref().context(texts().not_kept)?;
    talk.conversation = store.load(which)?;
    talk.dropped = 0;
    talk.again = 0;
    talk.last = None;
    show_where_we_are(talk)
}

/// The end of a conversation that goes on.
fn show_where_we_are(talk: &Talk) -> anyhow::Result<()> {
    let conversation = &talk.conversation;
    let count = conversation.exchanges.len();
    let name = conversation.name.as_ref().unwrap_or(&conversation.id);
    talk.note((texts().going_on)(name, count));
    if conversation.model != talk.model_args.model {
        talk.note((texts().other_model)(&conversation.model, &talk.model_args.model));
    }
    if let Some(exchange) = conversation.exchanges.last() {
        talk.note(format_args!("› {}", exchange.question.replace('\n', "\n· ")));
        match &exchange.answer {
            Some(answer) => {
                turn::show_text(talk, &answer.text)?;
                if answer.interrupted() {
                    talk.note(texts().stopped);
                }
            }
            None => talk.note(texts().unanswered),
        }
    }
    Ok(())
}

fn tokens(talk: &Talk, voice: &Voice<'_>, argument: &str) -> anyhow::Result<()> {
    let columns = terminal::size().0;
    let [text, question, answer_title] = texts().token_titles;
    let grid = |title: &str, text: &str| {
        let grid = turn::token_grid(voice.model, text, columns);
        format!("{title}\n{grid}")
    };
    if !argument.is_empty() {
        talk.tell(grid(text, argument));
        return Ok(());
    }
    let exchange = talk.conversation.exchanges.last().context(texts().no_exchange)?;
    talk.tell(grid(question, &exchange.question));
    if let Some(answer) = &exchange.answer {
        talk.tell(grid(answer_title, &answer.text));
    }
    Ok(())
}
