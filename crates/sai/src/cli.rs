//! The arguments of the command: its verbs, and the flags that the verbs share.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::builder::StyledStr;
use clap::{Arg, Args, Command, CommandFactory, Parser, Subcommand, ValueEnum};
use sai_generation::Override;

use crate::terminal::style::Span;
use crate::terminal::wrap::wrap;
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  sai                                       on a terminal the same as sai chat
  sai chat                                  talk to the small model that comes with sai
  sai chat --model 42dot-sft                talk to 42dot LLM, in Korean and English
  sai generate -m m.gguf -p \"The capital of Korea is\" -n 32
  sai serve -m 42dot-sft                    an API for OpenAI's clients, at 127.0.0.1:8042
  sai inspect model.gguf --tensors          what a file holds, and whether sai can run it
  sai perplexity -m m.gguf -f text.txt
  sai quantize m.gguf small.gguf q4_k_m      a smaller file: about 5 bits a weight
  sai bench -m m.gguf                       how fast it runs, beside what the machine can do
  sai make recipes/nano.toml                a small model of your own, from nothing
  sai tokenizer encode 안녕하세요           the tokens of a text
  sai tokenizer train --input corpus/ -o vocabulary
  sai doctor                                what this machine has, and what is missing for what
  sai convert folder/ model.gguf            a Hugging Face folder to GGUF, or the other way
  sai judge answer --models mini,smollm2-135m -o run    answers to be graded, side by side
  sai models                                which models are here, and which a name fetches
  sai push nano/ owner/nano                 a model of your own to the Hub

A model is a GGUF file, a Hugging Face folder, a Hub id (owner/name) or a short name:
  mini (built in; taken where none is named), or one that `sai models` lists, such as
  hyperclovax-seed-0.5b, 42dot-sft, qwen3-0.6b, gemma3-270m, smollm2-135m";

/// Run compact Korean–English language models: chat, complete, inspect, convert, quantise, measure.
#[derive(Parser)]
#[command(name = "sai", version, after_help = EXAMPLES, args_override_self = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,

    /// Keep notices and progress back; answers, warnings and errors stay
    #[arg(short, long, global = true, display_order = 900)]
    pub(crate) quiet: bool,
}

/// The verbs in the order of `sai --help`, under the headings that they stand under there.
const GROUPS: &[(&str, &[&str])] = &[
    ("Talk", &["chat", "generate", "serve"]),
    ("Make", &["make", "corpus", "sample", "tokenizer", "pretrain", "finetune", "plan"]),
    ("Convert", &["convert", "quantize", "imatrix", "merge"]),
    ("Measure", &["inspect", "evaluate", "judge", "perplexity", "bench", "doctor"]),
    ("Models", &["models", "push"]),
    ("Shell", &["completions", "man", "help"]),
];

/// Columns of the help, clap's own.
const COLUMNS: usize = 100;

/// The command, with its verbs in groups, and with arguments that take `-1` for a value: what is wrong with it is the
/// argument's to say.
pub(crate) fn command() -> Command {
    let command = with_negative_numbers(Cli::command());
    let template = template(&command);
    command.help_template(template)
}

fn with_negative_numbers(command: Command) -> Command {
    let allow = |arg: Arg| match arg.get_action().takes_values() && !arg.is_allow_hyphen_values_set() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    command.mut_args(allow).mut_subcommands(with_negative_numbers)
}

/// The page of `sai --help`: clap lists all verbs as one, and these are many.
fn template(command: &Command) -> StyledStr {
    let header = command.get_styles().get_header();
    let literal = command.get_styles().get_literal();
    let about = |name: &str| match command.find_subcommand(name).and_then(|verb| verb.get_about()) {
        Some(about) => about.to_string().trim_end_matches('.').to_owned(),
        None => "Print this, or the help of a verb".to_owned(),
    };
    let wide = GROUPS.iter().flat_map(|(_, verbs)| *verbs).map(|name| name.len()).max().unwrap_or(0);
    let mut page = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (title, verbs) in GROUPS {
        page += &format!("\n{header}{title}:{header:#}\n");
        for name in *verbs {
            page += &format!("  {literal}{name}{literal:#}{}", " ".repeat(wide - name.len()));
            for (i, row) in wrap(&[Span::plain(&about(name))], COLUMNS - wide - 4).iter().enumerate() {
                let indent = if i == 0 { 2 } else { wide + 4 };
                let text: String = row.iter().map(Span::text).collect();
                page += &format!("{}{text}\n", " ".repeat(indent));
            }
        }
    }
    page += &format!("\n{header}Options:{header:#}\n{{options}}{{after-help}}");
    page.into()
}

impl Cli {
    /// What is meant where no verb is given: a chat, if a person is there to talk. Nothing otherwise.
    pub(crate) fn unsaid(ui: &Ui) -> Option<Verb> {
        let person = ui.in_is_terminal() && ui.out_is_terminal() && ui.err_is_terminal();
        if person { Cli::parse_from(["sai", "chat"]).verb } else { None }
    }
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    Chat(crate::chat::Chat),
    Convert(crate::convert::Convert),
    Corpus(crate::corpus::Corpus),
    Evaluate(crate::evaluate::Evaluate),
    Finetune(crate::finetune::Finetune),
    Generate(crate::generate::Generate),
    Inspect(crate::inspect::Inspect),
    Judge(crate::judge::Judge),
    Make(crate::make::Make),
    Merge(crate::merge::Merge),
    Models(crate::models::Models),
    Perplexity(crate::perplexity::Perplexity),
    Plan(crate::plan::Plan),
    Pretrain(crate::pretrain::Pretrain),
    Push(crate::push::Push),
    Quantize(crate::quantize::Quantize),
    Sample(crate::sample::Sample),
    Serve(crate::serve::Serve),
    Imatrix(crate::imatrix::Imatrix),
    Bench(crate::bench::Bench),
    Tokenizer(crate::tokenizer::Tokenizer),
    Doctor(crate::doctor::Doctor),
    Completions(crate::manual::Completions),
    Man(crate::manual::Man),
}

