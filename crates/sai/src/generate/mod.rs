//! `sai generate`: a text, continued.
//!
//! Flags have llama.cpp's names and meanings, so that a command written for its `main` runs with
//! `sai generate` in place of `./main`.

pub(crate) mod escape;
mod interactive;
mod report;

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::bail;
use sai_generation::{Completion, Event, FinishReason, Model, Request, Sampling, Session};

use crate::cli::{DraftKind, ModelArgs, whole, whole_of};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::prompt_cache::PromptCacheArgs;
use crate::ui::{Thousands, Ui};
use escape::unescape;

const EXAMPLES: &str = "\
Examples:
  sai generate -p \"The capital of Korea is\" -n 16 --temp 0
  sai generate -m 42dot-sft --prompt \"...\\n\" --in-prefix \"<human>: \" --in-suffix \"<bot>:\" --interactive-first
  sai generate -f story.txt -n 200 --logprobs 5 --json";

/// Complete a text, with llama.cpp's names for the flags.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Generate {
    /// Text to continue; \n, \t and other escapes are read
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,

    /// Take the text to continue from a file; - is standard input, which is also read where it is a pipe and neither
    /// this nor --prompt is given
    #[arg(short, long, value_name = "FILE", conflicts_with = "prompt")]
    file: Option<PathBuf>,

    /// Most tokens to generate; -1 goes on until the end of the text or of the context
    #[arg(short, long, default_value_t = 512, value_name = "N", alias = "n_predict", alias = "predict",
        allow_negative_numbers = true, value_parser = whole_of::<i64>(-1..=i64::from(i32::MAX)))]
    n_predict: i64,

    /// Reverse prompt, or stop sequence: end before this text (in interactive mode: let the person speak); may be given
    /// several times
    #[arg(short, long, value_name = "TEXT", alias = "stop", alias = "reverse_prompt")]
    reverse_prompt: Vec<String>,

    /// Leave escapes in --prompt, --in-prefix, --in-suffix and --reverse-prompt as they are written
    #[arg(long, alias = "no_escape")]
    no_escape: bool,

    /// Read escapes, which is what happens anyway
    #[arg(short, long, hide = true, conflicts_with = "no_escape")]
    escape: bool,

    /// Speculative decoding: guess tokens and check several in one pass; says the same, and sooner where the text repeats
    /// itself
    #[arg(long, value_enum, default_value_t = DraftKind::Off)]
    draft: DraftKind,

    #[command(flatten)]
    prompt_cache: PromptCacheArgs,

    #[command(flatten)]
    sampling: SamplingArgs,

    #[command(flatten)]
    talk: interactive::TalkArgs,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    model: ModelArgs,

    /// Taken so that commands for llama.cpp run; this version computes on the processor
    #[arg(
        long,
        hide = true,
        value_name = "N",
        alias = "n_gpu_layers",
        alias = "gpu-layers",
        allow_negative_numbers = true
    )]
    n_gpu_layers: Option<i64>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Sampling")]
struct SamplingArgs {
    /// Sampling temperature; 0 is greedy: always the likeliest token [the model's own, else 0.5]
    #[arg(long, value_name = "X", alias = "temperature", value_parser = temperature)]
    temp: Option<f32>,

    /// Nucleus sampling: from the likeliest tokens that together reach this probability; 1 turns it off [the model's
    /// own, else 0.95]
    #[arg(long, value_name = "P", alias = "top_p", value_parser = probability)]
    top_p: Option<f32>,

    /// Sample from this many of the likeliest tokens; 0 turns it off [the model's own, else 20]
    #[arg(long, value_name = "N", alias = "top_k", value_parser = top_k)]
    top_k: Option<usize>,

    /// Sample from tokens at least this likely beside the likeliest; 0 turns it off [the model's own, else 0]
    #[arg(long, value_name = "P", alias = "min_p", value_parser = probability)]
    min_p: Option<f32>,

