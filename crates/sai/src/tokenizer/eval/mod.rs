//! `sai tokenizer eval`: how well vocabularies suit texts.

mod plot;
mod sets;
mod table;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use sai_tokenizer::Tokenizer;
use sai_tokenizer::eval::{self, SYLLABLES, TokenizerMetrics};
use serde_json::json;

use super::documents::{ReadingArgs, advise, bytes};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::ui::Ui;
use sets::{NamedFiles, TextSet};

const EXAMPLES: &str = "\
Examples:
  sai tokenizer eval vocabulary/ smollm2-135m --text ko=ko.jsonl.zst --text en=en.jsonl.zst
  sai tokenizer eval a/tokenizer.json b.gguf owner/name --text news='news/*.txt' --plot compared.svg";

/// Compare tokenizers on texts: bytes a token (compression), tokens a word (fertility), round trips, and speed.
///
/// An eojeol is a Korean word as white space makes it. Documents are taken evenly from each set, up to --sample bytes,
/// the same ones for every vocabulary; their columns are those of `sai tokenizer pack`. Speed is one thread's.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Eval {
    /// Vocabularies: `tokenizer.json`, its folder, a GGUF file, a Hub id or a short name
    #[arg(required = true, value_name = "TOKENIZER")]
    tokenizers: Vec<String>,

    /// A set of texts and its name: files, folders or globs with commas between
    #[arg(long = "text", required = true, value_name = "NAME=FILES")]
    sets: Vec<NamedFiles>,

    /// Bytes of text to take from each set, about
    #[arg(long, default_value = "8M", value_name = "BYTES", value_parser = bytes)]
    sample: u64,

    #[command(flatten)]
    reading: ReadingArgs,

    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,

    /// Draw the comparison
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,

    /// Write the picture even where a file of another kind has its name
    #[arg(long, requires = "plot")]
    force: bool,
}

/// A vocabulary on all sets.
struct Judged {
    name: String,
    vocab_size: usize,
    /// How many Hangul syllables are one token.
    syllables: usize,
    /// What was found on each set, and bytes a second.
    sets: Vec<(TokenizerMetrics, f64)>,
}

impl Eval {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        self.compare(ui).map_err(advise)
    }

    fn compare(self, ui: &Ui) -> anyhow::Result<()> {
        if let Some(path) = &self.plot {
            plot::check(path, self.force)?;
        }
        // Vocabularies first: they are found out to be missing sooner than texts are read.
        let tokenizers: Vec<(String, Tokenizer)> = self
            .tokenizers
            .iter()
            .map(|name| Ok((short(name), crate::models::tokenizer(name, &[], ui)?)))
            .collect::<anyhow::Result<_>>()?;
        let interrupt = Interrupt::install("")?;
        let mut sets = Vec::new();
        for named in &self.sets {
            sets.push(TextSet::read(named, self.reading.options(), self.sample, ui)?);
        }
        let bytes: usize = sets.iter().map(TextSet::bytes).sum();
        let bar = ui.bytes_bar((bytes * tokenizers.len()) as u64, "eval");
        let mut judged = Vec::new();
        for (name, tokenizer) in &tokenizers {
            let mut found = Vec::new();
            for set in &sets {
                let speed = speed(tokenizer, set);
                let flow = eval::judge(tokenizer, set.texts(), |bytes| {
                    bar.inc(bytes as u64);
                    if interrupt.pending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                let ControlFlow::Continue(figures) = flow? else {
                    bar.finish_and_clear();
                    std::process::exit(EXIT_INTERRUPTED);
                };
                found.push((figures, speed));
            }
            judged.push(Judged {
                name: name.clone(),
                vocab_size: tokenizer.vocab_size(),
                syllables: eval::syllables(tokenizer),
                sets: found,
            });
        }
        bar.finish_and_clear();
        let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        if self.json {
            writeln!(std::io::stdout(), "{}", object(&judged, &names))?;
        } else {
            std::io::stdout().write_all(table::draw(&judged, &names).as_bytes())?;
        }
        if let Some(path) = &self.plot {
            plot::write(path, &judged, &names)?;
            ui.note(format_args!("{}: drawn", path.display()));
        }
        Ok(())
    }
}

/// What a person would call a vocabulary: the folder's name for `a/b/tokenizer.json`, else the last two parts.
fn short(name: &str) -> String {
    let trimmed = name.trim_end_matches('/');
    let trimmed = trimmed.strip_suffix("/tokenizer.json").unwrap_or(trimmed);
    trimmed.rsplit('/').next().unwrap_or(trimmed).to_owned()
}

/// Bytes a second on one thread, over documents that it has not seen.
fn speed(tokenizer: &Tokenizer, set: &TextSet) -> f64 {
    let began = Instant::now();
    // One that knows nothing of the sets before.
    let (mut encoder, mut ids) = (tokenizer.encoder_within(64 << 20), Vec::new());
    for text in set.texts() {
        ids.clear();
        encoder.encode_plain_into(text, &mut ids);
        std::hint::black_box(&ids);
    }
    set.bytes() as f64 / began.elapsed().as_secs_f64().max(1e-9)
}

fn object(judged: &[Judged], names: &[&str]) -> serde_json::Value {
    let vocabularies: Vec<_> = judged
        .iter()
        .map(|one| {
            let sets: Vec<_> = names
                .iter()
                .zip(&one.sets)
                .map(|(name, (figures, speed))| {
                    let (nfc, nfd) = figures.returned();
                    json!({
                        "set": name, "documents": figures.documents, "bytes": figures.bytes, "tokens": figures.tokens,
                        "bytes_per_token": figures.bytes_per_token(),
                        "tokens_per_eojeol": figures.tokens_per_eojeol(),
                        "tokens_per_english_word": figures.tokens_per_word(),
                        "unknown": figures.unknown, "returned_nfc": nfc, "returned_nfd": nfd,
                        "bytes_per_second": speed.round(),
                    })
                })
                .collect();
            json!({
                "tokenizer": one.name, "vocab_size": one.vocab_size, "syllables": one.syllables,
                "syllable_share": one.syllables as f64 / SYLLABLES as f64, "sets": sets,
            })
        })
        .collect();
    json!({ "tokenizers": vocabularies })
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn names_are_short() {
        for (name, is) in [
            ("a/b/tokenizer.json", "b"),
            ("x/m.gguf", "m.gguf"),
            ("smollm2-135m", "smollm2-135m"),
            ("v/", "v"),
        ] {
            assert_eq!(short(name), is);
        }
    }
}