impl Verb {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        match self {
            Self::Chat(verb) => verb.run(ui),
            Self::Convert(verb) => verb.run(ui),
            Self::Corpus(verb) => verb.run(ui),
            Self::Evaluate(verb) => verb.run(ui),
            Self::Finetune(verb) => verb.run(ui),
            Self::Generate(verb) => verb.run(ui),
            Self::Inspect(verb) => verb.run(ui),
            Self::Judge(verb) => verb.run(ui),
            Self::Make(verb) => verb.run(ui),
            Self::Merge(verb) => verb.run(ui),
            Self::Models(verb) => verb.run(ui),
            Self::Perplexity(verb) => verb.run(ui),
            Self::Plan(verb) => verb.run(ui),
            Self::Pretrain(verb) => verb.run(ui),
            Self::Push(verb) => verb.run(ui),
            Self::Quantize(verb) => verb.run(ui),
            Self::Sample(verb) => verb.run(ui),
            Self::Serve(verb) => verb.run(ui),
            Self::Imatrix(verb) => verb.run(ui),
            Self::Bench(verb) => verb.run(ui),
            Self::Tokenizer(verb) => verb.run(ui),
            Self::Doctor(verb) => verb.run(ui),
            Self::Completions(verb) => verb.run(),
            Self::Man(verb) => verb.run(ui),
        }
    }
}

/// What is taken where no model is named.
pub(crate) const DEFAULT_MODEL: &str = crate::models::built_in::NAME;

/// The model of `SAI_MODEL`, where that is set and not empty, else [`DEFAULT_MODEL`].
pub(crate) fn default_model() -> String {
    let said = std::env::var_os("SAI_MODEL").map(|model| model.to_string_lossy().into_owned());
    said.filter(|model| !model.trim().is_empty()).unwrap_or_else(|| DEFAULT_MODEL.to_owned())
}

/// Which model, and how to hold it. Shared by every verb that runs one.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// GGUF file, Hugging Face folder, Hub id (owner/name[@revision][:file.gguf]) or short name [SAI_MODEL, else mini]
    #[arg(short, long, default_value_t = default_model(), hide_default_value = true)]
    pub(crate) model: String,

    /// Threads to compute with; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    pub(crate) threads: usize,

    /// Context length in tokens; the model's own, but at most 8192, where not given
    #[arg(short, long, value_name = "N", value_parser = whole(1..=MOST), aliases = ["ctx-size", "ctx_size", "ctx"])]
    pub(crate) context: Option<usize>,

    /// Where to compute; auto picks the best device with room for the model
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    pub(crate) device: Device,

    /// Chat template, how a conversation is written: `42dot`, a file with a Jinja template, or the name of one of the model's
    /// own; its default where not given
    #[arg(long, value_name = "42dot|FILE|NAME", alias = "chat_template")]
    pub(crate) chat_template: Option<String>,

    /// Type of the KV cache: q8_0 takes half the memory of f16, and f16 half of f32's
    #[arg(long, value_enum, default_value_t = CacheKind::F16, alias = "cache_type")]
    pub(crate) cache_type: CacheKind,

    #[command(flatten)]
    pub(crate) overrides: OverrideArgs,
}

/// Metadata said otherwise than a GGUF file does.
#[derive(Args, Clone, Debug)]
pub(crate) struct OverrideArgs {
    /// Take an entry of a GGUF's metadata for this, such as tokenizer.ggml.pre=str:llama-bpe; TYPE is int, float, bool or
    /// str. May be given several times
    #[arg(long, value_name = "KEY=TYPE:VALUE", alias = "override_kv", value_parser = str::parse::<Override>)]
    pub(crate) override_kv: Vec<Override>,
}

/// A count that no text, model or machine reaches, and with which sums do not overflow.
pub(crate) const MOST: usize = usize::MAX >> 16;

/// Takes a count of a range, and says the range where it is given anything else.
pub(crate) fn whole(
    range: RangeInclusive<usize>,
) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync {
    whole_of::<usize>(range)
}

/// As [`whole`], for other whole numbers. The type is that of the field: clap finds out as late as when it is read.
pub(crate) fn whole_of<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("give a whole number from {} to {}", range.start(), range.end()))
    }
}

/// Takes a number of threads that a machine can have.
pub(crate) fn thread_count() -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync {
    whole(0..=512)
}

/// Threads to work on: as many as asked for, or one for each core.
pub(crate) fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}

/// Where to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    Auto,
    Cpu,
    // Not in this version; asking for one says what to do.
    #[value(hide = true)]
    Cuda,
    #[value(hide = true)]
    Metal,
}

/// How tokens are guessed before they are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DraftKind {
    /// None: one token a pass
    Off,
    /// Prompt lookup: what followed the same tokens earlier in the text
    Lookup,
}

impl From<DraftKind> for sai_generation::Draft {
    fn from(kind: DraftKind) -> Self {
        match kind {
            DraftKind::Off => Self::Off,
            DraftKind::Lookup => Self::Lookup,
        }
    }
}

/// Types of the KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CacheKind {
    F16,
    F32,
    #[value(name = "q8_0")]
    Q8_0,
}

impl From<CacheKind> for sai_generation::CacheType {
    fn from(kind: CacheKind) -> Self {
        match kind {
            CacheKind::F16 => Self::F16,
            CacheKind::F32 => Self::F32,
            CacheKind::Q8_0 => Self::Q8_0,
        }
    }
}