    /// Repetition penalty: divides the logits of tokens that were already there; 1 turns it off [the model's own, else 1.2]
    #[arg(long, value_name = "X", alias = "repeat_penalty",
        alias = "repetition-penalty", alias = "repetition_penalty", value_parser = positive)]
    repeat_penalty: Option<f32>,

    /// Add to the logit of a token, by its id: 15043+1, 2-inf; may be given several times
    #[arg(short, long, value_name = "ID±BIAS", alias = "logit_bias", value_parser = logit_bias)]
    logit_bias: Vec<(u32, f32)>,

    /// Random seed, with which the same is said each time; -1 takes a new one
    #[arg(short, long, default_value_t = -1, value_name = "N", value_parser = whole_of::<i64>(i64::MIN..=i64::MAX))]
    seed: i64,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Colour the prompt and what the person types
    #[arg(long)]
    color: bool,

    /// Leave the prompt out; print what is added alone
    #[arg(long, alias = "no_display_prompt")]
    no_display_prompt: bool,

    /// One line a token: its log-probability and the N likeliest tokens there
    #[arg(long, value_name = "N", value_parser = whole(1..=100))]
    logprobs: Option<usize>,

    /// One JSON object for each answer (and with --logprobs one for each token)
    #[arg(long)]
    json: bool,
}

