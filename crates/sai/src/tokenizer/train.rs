//! `sai tokenizer train`: a vocabulary from texts.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use sai_documents::{Columns, Options, Reader, in_order};
use sai_make::vocabulary::{DocumentCounts, count_documents, write_vocabulary};
use sai_samples::{DocumentSampler, SampleSize};
use sai_tokenizer::train::{Counter, Pattern, Recipe, RoleNames, Worker};
use sai_tokenizer::{ChatTemplate, TemplateSources};
use serde_json::json;

use super::documents::{advise, bytes, find, share};
use crate::cli::{MOST, whole, whole_of};
use crate::ui::{Size, Thousands, Ui};

const EXAMPLES: &str = "\
Examples:
  sai tokenizer train --input corpus/ -o vocabulary
  sai tokenizer train --input 'web/*.jsonl.zst' --sample ko=10M,en=10M --vocab-size 50304 -o vocabulary
  sai tokenizer train --input ko.parquet --text-column body --pattern gpt2 -o vocabulary

The defaults are the recipe of docs/tokenizer.md, with the measurements behind it.";

/// Train a byte-level BPE vocabulary, and write it as a Hugging Face folder.
///
/// The merges are those of the trainer of Hugging Face's tokenizers, whatever the number of threads. All documents are
/// taken, or with --sample so many of each language, drawn evenly in one pass.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Train {
    /// Files, folders or globs of documents: JSONL, Parquet or text, plain or compressed with gzip or zstd
    #[arg(short, long, required = true, num_args = 1.., value_name = "FILE")]
    input: Vec<String>,

    /// Folder to make
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// What to draw of each language: documents (ko=10M,en=10M) or bytes of text (ko=2GB); those of other languages are
    /// left out
    #[arg(long, value_name = "LANG=N", value_delimiter = ',', value_parser = share)]
    sample: Vec<(String, SampleSize)>,

    /// What the sample is drawn by
    #[arg(long, default_value_t = 42, value_name = "N", value_parser = whole_of::<u64>(0..=u64::MAX))]
    seed: u64,

    #[command(flatten)]
    kind: Kind,

    #[command(flatten)]
    special: Special,

    /// Key or column of a document's text
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_column: String,

    /// Key or column of a document's language
    #[arg(long, default_value = "lang", value_name = "NAME")]
    lang_column: String,

    /// Pass over documents that cannot be read, instead of ending with an error
    #[arg(long)]
    skip_broken: bool,

    /// Memory for words and what is learnt from them, such as 4GB or 4GiB; four fifths of what is free where not given
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<u64>,

    /// Threads to work with; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,

    /// Print what was done as a JSON object
    #[arg(long)]
    json: bool,
}

/// What is learnt.
#[derive(Args)]
struct Kind {
    /// Tokens, special ones and the 256 bytes included
    #[arg(long, default_value_t = 50_304, value_name = "N", value_parser = whole(0..=MOST))]
    vocab_size: usize,

    /// Where text is cut into words: gpt2, llama3, qwen2, smollm, or a regular expression whose matches are words
    #[arg(long, default_value = "llama3", value_name = "NAME|REGEX")]
    pattern: String,

    /// Bring text to Unicode's composed form first, or not
    #[arg(long, value_enum, default_value_t = Normalize::None)]
    normalize: Normalize,

    /// How often a pair must be met to become a token
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = whole_of::<u64>(1..=u64::MAX))]
    min_frequency: u64,

    /// Join no two tokens that have so many bytes together, or more
    #[arg(long, value_name = "BYTES", value_parser = whole(1..=MOST))]
    max_token_length: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Normalize {
    Nfc,
    None,
}

/// Special tokens, what they are for, and the chat template that is made of them.
#[derive(Args)]
struct Special {
    /// Special tokens, which take the first ids; --special several times for several
    #[arg(
        long = "special",
        value_name = "TOKEN",
        default_values = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]
    )]
    tokens: Vec<String>,

    /// Special token that opens a text; the first one where not given
    #[arg(long, value_name = "TOKEN")]
    bos: Option<String>,

    /// Special token that ends a text; the first one where not given
    #[arg(long, value_name = "TOKEN")]
    eos: Option<String>,

    /// Special token that fills up batches; <|pad|> where it is one, or else the one that ends a text
    #[arg(long, value_name = "TOKEN")]
    pad: Option<String>,

    /// How a conversation is written: chatml, 42dot, none, or a file with a Jinja template; chatml where its tokens
    /// are special, or else 42dot
    #[arg(long, value_name = "NAME|FILE")]
    chat_template: Option<String>,
}

