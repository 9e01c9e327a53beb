//! `sai evaluate`: what models know of texts, what they say, and how they do in tasks.

mod chart;
mod corpus;
mod data;
mod endpoint;
mod output;
mod remote_vocabulary;
mod table;
mod tasks;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sai_generation::Source;
use sai_make::{Evaluation, EvaluationOptions, RecordedPrompt};

use crate::cli::{MOST, whole};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::tokenizer::documents::{ReadingArgs, advise, bytes, find};
use crate::ui::{Size, Thousands, Ui};

const EXAMPLES: &str = "\
Examples:
  sai evaluate nano nano/nano-q8_0.gguf --texts ko=held-out/ko.jsonl --texts en=held-out/en.jsonl
  sai evaluate nano/nano-q8_0.gguf --ask '안녕?' --ask 'What is two plus three?'
  sai evaluate mini smollm2-135m --tasks kobest --data kobest/ --compare published
  sai evaluate m.gguf --tasks all --profile main --data data/ --journal m.jsonl --chart m.svg";

/// Evaluate models: bits a byte and perplexity on texts of each language, recorded answers of the last one, and tasks of
/// lm-evaluation-harness with its numbers.
///
/// Bits a byte (bits per byte, the cross-entropy in bits by bytes of text) do not depend on the vocabulary, so that models of different ones can be compared. Perplexity is of
/// their tokens, each document by itself. Answers are greedy, always the same.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Evaluate {
    /// GGUF files, Hugging Face folders, Hub ids or short names
    #[arg(required_unless_present = "endpoint", value_name = "MODEL")]
    models: Vec<String>,

    /// Documents and the name of their language; may be given again
    #[arg(long, value_name = "LANG=FILE", value_parser = named)]
    texts: Vec<(String, String)>,

    /// Bytes of each language to read, about
    #[arg(long, default_value = "500kB", value_name = "BYTES", value_parser = bytes)]
    bytes: u64,

    /// A question to answer; may be given again
    #[arg(long, value_name = "TEXT")]
    ask: Vec<String>,

    /// Conversations to have: a JSON value a line, each a question or a list of turns
    #[arg(long, value_name = "FILE")]
    ask_file: Option<PathBuf>,

    /// Tokens of an answer at most
    #[arg(long, default_value_t = 96, value_name = "N", value_parser = whole(1..=MOST))]
    answer_tokens: usize,

    /// Threads to compute with; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,

    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    reading: ReadingArgs,

    #[command(flatten)]
    tasks: tasks::TaskArgs,
}

fn named(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, file)| !name.is_empty() && !file.is_empty());
    parts
        .map(|(name, file)| (name.to_owned(), file.to_owned()))
        .ok_or("it is LANG=FILE, as in ko=ko.jsonl".to_owned())
}

impl Evaluate {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        self.evaluate(ui).map_err(advise)
    }

    fn evaluate(self, ui: &Ui) -> anyhow::Result<()> {
        let no_tasks = self.tasks.is_empty();
        if self.texts.is_empty() && self.ask.is_empty() && self.ask_file.is_none() && no_tasks {
            bail!(
                "there is nothing to find out; give texts with --texts LANG=FILE, a question with --ask, or --tasks"
            );
        }
        if self.models.is_empty()
            && !(self.texts.is_empty() && self.ask.is_empty() && self.ask_file.is_none())
        {
            bail!("--texts and --ask are for models on this machine; name one, or leave them out");
        }
        let mut models: Vec<(String, Source)> = Vec::new();
        for name in self.models {
            let source = crate::models::locate(&name, ui)?;
            models.push((name, source));
        }
        let mut texts = Vec::new();
        for (language, file) in self.texts {
            texts.push((language, find(ui, &[file])?));
        }
        let mut ask: Vec<Vec<String>> = self.ask.into_iter().map(|question| vec![question]).collect();
        if let Some(file) = &self.ask_file {
            ask.extend(asked(file)?);
            if texts.is_empty() && ask.is_empty() && no_tasks {
                bail!("{}: there is no question in it, and no texts are given", file.display());
            }
        }
        let interrupt = Interrupt::install("")?;
        let mut json = serde_json::Map::new();
        // Tasks alone are enough to ask for.
        let only_tasks = !self.tasks.is_empty() && texts.is_empty() && ask.is_empty();
        let what = EvaluationOptions {
            models: models.clone(),
            texts,
            reading: self.reading.options(),
            bytes: usize::try_from(self.bytes).unwrap_or(usize::MAX),
            ask,
            answer_tokens: self.answer_tokens,
            threads: self.threads,
        };
        if !only_tasks
            && let serde_json::Value::Object(found) = texts_and_answers(&what, self.json, &interrupt, ui)?
        {
            json = found;
        }
        if !self.tasks.is_empty() {
            self.tasks.run(&models, self.threads, self.json.then_some(&mut json), &interrupt, ui)?;
        }
        if self.json {
            writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(&json)?)?;
        }
        Ok(())
    }
}

/// Bits a byte, perplexity and answers: prints them, or gives them as JSON.
fn texts_and_answers(
    what: &EvaluationOptions,
    json: bool,
    interrupt: &Interrupt,
    ui: &Ui,
) -> anyhow::Result<serde_json::Value> {
    let bar = ui.bar(1000, "evaluate");
    let found = sai_make::evaluate(what, &mut |part, now| {
        bar.set_position((1000.0 * part) as u64);
        bar.set_message(now.to_owned());
        if interrupt.pending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    let ControlFlow::Continue(found) = found? else { std::process::exit(EXIT_INTERRUPTED) };
    let languages = found.models.first().map_or(&[][..], |model| &model.languages);
    for of in languages.iter().filter(|of| of.passed_over > 0) {
        let (language, count) = (&of.language, Thousands(of.passed_over));
        ui.warn(format_args!(
            "{language}: {count} documents were passed over: broken, or their text is null"
        ));
    }
    if json {
        return Ok(serde_json::to_value(&found)?);
    }
    print(&found, &mut std::io::stdout().lock())?;
    Ok(serde_json::Value::Null)
}

/// The conversations of a file.
fn asked(file: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let text = crate::text_file::read(file)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            let ask: RecordedPrompt = serde_json::from_str(line).with_context(|| {
                format!("{}: line {} is no question and no list of turns, in JSON", file.display(), i + 1)
            })?;
            Ok(ask.turns().to_owned())
        })
        .collect()
}

fn print(found: &Evaluation, out: &mut dyn Write) -> std::io::Result<()> {
    for model in &found.models {
        writeln!(out, "{}  {}", crate::terminal::clean::visible(&model.name), Size(model.bytes))?;
        for of in &model.languages {
            writeln!(
                out,
                "  {:<4} {:.4} bits a byte, perplexity {:.3}  ({} documents, {} bytes, {} tokens)",
                of.language,
                of.bits_per_byte,
                of.perplexity,
                Thousands(of.documents),
                Thousands(of.text_bytes),
                Thousands(of.tokens)
            )?;
        }
    }
    for turn in found.conversations.iter().flatten() {
        let (said, answer) =
            (crate::terminal::clean::visible(&turn.said), crate::terminal::clean::visible(&turn.answer));
        writeln!(out, "\n› {said}\n{}{}", answer.trim(), if turn.ended { "" } else { " …" })?;
    }
    Ok(())
}