impl Generate {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let prompt = self.prompt_text(ui)?;
        let talks = self.talk.is_on();
        if prompt.is_empty() && !talks {
            bail!(
                "there is nothing to continue; give --prompt TEXT or --file FILE, send a text down a pipe, or talk \
                 with --interactive"
            );
        }
        self.prompt_cache.check()?;
        let model = crate::models::open(&self.model, ui)?;
        if self.n_gpu_layers.is_some_and(|layers| layers > 0) {
            ui.note("--n-gpu-layers is not needed: this version of sai computes on the processor");
        }
        let view = report::View::new(&self.output, ui, prompt.clone());
        let interrupt = Interrupt::install(view.last_words())?;
        let mut session = Session::new(&model)?;
        self.prompt_cache.load(&mut session, ui)?;
        let mut writer = Writer {
            model: &model,
            session: &mut session,
            request: self.request(&model),
            n_predict: usize::try_from(self.n_predict).ok(),
            tokens: Vec::new(),
            interrupt,
            view,
            ui,
        };
        writer.tokens = model.encode_text(&prompt);
        if talks {
            let keep = writer.tokens.len();
            interactive::talk(&mut writer, &self.talk, keep, |text| self.read_escapes(text))?;
            return self.prompt_cache.save(&session);
        }
        let completion = writer.answer()?;
        drop(writer);
        self.prompt_cache.save(&session)?;
        match completion.finish_reason {
            // What was said stays said; a script should see that it is not all.
            FinishReason::Interrupted => std::process::exit(EXIT_INTERRUPTED),
            FinishReason::ContextFull => {
                let length = Thousands(session.context_length() as u64);
                ui.note(format_args!("the context of {length} tokens is full; --context sets its length"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn prompt_text(&self, ui: &Ui) -> anyhow::Result<String> {
        let talks = self.talk.is_on();
        match (&self.prompt, &self.file) {
            (Some(prompt), _) => Ok(self.read_escapes(prompt)),
            (None, Some(file)) if talks && file.as_os_str() == "-" => {
                bail!("--file - takes standard input, from which --interactive hears the person; give a file")
            }
            (None, Some(file)) => crate::text_file::read(file),
            (None, None) if talks || ui.in_is_terminal() => Ok(String::new()),
            (None, None) => crate::text_file::standard_input(),
        }
    }

    fn read_escapes(&self, text: &str) -> String {
        if self.no_escape { text.to_owned() } else { unescape(text) }
    }

    fn request(&self, model: &Model) -> Request {
        let (s, own) = (&self.sampling, model.generation_config.sampling());
        Request {
            sampling: Sampling {
                temperature: s.temp.unwrap_or(own.temperature),
                repetition_penalty: s.repeat_penalty.unwrap_or(own.repetition_penalty),
                top_p: s.top_p.unwrap_or(own.top_p),
                top_k: s.top_k.unwrap_or(own.top_k),
                min_p: s.min_p.unwrap_or(own.min_p),
                logit_bias: s.logit_bias.clone(),
                seed: u64::try_from(s.seed).unwrap_or_else(|_| new_seed()),
                ..own
            },
            max_new_tokens: 0,
            stop: self
                .reverse_prompt
                .iter()
                .map(|text| self.read_escapes(text))
                .filter(|t| !t.is_empty())
                .collect(),
            candidates: self.output.logprobs.unwrap_or(0),
            draft: self.draft.into(),
            ..Request::default()
        }
    }
}

/// A text that grows: the tokens so far, and what continues them.
struct Writer<'a, 'm> {
    model: &'m Model,
    session: &'a mut Session<'m>,
    request: Request,
    /// Most tokens of an answer; none where only the context ends it.
    n_predict: Option<usize>,
    tokens: Vec<u32>,
    interrupt: Interrupt,
    view: report::View,
    ui: &'a Ui,
}

impl Writer<'_, '_> {
    /// Continues the tokens, showing each as it comes, until the text ends or Ctrl-C.
    fn answer(&mut self) -> anyhow::Result<Completion> {
        let room = self.session.context_length().saturating_sub(self.tokens.len());
        self.request.max_new_tokens = self.n_predict.unwrap_or(room).min(room.max(1));
        let bar = match self.view.at_line_start() {
            true => self.ui.bar(0, "reading the prompt"),
            false => indicatif::ProgressBar::hidden(),
        };
        let (interrupt, view, tokenizer) = (&self.interrupt, &mut self.view, &self.model.tokenizer);
        let mut broken: Option<std::io::Error> = None;
        let completion = self.session.generate(&self.tokens, &self.request, &mut |event| {
            match event {
                Event::Prefill { done, total } if done < total => {
                    bar.set_length(total as u64);
                    bar.set_position(done as u64);
                }
                Event::Prefill { .. } => bar.finish_and_clear(),
                Event::Step(step) => {
                    if let Err(error) = view.step(step, tokenizer) {
                        broken = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            }
            if interrupt.pending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        bar.finish_and_clear();
        let completion = completion?;
        if let Some(error) = broken {
            return Err(error.into());
        }
        self.view.end(&completion, &self.request)?;
        self.tokens.extend_from_slice(&completion.tokens);
        Ok(completion)
    }

    /// After an answer that ended by itself: the reverse prompt that ended it, if one did. Else the token with
    /// which the model ends its answers stays in the text, as it stood in the texts that the model learnt from.
    fn close_turn(&mut self, answer: &Completion) -> Option<String> {
        let tokenizer = &self.model.tokenizer;
        let said = tokenizer.decode(&answer.tokens);
        let stop = self.request.stop.iter().find(|stop| said.contains(stop.as_str())).cloned();
        if stop.is_none() {
            self.tokens.extend(tokenizer.eos().first());
        }
        stop
    }
}

fn new_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // Keys of the standard hasher are the system's randomness. Short seeds are easier to say again.
    std::hash::RandomState::new().build_hasher().finish() >> 32
}

fn number(text: &str, good: impl Fn(f32) -> bool, wanted: &str) -> Result<f32, String> {
    text.parse().ok().filter(|x: &f32| x.is_finite() && good(*x)).ok_or_else(|| format!("give {wanted}"))
}

/// An id, a sign, and how much: llama.cpp's form. `-inf` forbids the token.
fn logit_bias(text: &str) -> Result<(u32, f32), String> {
    let wanted = "give a token's id, + or -, and a number or inf: 15043+1.5, 2-inf";
    let at = text.find(['+', '-']).ok_or(wanted)?;
    let id = text[..at].parse().map_err(|_| wanted)?;
    let bias: f32 = text[at..].parse().map_err(|_| wanted)?;
    if bias.is_nan() || bias == f32::INFINITY { Err(wanted.to_owned()) } else { Ok((id, bias)) }
}

fn temperature(text: &str) -> Result<f32, String> {
    number(text, |x| x >= 0.0, "a number from 0 on; 0 is greedy, as negative ones are in llama.cpp")
}

/// Negative ones mean 0, all tokens, as in llama.cpp.
fn top_k(text: &str) -> Result<usize, String> {
    let k: i64 = text.parse().map_err(|_| "give a whole number, such as 40")?;
    Ok(usize::try_from(k).unwrap_or(0))
}

fn positive(text: &str) -> Result<f32, String> {
    number(text, |x| x > 0.0, "a number above 0")
}

fn probability(text: &str) -> Result<f32, String> {
    number(text, |x| (0.0..=1.0).contains(&x), "a number from 0 to 1")
}
