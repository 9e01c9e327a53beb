//! # chat: a conversation with a model
//!
//! In: questions, typed at a terminal ([`talk`]) or read from a pipe ([`piped`]). Out: answers on standard
//! output, everything else on standard error, and the conversation on disk after every turn ([`conversation`]).
//!
//! [`turn`] asks the model; it is the only part that knows what generation is. The rest is what a person
//! needs around it: the line that is typed on, commands, settings, what is said about an answer.

pub(crate) mod commands;
mod conversation;
mod device;
mod echo_off;
mod export;
mod line;
mod piped;
mod report;
mod settings;
mod signals;
mod talk;
mod turn;

use std::fmt::Display;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use sai_generation::Model;

use self::conversation::{Conversation, Store};
use self::settings::Settings;
use self::signals::Signals;
use self::turn::Voice;
use crate::cli::{DraftKind, ModelArgs};
use crate::models::{self, built_in, catalogue};
use crate::prompt_cache::PromptCacheArgs;
use crate::terminal;
use crate::terminal::style::{Span, Style, paint};
use crate::terminal::wrap::wrap;
use crate::texts::texts;
use crate::ui::{Size, Thousands, Ui};

const EXAMPLES: &str = "\
Examples:
  sai chat                                      talk; /help lists the commands
  sai chat --system \"Answer in one sentence.\" --temperature 0
  sai chat --resume                             go on with the last conversation
  printf 'Hello\\nAnd in Korean?\\n' | sai chat    each line is a turn
  sai chat --json < questions.txt > answers.jsonl";

/// Chat with a model.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Chat {
    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    settings: Settings,

    /// System prompt: what the model is told before the conversation; its chat template's own where not given
    #[arg(long, help_heading = "Conversation", value_name = "TEXT")]
    system: Option<String>,

    /// Speculative decoding: guess tokens and check several in one pass; says the same, and sooner where the text repeats
    /// itself
    #[arg(long, value_enum, default_value_t = DraftKind::Off, help_heading = "Conversation")]
    draft: DraftKind,

    #[command(flatten)]
    prompt_cache: PromptCacheArgs,

    /// Show the likeliest candidates of each step, and a summary in JSON
    #[arg(long, help_heading = "Conversation")]
    debug: bool,

    /// Write each answer as one JSON object on one line
    #[arg(long, help_heading = "Conversation")]
    json: bool,

    /// Go on with a saved conversation: its name, its id, or the last one
    #[arg(long, help_heading = "Conversation", value_name = "ID", num_args = 0..=1, default_missing_value = "last")]
    resume: Option<String>,

    /// Keep nothing of this conversation, nor what is typed in the history of lines
    #[arg(long, help_heading = "Conversation")]
    no_save: bool,

    /// No colours, as with NO_COLOR
    #[arg(long, help_heading = "Conversation")]
    no_color: bool,
}

/// A chat under way: all of it but the model.
struct Talk {
    model_args: ModelArgs,
    settings: Settings,
    conversation: Conversation,
    /// `None` where nothing is to be kept, or there is nowhere to keep it.
    store: Option<Store>,
    signals: Signals,
    screen: Screen,
    draft: DraftKind,
    prompt_cache: PromptCacheArgs,
    debug: bool,
    json: bool,
    quiet: bool,
    /// How long the model took to load.
    load: Duration,
    /// Figures of the last answer.
    last: Option<report::Figures>,
    /// Exchanges that are known to have left the context.
    dropped: usize,
    /// How often the present question was answered again.
    again: u64,
}

/// What the streams are.
#[derive(Clone, Copy)]
struct Screen {
    out_terminal: bool,
    err_terminal: bool,
    out_color: bool,
    err_color: bool,
    /// Whether standard output understands cursor movement.
    drawable: bool,
}

impl Chat {
    /// Talks until the person leaves or standard input ends.
    ///
    /// # Errors
    /// What keeps a chat from beginning, or a pipe from being answered, in one line.
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let smart = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let screen = Screen {
            out_terminal: io::stdout().is_terminal(),
            err_terminal: io::stderr().is_terminal(),
            out_color: ui.out_color() && !self.no_color,
            err_color: ui.err_color() && !self.no_color,
            drawable: smart,
        };
        let data = data_folder();
        let store = data.as_ref().map(|folder| Store::new(folder.join("conversations")));
        let resumed = match (&self.resume, &store) {
            (Some(which), Some(store)) => Some(store.load(which).context("--resume")?),
            (Some(_), None) => {
                anyhow::bail!("--resume: neither XDG_DATA_HOME nor HOME says where conversations are")
            }
            (None, _) => None,
        };

