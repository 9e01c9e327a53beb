//! One turn: a question in, an answer out, with everything that is said about it.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sai_generation::{
    Candidate, ChatPrompt, Completion, Error, Event, Model, Request, Sampling, Session, Step,
};
use sai_tokenizer::Message;
use serde::Serialize;

use super::conversation::Answer;
use super::report::{self, Context, Figures, Timings, TokenRow, Usage};
use super::{Screen, Talk, random};
use crate::prompt_cache::PromptCacheArgs;
use crate::terminal;
use crate::terminal::clean::{Cleaner, quoted};
use crate::terminal::live::Live;
use crate::texts::texts;
use crate::ui::{Thousands, Ui};

/// Candidates of a step that `--debug` shows.
const CANDIDATES: usize = 5;
/// The least time between two drawings of a growing answer.
const PAUSE: Duration = Duration::from_millis(25);
/// A prompt that takes longer than this to read says how far it is.
const PATIENCE: Duration = Duration::from_millis(400);

/// A model that is being talked with.
pub(super) struct Voice<'m> {
    pub(super) model: &'m Model,
    session: Session<'m>,
}

impl<'m> Voice<'m> {
    /// # Errors
    /// The model was not taught to chat, or there is no memory for its context.
    pub(super) fn new(model: &'m Model, cache: &PromptCacheArgs, ui: &Ui) -> anyhow::Result<Self> {
        // What cannot chat says so now, not when the first question is typed.
        model.chat_prompt(&[message("user", "")], usize::MAX)?;
        let mut session = Session::new(model)?;
        cache.load(&mut session, ui)?;
        Ok(Self { model, session })
    }

    /// Keeps what was computed for another run, where that is asked for.
    pub(super) fn keep(&self, cache: &PromptCacheArgs) -> anyhow::Result<()> {
        cache.save(&self.session)
    }
}

/// What a turn gave.
pub(super) struct Turn {
    pub(super) answer: Answer,
    pub(super) figures: Figures,
}

