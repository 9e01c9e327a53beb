//! `sai tokenizer pack`: documents to token shards.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use sai_shards::{PackOptions, Packed, Progress, Total};
use sai_tokenizer::Tokenizer;
use serde_json::json;

use super::VocabularyArgs;
use super::documents::{DocumentArgs, advise, count};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::ui::{Thousands, Ui};

const EXAMPLES: &str = "\
Examples:
  sai tokenizer pack --input corpus/ --tokenizer vocabulary/ -o packed/
  sai tokenizer pack --input 'ko-*.jsonl.zst' en.parquet -t vocabulary/ -o packed/ --shard-size 500M
  sai tokenizer inspect packed/ --document 42";

/// Pack documents into token shards for training.
///
/// Interrupted, the same command goes on after its last whole shard, and makes the same bytes. Special tokens that a
/// document spells stay text.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Pack {
    #[command(flatten)]
    documents: DocumentArgs,

    #[command(flatten)]
    vocabulary: VocabularyArgs,

    /// Folder for the shards; made if it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// Tokens of a shard, at least: a document is never divided
    #[arg(long, default_value = "100M", value_name = "TOKENS", value_parser = count)]
    shard_size: u64,

    /// Token behind each document: auto for the one that ends a text, none, or any token
    #[arg(long, default_value = "auto", value_name = "TOKEN")]
    eos: String,

    /// Threads to encode on; 0 takes every core
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,

    /// What was packed as one JSON object
    #[arg(long)]
    json: bool,
}

impl Pack {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        self.pack(ui).map_err(advise)
    }

    fn pack(self, ui: &Ui) -> anyhow::Result<()> {
        let (files, reading) = self.documents.find(ui)?;
        let tokenizer = self.vocabulary.open(ui)?;
        let asked = &self.vocabulary.tokenizer;
        let place =
            Path::new(asked).canonicalize().map_or_else(|_| asked.clone(), |p| p.display().to_string());
        let options = PackOptions {
            shard_tokens: self.shard_size,
            threads: crate::cli::threads(self.threads),
            end: self.end(&tokenizer)?,
            tokenizer_name: place,
        };
        match options.end {
            Some(end) => ui.note(format_args!("each document ends with {}", tokenizer.token_text(end))),
            None => ui.note("nothing stands between documents"),
        }
        let began = Instant::now();
        let interrupt = Interrupt::install("")?;
        let bar = ui.bytes_bar(0, "pack");
        let mut last = Progress::default();
        let flow = sai_shards::pack(&self.output, &tokenizer, files, reading, &options, &mut |progress| {
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes_done);
            last = progress;
            if interrupt.pending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        bar.finish_and_clear();
        let target = self.output.display();
        let ControlFlow::Continue(packed) = flow? else {
            ui.note(format_args!(
                "interrupted; whole shards stay in {target}, the same command goes on from them"
            ));
            std::process::exit(EXIT_INTERRUPTED);
        };
        report(ui, &self.output, &packed, last, began.elapsed().as_secs_f64());
        if self.json {
            writeln!(std::io::stdout(), "{}", object(&packed, last, began.elapsed().as_secs_f64()))?;
        }
        Ok(())
    }

    fn end(&self, tokenizer: &Tokenizer) -> anyhow::Result<Option<u32>> {
        match self.eos.as_str() {
            "none" => Ok(None),
            "auto" => {
                let end = tokenizer.eos().first().copied();
                end.map(Some)
                    .context("the tokenizer names no token that ends a text; give --eos TOKEN or --eos none")
            }
            token => tokenizer.id_of(token).map(Some).with_context(|| {
                format!("--eos {token}: not a token of {}; `none` leaves it out", self.vocabulary.tokenizer)
            }),
        }
    }
}

fn report(ui: &Ui, target: &Path, packed: &Packed, last: Progress, seconds: f64) {
    if packed.skipped > 0 {
        let skipped = Thousands(packed.skipped);
        ui.warn(format_args!("{skipped} documents were passed over: broken, or their text is null"));
    }
    if packed.resumed > 0 {
        ui.note(format_args!("{} documents were packed before", Thousands(packed.resumed)));
    }
    for (lang, total) in &packed.totals.by_language {
        ui.note(format_args!("{:>8}  {}", lang.as_deref().unwrap_or("–"), words(total)));
    }
    let shards = match packed.shards {
        1 => "1 shard".to_owned(),
        several => format!("{several} shards"),
    };
    let speed = last.text_bytes as f64 / 1e6 / seconds.max(1e-9);
    ui.note(format_args!(
        "{}: {} in {shards}; {seconds:.1} s, {speed:.0} MB of text a second",
        target.display(),
        words(&packed.totals.all),
    ));
}

/// `28,059 documents, 80,123,456 tokens, 3.60 bytes each`.
pub(super) fn words(total: &Total) -> String {
    let each = total.text_bytes as f64 / total.tokens.max(1) as f64;
    format!(
        "{} documents, {} tokens, {each:.2} bytes each",
        Thousands(total.documents),
        Thousands(total.tokens)
    )
}

fn object(packed: &Packed, last: Progress, seconds: f64) -> serde_json::Value {
    let languages: Vec<_> =
        packed.totals.by_language.iter().map(|(lang, total)| json!({"lang": lang, "total": total})).collect();
    json!({
        "shards": packed.shards, "total": packed.totals.all, "languages": languages, "resumed": packed.resumed,
        "skipped": packed.skipped, "packed_now": {"tokens": last.tokens, "text_bytes": last.text_bytes},
        "seconds": seconds,
    })
}
