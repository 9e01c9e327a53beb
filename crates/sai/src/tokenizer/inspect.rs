//! `sai tokenizer inspect`: what token shards hold.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use sai_shards::Shards;
use serde_json::json;

use super::pack::words;
use crate::terminal::clean::visible;
use crate::ui::{Thousands, Ui};

/// Show what a folder of token shards holds, or one of its documents.
///
/// A document is printed as its tokens spell it, without the token behind it.
#[derive(Args)]
pub(crate) struct Inspect {
    /// Folder that `sai tokenizer pack` made
    folder: PathBuf,

    /// Print this document, counted from 0
    #[arg(short, long, value_name = "N")]
    document: Option<u64>,

    /// Tokenizer to read the document with; the one that the shards name where not given
    #[arg(short, long, value_name = "NAME")]
    tokenizer: Option<String>,

    /// Print the document's ids instead of its text
    #[arg(long, requires = "document")]
    ids: bool,

    /// Read all tokens and compare them with their checksums
    #[arg(long)]
    verify: bool,

    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let mut shards = Shards::open(&self.folder, None)?;
        if self.verify {
            let bar = ui.bar(shards.totals().all.tokens, "verify");
            shards.verify(|tokens| bar.inc(tokens))?;
            bar.finish_and_clear();
            ui.note(format_args!("every token of {} agrees with its checksum", self.folder.display()));
        }
        let Some(number) = self.document else { return self.summary(&shards) };
        let tokenizer = if self.ids && self.tokenizer.is_none() {
            None
        } else {
            let name = self.tokenizer.as_deref().unwrap_or(shards.tokenizer());
            let tokenizer = crate::models::tokenizer(name, &[], ui).with_context(|| {
                format!("{name}: the tokenizer of these shards; give it with --tokenizer")
            })?;
            // Opened once more, so that a shard of another tokenizer is refused by its name.
            shards = Shards::open(&self.folder, Some(tokenizer.fingerprint()?))?;
            Some(tokenizer)
        };
        let documents = shards.totals().all.documents;
        let document = shards.document(number).with_context(|| {
            let folder = self.folder.display();
            format!("{folder}: no document {number}; it has {}, counted from 0", Thousands(documents))
        })?;
        let mut ids: Vec<u32> = document.tokens.iter().collect();
        let mut out = std::io::stdout().lock();
        let ended = shards.end().is_some_and(|end| ids.last() == Some(&end));
        if let (false, Some(tokenizer)) = (self.ids, &tokenizer) {
            ids.truncate(ids.len() - usize::from(ended));
            let text = tokenizer.decode_with_special(&ids);
            if self.json {
                let (lang, source) = (document.lang, document.source);
                let object = json!({"text": text, "lang": lang, "source": source, "ids": ids});
                writeln!(out, "{object}")?;
            } else if ui.out_is_terminal() {
                writeln!(out, "{}", visible(&text))?;
            } else {
                out.write_all(text.as_bytes())?;
            }
        } else {
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            writeln!(out, "{}", ids.join(" "))?;
        }
        ui.note(format_args!(
            "document {number} of {} · {} · {} · {} bytes · {} tokens",
            Thousands(documents),
            document.lang.unwrap_or("no language"),
            visible(document.source.unwrap_or("no source")),
            Thousands(u64::from(document.text_bytes)),
            Thousands(document.tokens.len() as u64)
        ));
        Ok(())
    }

    fn summary(&self, shards: &Shards) -> anyhow::Result<()> {
        let totals = shards.totals();
        let mut out = std::io::stdout().lock();
        if self.json {
            let languages: Vec<_> = totals
                .by_language
                .iter()
                .map(|(lang, total)| json!({"lang": lang, "total": total}))
                .collect();
            let object = json!({
                "shards": shards.shards().len(), "total": totals.all, "languages": languages,
                "tokenizer": shards.tokenizer(), "vocab_size": shards.vocab_size(), "end": shards.end(),
                "skipped": shards.skipped(),
            });
            return Ok(writeln!(out, "{object}")?);
        }
        let end = shards.end().map_or("none".to_owned(), |end| end.to_string());
        let width = if shards.vocab_size() <= 1 << 16 { 2 } else { 4 };
        writeln!(out, "tokenizer   {}", visible(shards.tokenizer()))?;
        writeln!(out, "vocabulary  {} tokens of {width} bytes", Thousands(u64::from(shards.vocab_size())))?;
        writeln!(out, "end token   {end}")?;
        writeln!(out, "shards      {}", shards.shards().len())?;
        writeln!(out, "all         {}", words(&totals.all))?;
        for (lang, total) in &totals.by_language {
            writeln!(out, "{:<10}  {}", visible(lang.as_deref().unwrap_or("–")), words(total))?;
        }
        if shards.skipped() > 0 {
            writeln!(
                out,
                "left out    {} documents: broken, or their text was null",
                Thousands(shards.skipped())
            )?;
        }
        Ok(())
    }
}
