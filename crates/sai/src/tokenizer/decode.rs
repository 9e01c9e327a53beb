//! `sai tokenizer decode`: the text of token ids.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::VocabularyArgs;
use crate::terminal::clean::visible;
use crate::ui::{Thousands, Ui};

/// Decode token ids: write the text that they stand for.
///
/// Between ids may stand spaces, commas and brackets: `1 2 3` and `[1, 2, 3]` are the same. Special tokens are
/// shown, and bytes that are no UTF-8 as <0xEA>.
#[derive(Args)]
pub(crate) struct Decode {
    /// Ids. Without one, and without --file, they are read from standard input
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Take the ids from a file
    #[arg(short, long, value_name = "FILE", conflicts_with = "ids")]
    file: Option<PathBuf>,

    #[command(flatten)]
    vocabulary: VocabularyArgs,

    /// Leave special tokens out
    #[arg(long)]
    skip_special: bool,

    /// The bytes as they are, UTF-8 or not, and no newline after them
    #[arg(long, conflicts_with = "json")]
    raw: bool,

    /// One JSON object with the text and its pieces
    #[arg(long)]
    json: bool,
}

impl Decode {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let ids = parse(&self.text()?)?;
        let tokenizer = self.vocabulary.open(ui)?;
        if let Some(id) = ids.iter().find(|&&id| id as usize >= tokenizer.vocab_size()) {
            let size = Thousands(tokenizer.vocab_size() as u64);
            bail!(
                "id {id} is outside the vocabulary of {size} tokens of {}; were the ids made with another one?",
                self.vocabulary.tokenizer
            );
        }
        let ids: Vec<u32> =
            ids.into_iter().filter(|&id| !(self.skip_special && tokenizer.is_special(id))).collect();
        let mut out = std::io::stdout().lock();
        if self.raw {
            for &id in &ids {
                out.write_all(&tokenizer.token_bytes(id).unwrap_or_default())?;
            }
            return Ok(out.flush()?);
        }
        let text = tokenizer.decode_shown(&ids);
        if self.json {
            let pieces: Vec<String> = ids.iter().map(|&id| tokenizer.token_text(id)).collect();
            writeln!(out, "{}", json!({ "text": text, "ids": ids, "pieces": pieces }))?;
        } else if ui.out_is_terminal() {
            writeln!(out, "{}", visible(&text))?;
        } else {
            writeln!(out, "{text}")?;
        }
        Ok(())
    }

    fn text(&self) -> anyhow::Result<String> {
        match &self.file {
            Some(path) => crate::text_file::read(path),
            None if !self.ids.is_empty() => Ok(self.ids.join(" ")),
            None => crate::text_file::standard_input(),
        }
    }
}

/// The numbers in a text of ids.
fn parse(text: &str) -> anyhow::Result<Vec<u32>> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']'))
        .filter(|word| !word.is_empty())
        .map(|word| {
            word.parse().with_context(|| format!("`{}` is no token id; give whole numbers", visible(word)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_whole_numbers() {
        assert_eq!(parse(" 1 2\n3").expect("ids"), [1, 2, 3]);
        assert_eq!(parse("[1, 2,3]").expect("ids"), [1, 2, 3]);
        assert_eq!(parse("").expect("ids"), [0u32; 0]);
        for bad in ["-1", "1.5", "x", "99999999999"] {
            assert!(parse(bad).is_err_and(|e| e.to_string().contains("is no token id")), "{bad}");
        }
    }
}