        self.prompt_cache.check()?;
        let (model, load) = open(&self.model, screen, ui)?;
        let mut conversation = match resumed {
            Some(resumed) => resumed,
            None => Conversation::new(&self.model.model, None),
        };
        if self.system.is_some() {
            conversation.system = self.system;
        }
        let mut talk = Talk {
            model_args: self.model,
            settings: Settings { generation_config: model.generation_config, ..self.settings },
            conversation,
            store: store.filter(|_| !self.no_save),
            signals: Signals::listen().context("cannot listen for signals")?,
            screen,
            draft: self.draft,
            prompt_cache: self.prompt_cache,
            debug: self.debug,
            json: self.json,
            quiet: ui.is_quiet(),
            load,
            last: None,
            dropped: 0,
            again: 0,
        };
        // The line editor asks the terminal where its cursor is, and does so on standard output.
        if ui.in_is_terminal() && screen.out_terminal && screen.err_terminal && smart {
            // Nothing kept includes what was typed.
            let history = data.filter(|_| talk.store.is_some()).map(|folder| folder.join("history.txt"));
            talk::run(&mut talk, model, history, ui)
        } else {
            let mut voice = Voice::new(&model, &talk.prompt_cache, ui)?;
            let answered = piped::run(&mut talk, &mut voice, ui.in_is_terminal());
            voice.keep(&talk.prompt_cache)?;
            answered
        }
    }
}

/// Opens the model and says what it runs on.
fn open(args: &ModelArgs, screen: Screen, ui: &Ui) -> anyhow::Result<(Model, Duration)> {
    let start = Instant::now();
    let model = models::open(args, ui)?;
    let load = start.elapsed();
    if !ui.is_quiet() {
        screen.tell(device::line(args, &model));
        let context = Thousands(model.context as u64);
        let seconds = format_args!("{:.2}", load.as_secs_f64());
        screen.tell((texts().loaded)(&args.model, &seconds, &context));
        if built_in::is(&model.path) {
            screen.tell(built_in_line());
        }
    }
    Ok((model, load))
}

/// What the built-in model is, and where there may be a network, how to get one that knows more.
fn built_in_line() -> String {
    let next = catalogue::next().filter(|_| !models::is_offline());
    let next = next.map(|next| (Size(next.bytes), next.name));
    (texts().built_in)(
        &built_in::NAME,
        next.as_ref().map(|(size, name)| (size as &dyn Display, name as &dyn Display)),
    )
}

impl Screen {
    /// Columns for what is said beside the conversation.
    fn columns(self) -> usize {
        if self.err_terminal { terminal::size().0.saturating_sub(1) } else { usize::MAX }
    }

    /// Lines beside the conversation, on standard error.
    fn tell(self, text: impl Display) {
        self.tell_within(self.columns(), &text.to_string());
    }

    fn tell_within(self, columns: usize, text: &str) {
        // Answers come first where both streams are one terminal; a closed one is no reason to stop.
        let _ = io::stdout().flush();
        let rows = text.trim_end().split('\n').flat_map(|line| wrap(&[Span::new(line, Style::DIM)], columns));
        let mut out = String::new();
        for row in rows {
            if self.err_color {
                out += &paint(&row, true);
            } else {
                out.extend(row.iter().map(Span::text));
            }
            out.push('\n');
        }
        let _ = io::stderr().write_all(out.as_bytes());
    }
}

impl Talk {
    /// A notice, kept back when quiet.
    fn note(&self, text: impl Display) {
        if !self.quiet {
            self.tell(text);
        }
    }

    /// Something that was asked for, or that must not be missed.
    fn tell(&self, text: impl Display) {
        self.screen.tell(text);
    }

    /// Writes the conversation to disk. That it cannot be written is said, and the talk goes on.
    fn keep(&mut self) {
        let Some(store) = &self.store else { return };
        match store.save(&mut self.conversation) {
            Ok(None) => {}
            Ok(Some(id)) => self.note((texts().changed_elsewhere)(&id)),
            Err(error) => {
                self.tell(format_args!("sai: {}", (texts().not_saved)(&format_args!("{error:#}"))));
                self.store = None;
            }
        }
    }
}

/// Where sai keeps what belongs to the person: `$XDG_DATA_HOME/sai`, else `~/.local/share/sai`.
fn data_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share"))).map(|folder| folder.join("sai"))
}

/// A number that nobody chose.
fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}