impl Train {
    pub(super) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        self.train(ui).map_err(advise)
    }

    fn train(self, ui: &Ui) -> anyhow::Result<()> {
        if self.output.read_dir().is_ok_and(|mut entries| entries.next().is_some()) || self.output.is_file() {
            bail!("{}: it is there already; choose another name", self.output.display());
        }
        // What stands in the way of the folder is found out before hours of work, and not after them.
        let parent = self.parent();
        std::fs::create_dir_all(parent)
            .with_context(|| format!("{}: the folder cannot be made", parent.display()))?;
        let threads = crate::cli::threads(self.threads);
        let roles = self.special.roles()?;
        let templates = self.special.templates()?;
        let free = || crate::models::memory::available().map_or(u64::MAX, |free| free / 5 * 4);
        let memory = self.memory.unwrap_or_else(free);
        let counter = Counter::new(self.recipe()?, usize::try_from(memory).unwrap_or(usize::MAX))?;

        let began = Instant::now();
        let counting = match self.sample.is_empty() {
            true => self.count_all(ui, &counter, threads)?,
            false => self.count_sample(ui, &counter, threads)?,
        };
        let counted = began.elapsed();
        let (text, words) = (counter.text(), counter.distinct());
        if words == 0 {
            bail!("{}: there is no text, or none in the sample's languages", self.input.join(" "));
        }
        let began = Instant::now();
        let mut trained = None;
        crate::watched::run(ui, ui.bar(self.kind.vocab_size as u64, "learn"), |progress| {
            trained = counter.learn(threads, progress)?;
            let stopped = trained.is_none();
            anyhow::Ok(if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        let learning = began.elapsed();
        let Some(trained) = trained else { bail!("nothing was learnt") };
        if trained.len() < self.kind.vocab_size {
            ui.warn(format_args!(
                "{} tokens and not {}: no more pairs are met {} times; give more text, or a smaller --vocab-size",
                Thousands(trained.len() as u64),
                Thousands(self.kind.vocab_size as u64),
                self.kind.min_frequency
            ));
        }
        write_vocabulary(&self.output, &trained, &roles, &templates)?;
        ui.note(format_args!(
            "{}: {} tokens, from {} of text with {} distinct words; read and counted in {:.1} s, learnt in {:.1} s",
            self.output.display(),
            Thousands(trained.len() as u64),
            Size(text),
            Thousands(words),
            counted.as_secs_f64(),
            learning.as_secs_f64()
        ));
        if self.json {
            let done = json!({
                "tokens": trained.len(), "merges": trained.merges().len(), "text_bytes": text, "distinct_words": words,
                "threads": threads, "reading_and_counting_seconds": counted.as_secs_f64(),
                "counting_seconds": counting.as_secs_f64(), "learning_seconds": learning.as_secs_f64(),
                "peak_memory_bytes": crate::models::memory::peak(),
            });
            writeln!(std::io::stdout(), "{done}")?;
        }
        Ok(())
    }

    fn recipe(&self) -> anyhow::Result<Recipe> {
        let kind = &self.kind;
        Ok(Recipe {
            pattern: Pattern::new(&kind.pattern).context("--pattern")?,
            vocab_size: kind.vocab_size,
            nfc: kind.normalize == Normalize::Nfc,
            specials: self.special.tokens.clone(),
            min_frequency: kind.min_frequency,
            max_token_length: kind.max_token_length,
        })
    }

    /// Where the folder is to be.
    fn parent(&self) -> &Path {
        match self.output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    fn reader(&self, ui: &Ui) -> anyhow::Result<Reader> {
        let options = Options {
            columns: Columns {
                text: self.text_column.clone(),
                lang: (!self.sample.is_empty()).then(|| self.lang_column.clone()),
                source: None,
                license: None,
                url: None,
            },
            skip_broken: self.skip_broken,
            ..Options::default()
        };
        Ok(Reader::open(find(ui, &self.input)?, options)?)
    }

    /// Counts every document as it is read. How long a thread counted, reading left out.
    fn count_all(&self, ui: &Ui, counter: &Counter, threads: usize) -> anyhow::Result<Duration> {
        let reader = self.reader(ui)?;
        let mut counted = None;
        crate::watched::run(ui, ui.bytes_bar(reader.bytes_total(), "count"), |progress| {
            let flow = count_documents(counter, reader, threads, &mut |done, _| progress(done))?;
            anyhow::Ok(flow.map_continue(|all| counted = Some(all)))
        })?;
        let Some(DocumentCounts { broken, busy }) = counted else { bail!("nothing was counted") };
        warn_of(ui, broken);
        Ok(busy)
    }

    /// Draws the sample, and then counts it. How long the counting took.
    fn count_sample(&self, ui: &Ui, counter: &Counter, threads: usize) -> anyhow::Result<Duration> {
        let wanted: Vec<SampleSize> = self.sample.iter().map(|&(_, size)| size).collect();
        let mut sample = DocumentSampler::new(&wanted, self.seed, self.parent())?;
        let reader = self.reader(ui)?;
        let mut broken = 0;
        crate::watched::run(ui, ui.bytes_bar(reader.bytes_total(), "sample"), |progress| {
            let mut failed = None;
            let flow = in_order(
                reader,
                threads,
                || (),
                |(), batch| batch,
                |finished| {
                    let batch = finished.result;
                    broken += batch.broken().len();
                    let group = |lang| self.sample.iter().position(|(name, _)| Some(name.as_str()) == lang);
                    let mut wanted = batch.documents().filter_map(|d| Some((group(d.lang)?, d.text)));
                    let added = wanted.try_for_each(|(at, text)| sample.add(at, text));
                    match added {
                        Ok(()) => progress(finished.bytes_done),
                        Err(error) => {
                            failed = Some(error);
                            ControlFlow::Break(())
                        }
                    }
                },
            )?;
            failed.map_or(Ok(flow), |error| Err(anyhow::Error::from(error)))
        })?;
        warn_of(ui, broken);
        let drawn = sample.finish()?;
        for ((name, wanted), (taken, met)) in self.sample.iter().zip(drawn.counts()) {
            ui.note(format_args!("{name}: {} of {} documents", Thousands(*taken), Thousands(*met)));
            let met = Thousands(*met);
            match wanted {
                SampleSize::Texts(wanted) if taken < wanted => ui.warn(format_args!(
                    "{name}: {} documents were asked for, and there are {met}; all are taken",
                    Thousands(*wanted)
                )),
                // Bytes are reached by the last text that is taken, so that others are left over.
                SampleSize::Bytes(_) if *taken == met.0 => {
                    ui.warn(format_args!(
                        "{name}: {met} documents have no more text than was asked for; all are taken"
                    ));
                }
                _ => {}
            }
        }
        let began = Instant::now();
        crate::watched::run(ui, ui.bar(drawn.blocks() as u64, "count"), |progress| {
            let add = |worker: &mut Worker<'_>, text: &str| worker.add(text).map_err(anyhow::Error::from);
            drawn.spread(threads, || counter.worker(), add, progress)
        })?;
        Ok(began.elapsed())
    }
}

impl Special {
    fn roles(&self) -> anyhow::Result<RoleNames> {
        let named = |flag: &str, given: &Option<String>, default: Option<&String>| match given {
            Some(token) if !self.tokens.contains(token) => {
                bail!("{flag} {token}: it is none of the special tokens; give it with --special too")
            }
            given => Ok(given.as_ref().or(default).cloned()),
        };
        let eos = named("--eos", &self.eos, self.tokens.first())?;
        let pad = self.tokens.iter().find(|token| *token == "<|pad|>").or(eos.as_ref());
        Ok(RoleNames {
            bos: named("--bos", &self.bos, self.tokens.first())?,
            pad: named("--pad", &self.pad, pad)?,
            eos,
        })
    }

    fn templates(&self) -> anyhow::Result<TemplateSources> {
        let is_special = |token: &str| self.tokens.iter().any(|special| special == token);
        let chatml = is_special("<|im_start|>") && is_special("<|im_end|>");
        let source = match self.chat_template.as_deref() {
            Some("none") => None,
            Some("chatml") if !chatml => bail!(
                "--chat-template chatml: its turns stand between <|im_start|> and <|im_end|>; give both with --special"
            ),
            Some("chatml") => Some(ChatTemplate::CHATML_JINJA.to_owned()),
            Some("42dot") => Some(ChatTemplate::FORTYTWO_DOT_JINJA.to_owned()),
            Some(file) => {
                let source = crate::text_file::read(Path::new(file))?;
                ChatTemplate::jinja(&source, file)?;
                Some(source)
            }
            None if chatml => Some(ChatTemplate::CHATML_JINJA.to_owned()),
            None => Some(ChatTemplate::FORTYTWO_DOT_JINJA.to_owned()),
        };
        Ok(TemplateSources { default: source, named: Vec::new() })
    }
}

fn warn_of(ui: &Ui, broken: usize) {
    if broken > 0 {
        let broken = Thousands(broken as u64);
        ui.warn(format_args!("{broken} documents were passed over: broken, or their text is null"));
    }
}