/// Answers the conversation's last question, which has no answer yet. What is said is written while it is
/// said; a Ctrl-C or a signal ends it early and keeps it.
pub(super) fn answer(talk: &mut Talk, voice: &mut Voice<'_>) -> anyhow::Result<Turn> {
    let length = voice.session.context_length();
    let prompt = prompt(talk, voice, length)?;
    if prompt.dropped_exchanges > talk.dropped {
        talk.tell((texts().context_full)(prompt.dropped_exchanges));
    }
    talk.dropped = prompt.dropped_exchanges;

    let seed = match talk.settings.seed {
        Some(seed) => seed.wrapping_add(talk.again),
        // Small enough for every reader of JSON.
        None => random() >> 32,
    };
    let settings = &talk.settings;
    let request = Request {
        sampling: Sampling { seed, ..settings.sampling() },
        max_new_tokens: settings.max_new_tokens,
        stop: settings.stop.clone(),
        candidates: if talk.debug { CANDIDATES } else { 0 },
        draft: talk.draft.into(),
        ..Request::default()
    };

    talk.signals.take_interrupt();
    let mut paper = Paper::new(talk);
    let mut progress = Progress::new(talk.screen);
    let mut broken = Ok(());
    let mut steps = 0;
    let mut written = 0;
    let completion = voice.session.generate(&prompt.tokens, &request, &mut |event| {
        match event {
            Event::Prefill { done, total } => progress.show(done, total),
            Event::Step(step) => {
                progress.clear();
                steps += 1;
                if talk.debug {
                    tell_step(talk, voice.model, steps, step);
                }
                broken = paper.write(&step.text);
                written += step.text.len();
            }
        }
        if broken.is_err() || talk.signals.stop() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    progress.clear();
    let whole = completion.as_ref().map_or("", |completion| completion.text.as_str());
    let closed = broken
        // What was held back, for it might have begun a stop text, is said at the end.
        .and_then(|()| paper.write(whole.get(written..).unwrap_or("")))
        .and_then(|()| paper.close(whole));
    let completion = completion?;
    let figures = figures(talk, &completion, seed, &voice.session, prompt.dropped_exchanges);
    let answer = Answer { text: completion.text.clone(), finish_reason: figures.finish_reason.clone(), seed };
    closed?;
    if talk.json {
        write_json(talk, &answer, &figures)?;
    }
    if talk.debug {
        tell_summary(talk, &prompt.text, &completion, &figures);
    }
    Ok(Turn { answer, figures })
}

/// The conversation as a prompt. An answer needs room too: its longest, but not more than half of the context, for which
/// older exchanges go. A last question that takes more than the other half is asked all the same, and what is left for the
/// answer is said.
fn prompt(talk: &Talk, voice: &Voice<'_>, length: usize) -> anyhow::Result<ChatPrompt> {
    let room = talk.settings.max_new_tokens.min(length / 2);
    let messages = messages(talk);
    match voice.session.chat_prompt(&messages, length - room) {
        Err(Error::PromptTooLong { tokens, .. }) if tokens < length => {
            let [tokens_of, length_of, left] = [tokens, length, length - tokens].map(|n| Thousands(n as u64));
            talk.tell((texts().question_takes)(&tokens_of, &length_of, &left));
            Ok(voice.session.chat_prompt(&messages, tokens)?)
        }
        Err(Error::PromptTooLong { tokens, .. }) => {
            Err(Error::PromptTooLong { tokens, context: length }.into())
        }
        prompt => Ok(prompt?),
    }
}

fn message(role: &str, content: &str) -> Message {
    Message::new(role, content)
}

/// The conversation as the model's template takes it. Questions that never got an answer are left out.
fn messages(talk: &Talk) -> Vec<Message> {
    let mut messages = Vec::new();
    if let Some(system) = &talk.conversation.system {
        messages.push(message("system", system));
    }
    let exchanges = &talk.conversation.exchanges;
    for (i, exchange) in exchanges.iter().enumerate() {
        match &exchange.answer {
            Some(answer) => {
                messages.push(message("user", &exchange.question));
                messages.push(message("assistant", &answer.text));
            }
            None if i + 1 == exchanges.len() => messages.push(message("user", &exchange.question)),
            None => {}
        }
    }
    messages
}

fn figures(talk: &Talk, done: &Completion, seed: u64, session: &Session<'_>, dropped: usize) -> Figures {
    let finish_reason = match serde_json::to_value(done.finish_reason) {
        Ok(serde_json::Value::String(reason)) => reason,
        _ => String::new(),
    };
    let times = &done.timings;
    Figures {
        finish_reason,
        seed,
        usage: Usage {
            prompt_tokens: done.usage.prompt_tokens,
            cached_tokens: done.usage.cached_tokens,
            completion_tokens: done.usage.completion_tokens,
            drafted_tokens: done.usage.drafted_tokens,
            accepted_tokens: done.usage.accepted_tokens,
        },
        timings: Timings::new(
            talk.load,
            times.prefill,
            times.time_to_first_token,
            times.decode,
            done.usage.completion_tokens,
        ),
        context: Context {
            used: session.context_used(),
            length: session.context_length(),
            dropped_exchanges: dropped,
        },
    }
}

/// Where an answer is written while it is said.
enum Paper {
    /// A terminal: Markdown.
    Drawn(Live<io::Stdout>),
    /// A pipe: the text as it is.
    Plain { cleaner: Cleaner, begun: bool, line_open: bool },
    /// Written when it is whole, for the table of each step comes in between.
    Later(Screen),
    /// Not written as text.
    None,
}

impl Paper {
    fn new(talk: &Talk) -> Self {
        if talk.json {
            Self::None
        } else if talk.debug {
            Self::Later(talk.screen)
        } else {
            Self::on(talk.screen)
        }
    }

    fn on(screen: Screen) -> Self {
        if screen.out_terminal && screen.drawable {
            Self::Drawn(Live::new(io::stdout(), terminal::size, screen.out_color, PAUSE))
        } else {
            Self::Plain { cleaner: Cleaner::default(), begun: false, line_open: false }
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Drawn(live) => live.push(text),
            Self::Plain { cleaner, begun, line_open } => {
                let text = cleaner.push(text);
                // Models like to begin with an empty line.
                let text = if *begun { text.as_str() } else { text.trim_start() };
                if !text.is_empty() {
                    *begun = true;
                    *line_open = !text.ends_with('\n');
                    let mut out = io::stdout().lock();
                    out.write_all(text.as_bytes())?;
                    out.flush()?;
                }
                Ok(())
            }
            Self::Later(_) | Self::None => Ok(()),
        }
    }

    /// Ends the answer's last line. `whole` is the answer, for what was not written piece by piece.
    fn close(self, whole: &str) -> io::Result<()> {
        match self {
            Self::Drawn(live) => live.finish().map(|_| ()),
            Self::Plain { begun, line_open, .. } => {
                let mut out = io::stdout().lock();
                if line_open || !begun {
                    out.write_all(b"\n")?;
                }
                out.flush()
            }
            Self::Later(screen) => {
                let mut paper = Self::on(screen);
                paper.write(whole)?;
                paper.close("")
            }
            Self::None => Ok(()),
        }
    }
}

/// Draws a text that was said before.
pub(super) fn show_text(talk: &Talk, text: &str) -> io::Result<()> {
    let mut paper = Paper::on(talk.screen);
    paper.write(text)?;
    paper.close("")
}

/// How far a long prompt is read, on a line of its own that goes away again.
struct Progress {
    shown: bool,
    wanted: bool,
    color: bool,
    start: Instant,
}

impl Progress {
    fn new(screen: Screen) -> Self {
        Self {
            shown: false,
            wanted: screen.err_terminal && screen.drawable,
            color: screen.err_color,
            start: Instant::now(),
        }
    }

    fn show(&mut self, done: usize, total: usize) {
        if self.wanted && done < total && self.start.elapsed() >= PATIENCE {
            let text = format!("reading {} of {} tokens", Thousands(done as u64), Thousands(total as u64));
            let (dim, plain) = if self.color { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
            let _ = write!(io::stderr(), "\r{dim}{text}{plain}\x1b[K");
            self.shown = true;
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// A token as a person can read it; half a character as its bytes.
pub(super) fn piece(model: &Model, token: u32) -> String {
    match model.tokenizer.token_bytes(token) {
        Some(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| format!("<{byte:02X}>")).collect(),
        },
        None => format!("<{token}>"),
    }
}

fn tell_step(talk: &Talk, model: &Model, number: usize, step: &Step) {
    let shown = |candidates: &[Candidate]| -> Vec<TokenRow> {
        candidates
            .iter()
            .map(|candidate| TokenRow {
                text: piece(model, candidate.token),
                probability: candidate.probability,
                picked: candidate.token == step.token,
            })
            .collect()
    };
    let text = piece(model, step.token);
    let table = report::step_table(number, step.token, &text, &shown(&step.raw), &shown(&step.processed));
    talk.tell(table);
}

#[derive(Serialize)]
struct Summary<'a> {
    prompt: &'a str,
    output: &'a str,
    device: &'a str,
    model: &'a str,
    #[serde(flatten)]
    figures: &'a Figures,
}

fn tell_summary(talk: &Talk, prompt: &str, completion: &Completion, figures: &Figures) {
    let summary =
        Summary { prompt, output: &completion.text, device: "cpu", model: &talk.model_args.model, figures };
    // A summary of strings and numbers always has a JSON form.
    if let Ok(text) = serde_json::to_string_pretty(&summary) {
        // Wrapped, it could not be copied.
        talk.screen.tell_within(usize::MAX, &text);
    }
}

#[derive(Serialize)]
struct JsonTurn<'a> {
    role: &'a str,
    content: &'a str,
    model: &'a str,
    device: &'a str,
    #[serde(flatten)]
    figures: &'a Figures,
}

fn write_json(talk: &Talk, answer: &Answer, figures: &Figures) -> anyhow::Result<()> {
    let turn = JsonTurn {
        role: "assistant",
        content: &answer.text,
        model: &talk.model_args.model,
        device: "cpu",
        figures,
    };
    let mut line = serde_json::to_string(&turn)?;
    line.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Token ids and pieces in columns as wide as the window.
pub(super) fn token_grid(model: &Model, text: &str, columns: usize) -> String {
    let cells: Vec<String> = model
        .tokenizer
        .encode_plain(text)
        .into_iter()
        .map(|id| format!("{id:>6} {}", quoted(&piece(model, id))))
        .collect();
    let wide = cells.iter().map(|cell| terminal::style::width(cell)).max().unwrap_or(0) + 1;
    let per_row = (columns.saturating_sub(1) / wide).max(1);
    cells
        .chunks(per_row)
        .map(|row| {
            let row: String = row.iter().map(|cell| terminal::style::fit(cell, wide)).collect();
            format!("{}\n", row.trim_end())
        })
        .collect()
}
